"""Terms of a generator that imitates the data from given codes, and of the critic that tells them apart.

The critic's log-odds of a datum, l(x) = ln D(x) / (1 - D(x)), and their slope dl/dx come from one pass, which
the terms share. As in `terms.adversarial`, one term owns the critic and the others borrow it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import softplus

from vaekit.errors import UnsupportedError
from vaekit.terms.adversarial import View, log_odds, rebuilt
from vaekit.terms.parts import once, per_datum
from vaekit.trace import Trace


def _odds_and_slopes(trace: Trace, critic: nn.Module) -> tuple[Tensor, Tensor]:
    """l(x), (batch,), and dl/dx, (batch, *event), of the data; both have gradients for the critic."""

    def look(trace: Trace) -> tuple[Tensor, Tensor]:
        # the slope of one datum's odds is that of the sum, as no datum sees another; by a function's
        # derivative and not by `autograd.grad`, so that it is there without gradients too, and compiles
        odds, slopes, *_ = torch.func.vjp(lambda x: log_odds(critic, x), trace.batch["x"])
        return odds, slopes(torch.ones_like(odds))[0]

    return once(trace, (_odds_and_slopes, critic), look)


class Acceptance(nn.Module):
    """-ln D(x) of the data, one value per datum, nats: what a critic pays for doubting them.

    Args:
        critic: owned; (*axes, *event) -> one or two logits, see `log_odds`. It sees one datum at a time.

    Raises:
        UnsupportedError: if the critic couples the batch, so that the slope at a datum would not be its own.
    """

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        for part in critic.modules():
            if getattr(part, "couples_batch", False):
                raise UnsupportedError(
                    f"the critic has a {type(part).__name__}, which couples the batch, and a penalty on its "
                    "slope at a datum has to leave the others alone: take a critic without it"
                )
        self.critic = critic

    def forward(self, trace: Trace) -> Tensor:
        """(batch,)."""
        return softplus(-_odds_and_slopes(trace, self.critic)[0])


class Rejection:
    """-ln(1 - D(s)), one value per datum, nats: what a critic pays for believing an imitation.

    Args:
        critic: borrowed.
        view: s, the imitations.
    """

    def __init__(self, critic: nn.Module, view: View = rebuilt) -> None:
        self.critic, self.view = critic, view

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        return per_datum(softplus(log_odds(self.critic, self.view(trace))), trace)


class SquaredSlope:
    """|dl(x)/dx|^2 at the data, one value per datum: the penalty R1 without its factor 1/2.

    It pulls the critic towards a constant where the generator has met the data. For l(x) = w x + b it is
    |w|^2.

    Args:
        critic: borrowed from `Acceptance`.

    References:
        Which Training Methods for GANs do actually Converge? L. Mescheder, A. Geiger, S. Nowozin, 2018, arXiv
        1801.04406, equation 9.
    """

    def __init__(self, critic: nn.Module) -> None:
        self.critic = critic

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        return _odds_and_slopes(trace, self.critic)[1].flatten(1).square().sum(1)


class Recognition:
    """-ln q(z | G(z)), one value per datum, nats: whether an encoder knows the code again that was drawn.

    G(z) is the mean of p(x|z), through which the gradient passes; with E ln q(z|G(z)) + H(z) it bounds the
    information that pictures have of their codes from below. With a diagonal Gaussian q it is
    1/2 sum_j [ln 2pi + ln s_j^2 + (z_j - mu_j)^2 / s_j^2], mu and s at G(z).

    Args:
        encoder: borrowed; conditional of x.
        latent: name of z.

    References:
        High-Fidelity Synthesis with Disentangled Representation. W. Lee, D. Kim, S. Hong, H. Lee, 2020, arXiv
        2001.04296, section 3.
    """

    def __init__(self, encoder: nn.Module, latent: str = "z") -> None:
        self.encoder, self.latent = encoder, latent

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        q: Distribution = self.encoder(rebuilt(trace))
        return per_datum(-q.log_prob(trace.latents[self.latent].value), trace)
