"""Variational autoencoder.

L(x) = E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z)),   z = mu(x) + s(x) * eps,  eps ~ N(0, I)

Differences from the paper: Adam instead of Adagrad and no weight decay; the likelihood follows from the kind
of the data instead of Bernoulli or Gaussian by hand. Set `hidden=(500,)` for its MNIST network.

D. P. Kingma, M. Welling, Auto-Encoding Variational Bayes, ICLR 2014, https://arxiv.org/abs/1312.6114
"""

from __future__ import annotations

from vaekit import wiring
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import Architecture
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import Rate
from vaekit.terms.elbo import Estimator


@recipe
def vae(
    spec: Spec,
    *,
    latents: int = 16,
    likelihood: wiring.LikelihoodName = "auto",
    posterior: wiring.PosteriorName = "diagonal",
    prior: wiring.PriorName = "standard",
    estimator: Estimator = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a variational autoencoder.

    Args:
        spec: the data.
        latents: dimensions of z.
        likelihood: p(x|z); auto goes by the kind of the data.
        posterior: the family of q(z|x).
        prior: p(z).
        estimator: of the rate: closed (SGVB-B of the paper), sample (SGVB-A), stl, or auto for the closed
            form where there is one.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    encoder = wiring.encoder_of(spec, architecture, hidden)
    decoder = wiring.decoder_of(spec, architecture, hidden, [latents])
    model = Flat(
        posterior=wiring.make_posterior(posterior, encoder, latents),
        prior=wiring.make_prior(prior, latents),
        likelihood=wiring.make_likelihood(likelihood, spec, decoder),
    )
    player = Player("vae", [model], elbo(rate=Rate(estimator)), wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]))
