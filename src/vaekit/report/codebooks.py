"""How often each code of a codebook is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vaekit.metrics.codes import code_shares, use_of
from vaekit.models.columns import columns_of
from vaekit.report.codes import Codes
from vaekit.report.look import DATA, MODEL, Array, draw, plain_ticks
from vaekit.report.parts import Figure, Key

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def code_use(codes: Codes, held: str) -> Figure:
    """How often each code of a codebook is used."""
    pictures, said = [], []
    for name, columns in columns_of(codes.shapes).items():
        if name not in codes.discrete:
            continue
        values = codes.means[:, columns.start : columns.stop].long().cpu()
        use = use_of(codes.model, name, values)
        every: Array = code_shares(values, use.codes).sort(descending=True).values.numpy()

        def paint(ax: Axes, shares: Array = every) -> None:
            ax.stairs(100 * shares, np.arange(len(shares) + 1) + 0.5, fill=True, color=DATA, alpha=0.75)
            ax.axhline(100 / len(shares), color=MODEL, linewidth=1.4, linestyle=(0, (4, 2)))
            ax.set_xlabel("codes, most used first")
            plain_ticks(ax.xaxis, 6, whole=True)
            plain_ticks(ax.yaxis, 4)

        alt = (
            f"Shares of the {use.codes} codes of {name}, from {100 * every[0]:.2g} % downwards; {use.used} "
            f"occur, perplexity {use.perplexity:.1f}."
        )
        label = f"{name}: share of every code, %"
        pictures.append(draw(f"codes-{name}", alt, paint, size=(4.3, 2.2), label=label))
        said.append(
            f"{name}: {use.used} of {use.codes} codes occur, as many as {use.perplexity:.1f} used alike."
        )
    return Figure(
        key="prior",
        title="How often each code is used",
        how="A codebook earns its size where all codes are used alike, at the dashed line; codes at the "
        "right end that never occur could be left away.",
        pictures=tuple(pictures),
        keys=(Key(f"codes of {held} data", "data"), Key("uniform prior", "model", dashed=True)),
        caption=f"All positions of {len(codes.means)} {held} data.",
        found=" ".join(said),
    )
