"""What each latent moves in a table or another vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from vaekit.report.codes import Codes
from vaekit.report.columns import Columns
from vaekit.report.heat import heat
from vaekit.report.look import DATA, MODEL, SOFT, Array, draw, label_text, plain_ticks
from vaekit.report.parts import Figure, Picture
from vaekit.report.walks import REACH, STEPS, walk_plan, walk_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LATENTS = 16


@torch.no_grad()
def effects(columns: Columns, codes: Codes) -> Figure:
    """What each latent moves: a map of latents and columns, or lines where vectors are long."""
    _, plan = walk_plan(codes, 6 if columns.wide else _LATENTS)
    walks = [(column, columns.values(codes.walk(0, column, values))) for column, values in plan]
    if columns.wide:
        pictures = [_fan(codes.labels[column], walk) for column, walk in walks]
        how = (
            "Each panel moves one latent from low (blue) to high (orange) and leaves the others alone: where "
            "the lines part is what this latent means to the decoder."
        )
        return Figure(
            "traversals", "What each latent does", how, tuple(pictures), caption=walk_words(codes, len(plan))
        )
    spread = columns.values(codes.batch["x"]).std(0)
    change = np.stack([(walk[-1] - walk[0]) / np.where(spread > 0, spread, 1) for _, walk in walks])
    picture = _map(
        change[:, list(columns.shown)],
        [codes.labels[column] for column, _ in walks],
        [label_text(columns.names[i], 16) for i in columns.shown],
    )
    return Figure(
        key="traversals",
        title="What each latent does",
        how="A cell says by how many of its standard deviations a column changes when the latent goes from "
        "low to high, the other latents left alone: blue falls, orange rises.",
        pictures=(picture,),
        caption=walk_words(codes, len(plan)).replace(f"{STEPS} steps from", "from") + columns.selection,
    )


def _fan(name: str, walk: Array) -> Picture:
    picked = walk[:: max(1, (len(walk) - 1) // 4)]

    def paint(ax: Axes) -> None:
        for i, line in enumerate(picked):
            colour = DATA if i < len(picked) // 2 else MODEL if i > len(picked) // 2 else SOFT
            middle = abs(i - len(picked) // 2) / max(1, len(picked) // 2)
            ax.plot(line, color=colour, linewidth=1.4, alpha=0.35 + 0.65 * middle)
        plain_ticks(ax.yaxis, 4)

    alt = f"Latent {name}: lines decoded from -{REACH:g} to +{REACH:g} standard deviations."
    return draw(f"fan-{name.replace(' ', '-')}", alt, paint, size=(4.3, 1.9), label=name)


def _map(change: Array, rows: Sequence[str], names: Sequence[str]) -> Picture:
    i, j = divmod(int(np.abs(change).argmax()), change.shape[1])
    alt = (
        f"A map of {len(rows)} latents and {len(names)} columns; the strongest effect is {change[i, j]:+.2f} "
        f"standard deviations of {names[j]} by latent {rows[i]}."
    )
    return heat("map", change, rows, names, alt, text=_signed)


def _signed(value: float) -> str:
    """One decimal with its sign; what rounds to nothing has none."""
    text = f"{value:+.1f}"
    return "0" if float(text) == 0 else text.replace("-", "\u2212")
