"""What figures of every kind of data share: traversals, conditions for samples, draws of a likelihood."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.report.codes import Codes

STEPS = 7  # whole standard deviations
REACH = 3.0


def walk_plan(codes: Codes, most: int) -> tuple[Tensor, list[tuple[int, Tensor]]]:
    """Steps in standard deviations, and for the most used latents the values that they take.

    With several levels the top one gets at least half of the places, since each of its latents moves more.
    """
    steps = torch.linspace(-REACH, REACH, STEPS, device=codes.means.device)
    order, top = codes.order, max(codes.level)
    chosen = order[:most]
    if top > 0:
        first = [column for column in order if codes.level[column] == top][: -(-most // 2)]
        chosen = first + [column for column in order if column not in first][: most - len(first)]
    middle, spread = (
        codes.draws.mean(0),
        codes.draws.std(0) if len(codes.draws) > 1 else torch.ones_like(codes.means[0]),
    )
    return steps, [(column, middle[column] + steps * spread[column]) for column in chosen]


def walk_words(codes: Codes, count: int) -> str:
    """What a traversal did, for its caption."""
    which = "by rate" if codes.rates is not None else "by the variance of their means"
    all_of_them = codes.means.shape[1]
    part = "Every latent" if count == all_of_them else f"The {count} most used of {all_of_them} latents"
    levels = ", the top level first" if max(codes.level) > 0 else ""
    given = ", under its condition" if "c" in codes.batch else ""
    return (
        f"{part}, ordered {which}{levels}; {STEPS} steps from \u22123 to +3 standard deviations of the "
        f"aggregate posterior, the other latents at the posterior mean of one held-out datum{given}; "
        "likelihood means."
    )


def prior_context(codes: Codes, count: int) -> tuple[Tensor | None, str]:
    """Conditions for `count` draws, taken from held-out data in turn, and the words that say so."""
    every = codes.batch.get("c")
    if every is None:
        return None, ""
    rows = torch.arange(count, device=every.device) % len(every)
    return every[rows], ", with the conditions of held-out data"


def source_word(codes: Codes) -> str:
    """What new data are drawn from."""
    return "prior" if codes.source is codes.model else "later stages"


def repeated(context: Tensor | None, count: int) -> Tensor | None:
    """One condition (1, *context) for `count` rows."""
    return None if context is None else context.expand(count, *context.shape[1:])


def draw_noise(p: Distribution) -> Tensor | None:
    """A draw of the likelihood, or None where it cannot be drawn from."""
    try:
        return p.sample()
    except NotImplementedError:
        return None
