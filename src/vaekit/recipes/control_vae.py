"""ControlVAE: a controller moves the weight of the rate until the rate is at a set point.

loss_t = E_q(z|x)[-log p(x|z)] + beta_t KL(q(z|x) || N(0, I)),      e_t = C_t - KL_t,
beta_{t+1} = beta_min + kp / (1 + exp(e_t)) - ki sum_{s <= t} e_s,  held within [beta_min, beta_max]

in nats per datum. With beta_min = 1 the rate can only be pushed below that of a VAE: a set point above it is
out of reach, and beta stays at 1. The paper's settings, of which the first are the defaults:

    disentangling     kp 0.01           ki 0.001          [1, inf)  C 0.5, +0.15 every 5000 steps, to 16 or 18
    image generation  kp 0.001 or 0.01  ki 0.001 or 1e-4  [0, 1]    C 170 to 200, constant; 500 latents
    text              kp 0.01           ki 1e-4           [0, 1]    C 3 or 4, constant

Differences from the paper: the weight of a step follows from the rate of the step before, the mean of the
whole batch. An error counts as at most 50. The integral stands still while beta is out of its range and the
error drives it further; the authors' programs let it run there (images, text), or stop it for good (dSprites:
below 0, whatever the sign of the error). The likelihood follows from the kind of the data, and training ends
a fifth after the set point has come to rest, where the paper makes 1.5 million steps on dSprites.

H. Shao et al., ControlVAE: Controllable Variational Autoencoder, ICML 2020, https://arxiv.org/abs/2004.05988
"""

from __future__ import annotations

import math

from vaekit import checks, wiring
from vaekit.controllers import Controller
from vaekit.data.spec import Spec
from vaekit.networks import Architecture
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.schedules import Stairs
from vaekit.system import System, recipe

BATCH = 64


@recipe
def control_vae(
    spec: Spec,
    *,
    capacity: float = 16.0,
    kp: float = 0.01,
    ki: float = 0.001,
    beta_min: float = 1.0,
    beta_max: float | None = None,
    start: float | None = 0.5,
    rise: float = 0.15,
    every: int = 5000,
    latents: int = 10,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-4,
) -> System:
    """Wire a variational autoencoder whose rate is held at a set point.

    Args:
        spec: the data.
        capacity: C at the end, in nats per datum.
        kp: largest answer to a rate above C.
        ki: growth of beta in a step, for each nat that the rate is above C.
        beta_min: smallest weight of the rate, and the first.
        beta_max: largest weight of the rate, if there is one.
        start: the first C; None for C = capacity throughout.
        rise: what C rises by at once.
        every: training steps between two rises.
        latents: dimensions of z.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    checks.number("capacity", capacity, least=0)
    if start is not None and checks.number("start", start, least=0) > capacity:
        raise ValueError(
            f"`start` is {start}, above `capacity` {capacity}: take a smaller one, or None for C = capacity"
        )
    target = capacity if start is None else Stairs(start, capacity, rise, checks.whole("every", every))
    checks.number("beta_min", beta_min, least=0)
    highest = math.inf if beta_max is None else checks.number("beta_max", beta_max, above=beta_min)
    beta = Controller("rate", target, kp=kp, ki=ki, low=beta_min, high=highest)
    model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden)
    player = Player("vae", [model], elbo(beta), wiring.adam(learning_rate))
    procedure = Simultaneous(model, [player])
    if not isinstance(target, Stairs):
        return System(model, procedure, BATCH, monitor="last")
    epochs = wiring.passes(spec, BATCH, steps=target.length + target.length // 5)
    return System(model, procedure, BATCH, epochs, monitor="last", scheduled=True)
