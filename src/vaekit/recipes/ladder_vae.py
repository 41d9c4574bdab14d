"""Ladder VAE: a deep hierarchy whose posterior corrects the prior on the way down.

h_1 = f_1(x), h_l = f_l(h_l-1),   p(x, z) = p(x|z1) p(z1|z2) ... p(zL),   q(zL|x) = N(m_L(h_L), s_L(h_L)^2)
q(z_l|x, z_l+1) ~ N(z_l; m_l(h_l), s_l(h_l)^2) p(z_l|z_l+1)
L(x) = E_q[log p(x|z1)] - beta sum_l E_q KL(q(z_l|x, z_l+1) || p(z_l|z_l+1))

The features h climb without noise; on the way down each level's posterior is the product of what the data say
and of the prior that the level above gives, so that prior and posterior share the downward networks. Every
level's divergence is in closed form, given the draw above. beta rises from 0 to 1 over `warmup` steps.

Differences from the paper: beta rises with every step, not every epoch, over as many steps as its 200 epochs
of MNIST, and the last weights are handed back; no batch normalisation unless `batch_norm` asks for it, where
the paper has it everywhere; ln s is the head, clamped to [-8, 4], where the paper's softplus gives variances.

C. K. Sonderby, T. Raiko, L. Maaloe, S. K. Sonderby, O. Winther, Ladder Variational Autoencoders, NIPS 2016,
https://arxiv.org/abs/1602.02282
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import nn

from vaekit import checks, wiring
from vaekit.conditionals import Gaussian, PrecisionWeighted
from vaekit.data.spec import Spec
from vaekit.models import TopDown
from vaekit.networks import MLP, Downward, Upward
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe

BATCH = 256


@recipe
def ladder_vae(
    spec: Spec,
    *,
    latents: tuple[int, ...] = (64, 32, 16, 8, 4),
    hidden: tuple[int, ...] = (512, 256, 128, 64, 64),
    warmup: int = 40_000,
    batch_norm: bool = False,
    likelihood: wiring.LikelihoodName = "auto",
    learning_rate: float = 1e-3,
) -> System:
    """Wire a ladder variational autoencoder.

    Args:
        spec: the data, without a condition.
        latents: dimensions of the levels, from the data upwards; two or more.
        hidden: widths of the two layers below each level, up and down alike; one number is for all levels.
        warmup: training steps over which the weight of the rate rises from 0 to 1.
        batch_norm: whether every hidden layer is normalised over the batch.
        likelihood: p(x|z1); auto goes by the kind of the data.
        learning_rate: of Adam.
    """
    wiring.unconditional(spec, "ladder_vae")
    events = [(n,) for n in checks.sizes("latents", latents, least=2)]
    widths = checks.sizes("hidden", hidden, least=1) * (len(events) if len(hidden) == 1 else 1)
    if len(widths) != len(events):
        raise ValueError(
            f"`hidden` has {len(widths)} widths; expected {len(events)}, one for each level of `latents`, or "
            "one for all"
        )
    posteriors: list[nn.Module] = []
    priors: list[nn.Module] = []
    for level, (event, width) in enumerate(zip(events, widths, strict=True)):
        message = Gaussian(partial(_affine, width), event)
        if level == len(events) - 1:
            posteriors.append(message)
            priors.append(wiring.make_prior("standard", *event))
        else:
            posteriors.append(PrecisionWeighted(message))
            down = partial(_down, *events[level + 1], widths[level + 1], batch_norm)
            priors.append(Gaussian(down, event))
    observe = wiring.make_likelihood(likelihood, spec, partial(_down, *events[0], widths[0], batch_norm))
    model = TopDown(posteriors, priors, observe, Upward(spec.shape, widths, batch_norm))
    player = Player("vae", [model], elbo(wiring.rising(warmup)), wiring.adam(learning_rate))
    epochs = wiring.passes(spec, BATCH, steps=max(2 * warmup, 40_000))
    monitor: Literal["last", "loss"] = "last" if warmup else "loss"
    return System(model, Simultaneous(model, [player]), BATCH, epochs, monitor, scheduled=warmup > 0)


def _affine(width: int, output: tuple[int, ...]) -> nn.Module:
    return MLP([(width,)], output, hidden=())


def _down(inputs: int, width: int, batch_norm: bool, output: tuple[int, ...]) -> nn.Module:
    return Downward(inputs, output, width, batch_norm)
