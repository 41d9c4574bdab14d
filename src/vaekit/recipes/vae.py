"""Variational autoencoder.

L(x) = E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z)),   z = mu(x) + s(x) * eps,  eps ~ N(0, I)

Differences from the paper: Adam instead of Adagrad and no weight decay; the likelihood follows from the kind
of the data instead of Bernoulli or Gaussian by hand. Its MNIST network is `hidden=(500,), activation="tanh"`.

D. P. Kingma, M. Welling, Auto-Encoding Variational Bayes, ICLR 2014, https://arxiv.org/abs/1312.6114
"""

from __future__ import annotations

from vaekit import wiring
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import Activation, Architecture
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms.elbo import Estimator


@recipe
def vae(
    spec: Spec,
    *,
    latents: int = 16,
    likelihood: wiring.LikelihoodName = "auto",
    posterior: wiring.PosteriorName = "diagonal",
    prior: wiring.PriorName = "standard",
    components: int | None = None,
    estimator: Estimator = "auto",
    samples: int = 1,
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    activation: Activation | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a variational autoencoder.

    Args:
        spec: the data.
        latents: dimensions of z.
        likelihood: p(x|z); auto goes by the kind of the data.
        posterior: the family of q(z|x).
        prior: p(z).
        components: Gaussians of the mixture prior; 10 if nothing is said.
        estimator: of the rate: closed (SGVB-B of the paper), sample (SGVB-A), stl, or auto for the closed
            form where there is one.
        samples: draws of z per datum, over which the bound is averaged (L in the paper).
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        activation: nonlinearity of a fully connected network; relu if nothing is said.
        learning_rate: of Adam.
    """
    encoder = wiring.encoder_of(spec, architecture, hidden, activation=activation)
    decoder = wiring.decoder_of(spec, architecture, hidden, [latents], activation)
    model = Flat(
        posterior=wiring.make_posterior(posterior, encoder, latents),
        prior=wiring.make_prior(prior, latents, components),
        likelihood=wiring.make_likelihood(likelihood, spec, decoder),
    )
    objective = elbo(rate=wiring.make_rate(estimator, posterior, prior))
    player = Player("vae", [model], objective, wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player], wiring.draws(samples)))
