"""Critics: networks that tell two sources apart, and what their players and their opponents minimise.

A critic ends in log-odds: l(s) = ln D(s) / (1 - D(s)), where D(s) is its probability that s is real. Where
it is optimal, l(s) = ln p_real(s) - ln p_fake(s): a density ratio without densities.

A term of the opponent borrows the critic: it does not register it as a module, so that the critic is saved
and moved to a device once, with the objective of the player that owns it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from vaekit.errors import UnsupportedError
from vaekit.terms.parts import per_datum
from vaekit.trace import Trace

View = Callable[[Trace], Tensor]
"""What a critic sees of a trace: (*axes, *event)."""


def codes(trace: Trace) -> Tensor:
    """The draws of all latents, side by side: (*axes, n)."""
    values = [latent.value for latent in trace.latents.values()]
    if not values:
        raise UnsupportedError("the trace has no latent for a critic to see")
    return values[0] if len(values) == 1 else torch.cat(values, -1)


def prior_codes(trace: Trace) -> Tensor:
    """As `codes`, drawn from the prior; the procedure needs the branch "draws"."""
    if "draws" not in trace.branches:
        raise UnsupportedError(
            "draws from the prior are needed, and the trace has none: give the procedure the branch 'draws'"
        )
    return codes(trace.branches["draws"])


def rebuilt(trace: Trace) -> Tensor:
    """What was made of the latents: the mean of p(x|z), (*axes, *event)."""
    return trace.observed["x"].p.mean


def log_odds(critic: nn.Module, seen: Tensor) -> Tensor:
    """l(s) for every s: the critic's one output, or the first of two minus the second (their softmax).

    Args:
        critic: (*axes, *event) -> (*axes, 1) or (*axes, 2).
        seen: s, (*axes, *event).

    Returns:
        (*axes), nats, in full precision.
    """
    output = cast(Tensor, critic(seen)).to(seen.dtype)
    if output.shape[-1] == 1:
        return output.squeeze(-1)
    if output.shape[-1] != 2:
        raise UnsupportedError(
            f"the critic has {output.shape[-1]} outputs; expected 1, the log-odds, or 2 logits: real and fake"
        )
    real, fake = output.unbind(-1)
    return real - fake


class DensityRatio:
    """l(s), one value per datum: ln p_real(s) / p_fake(s) where the critic is optimal, nats.

    Its mean over real s estimates KL(p_real || p_fake), too low as long as the critic can still learn. With
    the critic of `PermutationTest` that is the total correlation of the codes.

    Args:
        critic: borrowed from the player that owns it.
        view: s.
    """

    def __init__(self, critic: nn.Module, view: View = codes) -> None:
        self.critic, self.view = critic, view

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        return per_datum(log_odds(self.critic, self.view(trace)), trace)


class Deception:
    """-ln D(s), one value per datum, nats: small where the critic takes s for real.

    The generator's loss that does not saturate (Goodfellow et al. 2014, section 3), in place of ln(1 - D(s)).

    Args:
        critic: borrowed from the player that owns it.
        view: s, the fakes.
    """

    def __init__(self, critic: nn.Module, view: View = codes) -> None:
        self.critic, self.view = critic, view

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        return per_datum(softplus(-log_odds(self.critic, self.view(trace))), trace)


class Discrimination(nn.Module):
    """1/2 [-ln D(r) - ln(1 - D(f))], one value per datum, nats: the cross-entropy of a critic.

    ln 2 = 0.69 says that it cannot tell the two apart, or that it has not learnt to.

    Args:
        critic: owned.
        real: r.
        fake: f, of the same shape.
    """

    def __init__(self, critic: nn.Module, real: View, fake: View) -> None:
        super().__init__()
        self.critic, self.real, self.fake = critic, real, fake

    def forward(self, trace: Trace) -> Tensor:
        """(batch,)."""
        both = torch.cat([self.real(trace), self.fake(trace)], trace.axes.index("batch"))  # one pass for both
        real, fake = log_odds(self.critic, both).chunk(2, -1)
        return per_datum(0.5 * (softplus(-real) + softplus(fake)), trace)


class PermutationTest(nn.Module):
    """Cross-entropy of a critic that tells codes z ~ q(z) from codes of prod_j q(z_j), one value, nats.

    1/2 [mean of -ln D(z) over half of the batch + mean of -ln(1 - D(z')) over the other], z' = the other half
    with its dimensions permuted. The halves are independent draws of q(z), as the two batches of Kim and Mnih
    2018 are. A batch of one is both halves: its code cannot be permuted, and says "undecided" to the critic.
    Permuting m codes leaves a row with two given values of one datum with probability 1/m, which makes the
    two sources a little alike: not worth a thought at 64, and the reason why small batches teach nothing.

    Args:
        critic: owned.
        view: z, (*axes, n).
        halves: whether the two sides are halves of the batch, or both are all of it, so that the critic sees
            every value on both sides.
    """

    couples_batch = True
    gathers = True

    def __init__(self, critic: nn.Module, view: View = codes, halves: bool = True) -> None:
        super().__init__()
        self.critic, self.view, self.halves = critic, view, halves

    def forward(self, trace: Trace) -> Tensor:
        """()."""
        z = self.view(trace)
        count = z.shape[-2]
        own = (count + 1) // 2 if self.halves else count
        other = z[..., own:, :] if own < count else z
        # one pass for both
        odds = log_odds(self.critic, torch.cat([z[..., :own, :], permute_dimensions(other)], -2))
        return 0.5 * (softplus(-odds[..., :own]).mean() + softplus(odds[..., own:]).mean())


def permute_dimensions(z: Tensor) -> Tensor:
    """Codes with every dimension permuted over the batch on its own: (*lead, batch, n), the same shape.

    Every dimension keeps its values, and a row holds values of unrelated data. The permutations are uniform,
    independent of each other, the same for all leading axes, and drawn from torch's global generator.
    """
    order = torch.rand(z.shape[-2:], dtype=z.dtype, device=z.device).argsort(-2)
    return z.gather(-2, order.expand(z.shape))
