"""Figures of tables and other vectors: samples against data, reconstructions, what each latent moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vaekit.data.restore import original_units
from vaekit.data.spec import Spec
from vaekit.report.codes import Codes
from vaekit.report.look import DATA, MODEL, SOFT, Array, dots, draw, label_text, plain_ticks
from vaekit.report.parts import Figure, Key, Picture
from vaekit.report.walks import draw_noise, prior_context, source_word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = 16
_ELEMENTS = 9
_DOTS = 300
_DRAWS = 2000
_NARROW = 16


@dataclass(frozen=True)
class Columns:
    """The elements of a vector, in the units of the original data where the spec knows them.

    Args:
        spec: the data.
        names: of all elements.
        shown: the elements that get a panel.
    """

    spec: Spec
    names: tuple[str, ...]
    shown: tuple[int, ...]

    @classmethod
    def of(cls, spec: Spec, x: Tensor) -> Columns:
        """All columns of a small table; of unnamed elements those that vary most over `x`."""
        names = spec.columns or tuple(f"x{i + 1}" for i in range(spec.dimensions))
        if spec.columns is None and spec.dimensions > _PANELS:
            most = x.flatten(1).float().var(0, correction=0).argsort(descending=True, stable=True)[:_ELEMENTS]
            return cls(spec, names, tuple(sorted(most.tolist())))
        return cls(spec, names, tuple(range(min(_PANELS, spec.dimensions))))

    def values(self, x: Tensor) -> Array:
        """(N, D) in original units."""
        found: Array = original_units(self.spec, x.detach().double().cpu()).flatten(1).numpy()
        return found

    @property
    def wide(self) -> bool:
        """Whether the elements are better seen as one line than one by one."""
        return self.spec.columns is None and self.spec.dimensions > _NARROW

    @property
    def selection(self) -> str:
        """Which elements are shown, where it is not all of them."""
        count = len(self.names)
        if len(self.shown) == count:
            return ""
        which = "first of {} columns" if self.spec.columns else "most varying of {} elements"
        return f" Shown are the {len(self.shown)} {which.format(count)}."

    @property
    def remark(self) -> str:
        """Which elements are shown, and in which units."""
        return self.selection + (" Original units." if self.spec.offset is not None else "")


@torch.no_grad()
def histograms(columns: Columns, codes: Codes, held: str) -> Figure:
    """The distribution of every column: data against samples."""
    data = columns.values(codes.batch["x"])
    count = max(len(data), _DRAWS)
    context, said = prior_context(codes, count)
    p = codes.source.generate(count, context)
    noise = draw_noise(p)
    model = columns.values(p.mean if noise is None else noise)
    how_drawn = "with the noise of the likelihood" if noise is not None else "as likelihood means"
    discrete = columns.spec.kind in ("binary", "count", "categorical")
    pictures = [
        _histogram(f"column-{i}", columns.names[i], data[:, i], model[:, i], discrete) for i in columns.shown
    ]
    return Figure(
        key="columns",
        title="Samples against data",
        how="In every column the line of the samples should follow the filled shape of the data: a missing "
        "peak is something that the model never makes.",
        pictures=tuple(pictures),
        keys=(Key(f"{held} data", "data"), Key("samples of the model", "model", dashed=True)),
        caption=f"{len(data)} {held} data and {count} samples from the {source_word(codes)}{said}, drawn "
        f"{how_drawn}.{columns.remark}",
    )


def _histogram(key: str, name: str, data: Array, model: Array, discrete: bool) -> Picture:
    low, high = np.quantile(np.concatenate([data, model]), [0.002, 0.998])
    if discrete and high - low <= 40:
        edges = np.arange(np.floor(low) - 0.5, np.ceil(high) + 1)
    else:
        low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
        bins = int(np.clip(2 * len(data) ** (1 / 3), 8, 30))  # Rice's rule
        edges = np.linspace(low, high, bins + 1)
    heights = [_share(values, edges) for values in (data, model)]

    def paint(ax: Axes) -> None:
        ax.stairs(heights[0], edges, fill=True, color=DATA, alpha=0.35, linewidth=0)
        ax.stairs(heights[1], edges, color=MODEL, linewidth=1.6, linestyle=(0, (4, 1.5)))
        ax.set_ylim(0, 1.08 * max(heights[0].max(), heights[1].max(), 1e-9))
        ax.set_yticks([])
        ax.grid(False)
        ax.spines["left"].set_visible(False)
        plain_ticks(ax.xaxis, 4)

    alt = (
        f"Column {name}: mean {data.mean():.4g} and standard deviation {data.std():.4g} in the data, "
        f"{model.mean():.4g} and {model.std():.4g} in the samples."
    )
    return draw(key, alt, paint, size=(2.8, 1.5), label=label_text(name))


def _share(values: Array, edges: Array) -> Array:
    counts, _ = np.histogram(values, edges)
    return counts / max(1, len(values))


@torch.no_grad()
def rebuilt(columns: Columns, codes: Codes, held: str) -> Figure:
    """Held-out data against their reconstructions: a panel a column, or a datum where vectors are long."""
    rows = slice(0, _DOTS)
    context = codes.context(rows)
    before = columns.values(codes.batch["x"][rows])
    after = columns.values(codes.decode(codes.means[rows], context).mean)
    if columns.wide:
        pictures = [_profile(i, before[i], after[i]) for i in range(min(6, len(before)))]
        how = "Where the dashed line leaves the full one, the latents do not carry that part of the datum."
        caption, remark = f"{len(pictures)} {held} data over the number of the element", ""
        keys = (Key(f"{held} datum", "data"), Key("its reconstruction", "model", dashed=True))
    else:
        pictures = [_against(i, columns.names[i], before[:, i], after[:, i]) for i in columns.shown]
        how = "On the diagonal a column comes back as it was; a flat cloud is what the latents do not carry."
        caption, remark = f"{len(before)} {held} data across, their reconstructions upwards", columns.remark
        keys = (Key(f"{held} datum", "model", point=True), Key("equal", "soft", dashed=True))
    return Figure(
        key="reconstructions",
        title="Reconstructions",
        how=how,
        pictures=tuple(pictures),
        keys=keys,
        caption=f"{caption}: the mean of the likelihood at the posterior mean.{remark}",
    )


def _against(number: int, name: str, before: Array, after: Array) -> Picture:
    total = float(((before - before.mean()) ** 2).sum())
    explained = 1 - float(((before - after) ** 2).sum()) / total if total > 0 else float("nan")
    low, high = float(min(before.min(), after.min())), float(max(before.max(), after.max()))

    def paint(ax: Axes) -> None:
        ax.plot([low, high], [low, high], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
        dots(ax, before, after, MODEL, 3.8, 0.7)
        plain_ticks(ax.xaxis, 4)
        plain_ticks(ax.yaxis, 4)

    share = "" if np.isnan(explained) else f" · R² {explained:.2f}"
    alt = f"Column {name}: reconstruction against datum, explained share of the variance {explained:.3f}."
    return draw(f"against-{number}", alt, paint, size=(2.8, 2.2), label=label_text(name) + share)


def _profile(number: int, before: Array, after: Array) -> Picture:
    def paint(ax: Axes) -> None:
        ax.plot(before, color=DATA, linewidth=1.4)
        ax.plot(after, color=MODEL, linewidth=1.4, linestyle=(0, (4, 1.5)))
        plain_ticks(ax.yaxis, 4)

    apart = np.abs(before - after).mean()
    alt = f"Datum {number + 1} and its reconstruction; mean absolute difference {apart:.4g}."
    return draw(f"profile-{number}", alt, paint, size=(4.3, 1.9), label=f"datum {number + 1}")
