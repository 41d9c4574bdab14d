"""Interpolations: the straight way between the codes of two held-out data, decoded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.errors import UnsupportedError
from vaekit.report.codes import Codes
from vaekit.report.columns import Columns
from vaekit.report.look import label_text
from vaekit.report.parts import Figure, Table
from vaekit.report.pictures import Pixels

_STEPS = 9
_PAIRS = 6


def _mean(p: Distribution) -> Tensor:
    found: Tensor = p.mean
    return found


def pairs_of(codes: Codes, most: int = _PAIRS) -> list[tuple[int, int]]:
    """Pairs of held-out data, each datum once; of different classes where there are classes."""
    y = codes.batch.get("y")
    classes = y.tolist() if y is not None and y.dim() == 1 else list(range(len(codes.means)))
    left = list(range(min(len(classes), 200)))
    found: list[tuple[int, int]] = []
    while left and len(found) < most:
        first = left.pop(0)
        second = next((row for row in left if classes[row] != classes[first]), None)
        if second is None:
            break
        left.remove(second)
        found.append((first, second))
    return found


def some_pairs(codes: Codes, most: int) -> list[tuple[int, int]]:
    """The same, one at least.

    Raises:
        UnsupportedError: if there is none.
    """
    found = pairs_of(codes, most)
    if not found:
        raise UnsupportedError("there are no two held-out data, of different classes, to go between")
    return found


@torch.no_grad()
def ways(
    codes: Codes, pairs: list[tuple[int, int]], steps: int, value: Callable[[Distribution], Tensor] = _mean
) -> Tensor:
    """What is decoded on straight lines of latents: (pairs, steps, *event).

    The first and the last of each line are the reconstructions of the two data. A condition moves along.

    Args:
        codes: held-out data.
        pairs: numbers of two data each.
        steps: on each line, its ends included; two or more.
        value: what stands for a likelihood; its mean by default.
    """
    first, second = (torch.tensor(part, device=codes.means.device) for part in zip(*pairs, strict=True))
    share = torch.linspace(0, 1, steps, device=codes.means.device)

    def line(values: Tensor) -> Tensor:
        a, b = values[first].unsqueeze(1), values[second].unsqueeze(1)
        t = share.view(1, -1, *(1 for _ in values.shape[1:]))
        return ((1 - t) * a + t * b).flatten(0, 1)

    context = codes.batch.get("c")
    decoded = value(codes.decode(line(codes.means), None if context is None else line(context)))
    lines: Tensor = decoded.unflatten(0, (len(pairs), steps))
    return lines


def evenness(line: Tensor) -> float:
    """The largest step of a line over its mean step: 1 where all are alike, steps - 1 for a single jump."""
    steps = (line[1:] - line[:-1]).flatten(1).square().mean(1).sqrt()
    mean = float(steps.mean())
    return float(steps.max()) / mean if mean > 0 else 1.0


_HOW = (
    "Each row walks in a straight line from the codes of one held-out datum to those of another: every step "
    "should be a believable datum; a blur or a jump halfway is a region that no data use."
)


HOW_TABLES = (
    "Each table walks in a straight line from the codes of one held-out datum to those of another: every "
    "step should be a believable datum."
)


@torch.no_grad()
def pictures_between(pixels: Pixels, codes: Codes, held: str) -> Figure:
    """Rows of pictures: a held-out one, the way, and another held-out one."""
    steps = max(3, min(_STEPS, pixels.columns(_STEPS + 2) - 2))
    pairs = some_pairs(codes, max(2, min(_PAIRS, pixels.room() // (steps + 2))))
    decoded = ways(codes, pairs, steps)
    context = codes.batch.get("c")
    rows = []
    for (first, second), line in zip(pairs, decoded, strict=True):
        share = torch.linspace(0, 1, steps, device=line.device).view(-1, 1)
        given = None if context is None else (1 - share) * context[first] + share * context[second]
        both = torch.tensor([first, second], device=line.device)
        left, right = pixels.values(codes.batch["x"][both], codes.context(both)).split(1)
        rows.append(torch.cat([left, pixels.values(line, given), right]))
    jump = float(np.median([evenness(line) for line in decoded]))
    alt = (
        f"{len(pairs)} rows of {steps + 2} pictures: a held-out one, {steps} decoded on the way, and another "
        "held-out one."
    )
    return Figure(
        key="between",
        title="Between two data",
        how=_HOW,
        pictures=(pixels.grid(torch.cat(rows), steps + 2, alt, apart=(1, steps + 1)),),
        caption=f"Outermost: {held} data{_chosen(codes)}; between them {steps} likelihood means on the line "
        f"of their posterior means, the first and the last of which are their reconstructions. The largest "
        f"step of a row changes {jump:.2g} times as much as the average one (median of the rows; an even "
        f"walk has 1, a single jump {steps - 1}).{pixels.remark}",
    )


@torch.no_grad()
def rows_between(columns: Columns, codes: Codes, held: str) -> Figure:
    """Tables: the values of every column on the way from one held-out row to another."""
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    pairs = some_pairs(codes, 2)
    decoded = ways(codes, pairs, len(shares))
    shown = columns.shown
    tables = []
    for number, ((first, second), line) in enumerate(zip(pairs, decoded, strict=True)):
        values = columns.values(line)
        ends = columns.values(codes.batch["x"][[first, second]])
        tables.append(
            Table(
                head=("column", "this datum", *(f"{100 * t:.0f} %" for t in shares), "that datum"),
                rows=tuple(
                    (
                        label_text(columns.names[i], 40),
                        *(f"{v:.4g}" for v in (ends[0, i], *values[:, i], ends[1, i])),
                    )
                    for i in shown
                ),
                label=f"pair {number + 1}",
            )
        )
    return Figure(
        key="between",
        title="Between two data",
        how=HOW_TABLES,
        tables=tuple(tables),
        caption=f"At the sides two {held} data{_chosen(codes)}; between them likelihood means on the line of "
        f"their posterior means; those at 0 and 100 % are their reconstructions.{columns.remark}",
    )


def _chosen(codes: Codes) -> str:
    y = codes.batch.get("y")
    return " of different classes" if y is not None and y.dim() == 1 else ""
