"""Gumbel-softmax VAE: categorical latents, relaxed while training so that gradients go through the draws.

z_i = softmax((ln pi_i(x) + g_i) / tau),  g Gumbel noise,  tau(t) = max(lowest, temperature * exp(-rate t))
L(x) = E[log p(x|z)] - sum_i KL(Cat(pi_i(x)) || uniform over K classes)

The divergence is that of the categorical distributions, exact. Held-out losses and likelihoods are of exact
one-hot draws: the relaxed bound is none.

Differences from the paper: the temperature falls at every step, where the authors' code sets it anew every
thousand; the networks; the likelihood follows from the kind of the data. Classes, temperatures and rate are
those of the authors' code.

E. Jang, S. Gu, B. Poole, Categorical Reparameterization with Gumbel-Softmax, ICLR 2017,
https://arxiv.org/abs/1611.01144; C. J. Maddison, A. Mnih, Y. W. Teh, The Concrete Distribution, ICLR 2017
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.conditionals import GumbelSoftmax, UniformOneHot
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import Architecture
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.schedules import Exponential
from vaekit.system import System, recipe
from vaekit.terms import Rate


@recipe
def gumbel_vae(
    spec: Spec,
    *,
    latents: int = 30,
    classes: int = 10,
    temperature: float = 1.0,
    lowest: float = 0.5,
    rate: float = 3e-5,
    hard: bool = False,
    beta: float = 1.0,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a variational autoencoder with categorical latents.

    Args:
        spec: the data.
        latents: number of categorical variables.
        classes: K, of each of them.
        temperature: tau at the start.
        lowest: tau, which it does not fall below.
        rate: at which it falls, per training step.
        hard: straight-through: the decoder sees one-hot rows, the gradient is that of the relaxed ones.
        beta: weight of the rate.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    event = (checks.whole("latents", latents), checks.whole("classes", classes, least=2))
    checks.number("temperature", temperature, above=0)
    checks.number("lowest", lowest, above=0, most=temperature)
    checks.number("beta", beta, least=0)
    falling = Exponential(temperature, lowest, checks.number("rate", rate, least=0))
    encoder = wiring.encoder_of(spec, architecture, hidden)
    decoder = wiring.decoder_of(spec, architecture, hidden, [event])
    model = Flat(
        GumbelSoftmax(encoder, event, falling, hard),
        UniformOneHot(event),
        wiring.make_likelihood(likelihood, spec, decoder),
    )
    player = Player("vae", [model], elbo(beta, Rate()), wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]), batch_size=100)
