"""Conditional VAE: one datum has many possible answers, and a condition says which are likely.

L_CVAE = E_q(z|x,c)[log p(x|z,c)] - KL(q(z|x,c) || p(z|c)),   L_GSNN = E_p(z|c)[log p(x|z,c)]
L = alpha L_CVAE + (1 - alpha) L_GSNN

The paper writes x for the condition c and y for the datum x. Training reconstructs from q, prediction uses
the prior; the hybrid objective trains for both. The rate moves both networks.

Differences from the paper: no recurrent prior (an initial guess that conditions everything), no multi-scale
losses and no omission of inputs; hidden layers of (500, 500), z of 200 and Adam at 1e-3 are those of the
reproduction in Pyro's examples, where the paper's sizes are not known.

K. Sohn, H. Lee, X. Yan, Learning Structured Output Representation using Deep Conditional Generative Models,
NIPS 2015
"""

from __future__ import annotations

from typing import Literal

from vaekit import checks, wiring
from vaekit.conditionals import Gaussian
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Flat
from vaekit.networks import Architecture
from vaekit.objective import Objective, elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import Distortion, On, Rate

NETWORKS = wiring.Dense(hidden=(500, 500))
Prior = Literal["network", "standard"]


@recipe
def cvae(
    spec: Spec,
    *,
    latents: int = 200,
    alpha: float = 1.0,
    prior: Prior = "network",
    samples: int = 1,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a conditional variational autoencoder.

    Args:
        spec: the data, with a condition.
        latents: dimensions of z.
        alpha: share of the CVAE in the hybrid objective; 0 is the Gaussian stochastic network alone.
        prior: p(z|c) from a network, or standard for N(0, I), which ignores the condition.
        samples: draws of z per datum.
        likelihood: p(x|z,c); auto goes by the kind of the data.
        architecture: of q and of the generator; auto goes by the shape of the data. p(z|c) is fully
            connected.
        hidden: widths of the hidden layers of a fully connected network; (500, 500) if nothing is said.
        learning_rate: of Adam.
    """
    checks.number("alpha", alpha, least=0, most=1)
    checks.known("prior", prior, Prior)
    if spec.context is None:
        raise UnsupportedError(
            f"cvae needs data with a condition, and {spec.name!r} has none: load it with the data option "
            'context="labels", or context="quadrant1" for pictures'
        )
    encoder = wiring.encoder_of(spec, architecture, hidden, dense=NETWORKS)
    decoder = wiring.decoder_of(spec, architecture, hidden, [latents], dense=NETWORKS)
    posterior = wiring.make_posterior("diagonal", encoder, latents)
    flat = wiring.network_from(
        [spec.context], "gated" if architecture == "gated" else "mlp", hidden, dense=NETWORKS
    )
    conditional = Gaussian(flat, (latents,)) if prior == "network" else wiring.make_prior("standard", latents)
    model = Flat(posterior, conditional, wiring.make_likelihood(likelihood, spec, decoder))
    guess = {"gsnn": (1 - alpha, On("prior", Distortion()))}
    if alpha == 1:  # the second pass would be paid for and weigh nothing
        player = Player("cvae", [model], elbo(), wiring.adam(learning_rate))
    elif alpha == 0:  # nothing trains q
        player = Player(
            "cvae", [model.priors, model.likelihood], Objective(guess), wiring.adam(learning_rate)
        )
    else:
        hybrid = Objective({"distortion": (alpha, Distortion()), "rate": (alpha, Rate()), **guess})
        player = Player("cvae", [model], hybrid, wiring.adam(learning_rate))
    branches = () if alpha == 1 else ("prior",)
    return System(model, Simultaneous(model, [player], wiring.draws(samples), branches), batch_size=100)
