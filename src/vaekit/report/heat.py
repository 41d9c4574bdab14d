"""A matrix as a map of cells, each with its number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vaekit.report.look import DATA, INK, MODEL, PAPER, Array, draw
from vaekit.report.parts import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def heat(
    key: str,
    values: Array,
    rows: Sequence[str],
    columns: Sequence[str],
    alt: str,
    *,
    text: Callable[[float], str],
    label: str = "",
    top: float | None = None,
    axes: tuple[str, str] = ("", ""),
) -> Picture:
    """A map: orange above zero, blue below, the stronger the farther from it.

    Args:
        key: unique within the page.
        values: (rows, columns).
        rows, columns: their names.
        alt: what it shows, in words.
        text: what stands in a cell.
        label: a short text above.
        top: the value of full colour; the largest by default.
        axes: what is across, and what is downwards, where it is not plain.
    """
    full = max(float(np.abs(values).max()) if top is None else top, 1e-9)
    count, width = values.shape

    def paint(ax: Axes) -> None:
        from matplotlib.patches import Rectangle

        for i in range(count):
            for j in range(width):
                value = float(values[i, j])
                share = min(1.0, abs(value) / full)
                ax.add_patch(
                    Rectangle(
                        (j - 0.47, i - 0.44), 0.94, 0.88, facecolor=MODEL if value > 0 else DATA,
                        alpha=0.06 + 0.74 * share, linewidth=0,
                    )
                )  # fmt: skip
                ink = PAPER if share > 0.7 else INK
                ax.text(j, i, text(value), ha="center", va="center", fontsize=9, color=ink)
        ax.set_xlim(-0.5, width - 0.5)
        ax.set_ylim(count - 0.5, -0.5)
        slanted = max(map(len, columns)) > 4
        if slanted:
            ax.set_xticks(range(width), columns, rotation=40, ha="right", rotation_mode="anchor")
        else:
            ax.set_xticks(range(width), columns)
        ax.set_yticks(range(count), rows)
        ax.set_xlabel(axes[0])
        ax.set_ylabel(axes[1])
        ax.grid(False)
        ax.spines[:].set_visible(False)

    wide = (0.62 if max((len(text(float(v))) for v in values.reshape(-1)), default=1) > 3 else 0.5) * width
    return draw(key, alt, paint, size=(max(2.4, min(8.4, 1.0 + wide)), 0.9 + 0.32 * count), label=label)
