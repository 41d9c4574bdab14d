"""Controlled capacity (AnnealedVAE): the rate is held at a target that grows while training.

loss = E_q(z|x)[-log p(x|z)] + gamma |KL(q(z|x) || N(0, I)) - C(t)|,   C(t) = capacity * min(1, t / ramp)

The absolute value is taken of the mean rate of the batch. Factors enter in the order of what they are worth
to the likelihood. The loss changes while C grows, so the last weights are handed back, not the best ones.

Differences from the paper: the networks for 64x64 images and batches of 64 are those of Locatello et al. 2019
(arXiv 1811.12359, whose grid of capacities is 5, 10, 25, 50, 75, 100 at a learning rate of 1e-4); the
likelihood follows from the kind of the data. Training ends a fifth after the ramp, that of the study after
300,000 steps, the ramp being the first 100,000.

C. P. Burgess et al., Understanding disentangling in beta-VAE, 2018, https://arxiv.org/abs/1804.03599
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.networks import Architecture
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.schedules import Linear
from vaekit.system import System, recipe
from vaekit.terms import Capacity, Distortion

BATCH = 64


@recipe
def annealed_vae(
    spec: Spec,
    *,
    capacity: float = 25.0,
    gamma: float = 1000.0,
    ramp: int = 100_000,
    latents: int = 10,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 5e-4,
) -> System:
    """Wire a variational autoencoder whose rate follows a rising capacity.

    Args:
        spec: the data.
        capacity: C, the rate at the end, in nats.
        gamma: weight of the distance from it.
        ramp: training steps over which the capacity rises from 0.
        latents: dimensions of z.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden)
    target = Linear(0.0, checks.number("capacity", capacity, least=0), checks.whole("ramp", ramp))
    weight = checks.number("gamma", gamma, least=0)
    objective = Objective({"distortion": (1.0, Distortion()), "capacity": (weight, Capacity(target))})
    player = Player("vae", [model], objective, wiring.adam(learning_rate))
    epochs = wiring.passes(spec, BATCH, steps=ramp + ramp // 5)
    return System(model, Simultaneous(model, [player]), BATCH, epochs, monitor="last", scheduled=True)
