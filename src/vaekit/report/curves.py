"""Training curves: every recorded term, on the training set and on held-out data, player by player."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vaekit.report.look import DATA, MODEL, SOFT, Array, draw, label_text, log_ticks, plain_ticks
from vaekit.report.parts import Figure, Key, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Mapping[str, Any]]

_SPLITS = ("train", "valid")
_NOT_TERMS = ("epoch", "step", "seconds")
_FIRST = ("loss", "distortion", "rate", "elbo")
_TITLES = {
    "distortion": "Distortion",
    "rate": "Rate",
    "loss": "Loss: what is minimised",
    "elbo": "ELBO",
}
_MOST = 60
_FEW = 6  # panels that are drawn large
_DECADES = 20.0  # a line that moves by more than this factor is easier to read on a logarithmic scale


@dataclass(frozen=True)
class Curve:
    """One named value over the epochs.

    Args:
        name: as it was recorded, without the split.
        lines: split -> values, (epochs,), NaN where there is none; "" for what is of neither split.
    """

    name: str
    lines: Mapping[str, Array]

    @property
    def player(self) -> str:
        """Whose it is: "critic" of "critic/loss"; nothing where there is one player, or for no term."""
        return "" if "" in self.lines else self.name.rpartition("/")[0]

    @property
    def term(self) -> str:
        """What it is: "loss" of "critic/loss"."""
        return self.name.rpartition("/")[2]

    @property
    def title(self) -> str:
        """For people: "Weight of rate" for "weight/rate"."""
        if "" in self.lines and "/" in self.name:
            kind, *whose = self.name.replace("_", " ").split("/")
            return label_text(f"{kind.capitalize()} of {', '.join(reversed(whose))}", 40)
        return _TITLES.get(self.term, label_text(self.term.replace("_", " "), 40))

    @property
    def constant(self) -> float | None:
        """Its value where it never changes."""
        known = np.concatenate([line[np.isfinite(line)] for line in self.lines.values()])
        return float(known[0]) if len(known) > 1 and (known == known[0]).all() else None

    def late(self, skipped: int) -> Array:
        """Its finite values after the first epochs."""
        every = np.concatenate([line[skipped:] for line in self.lines.values()])
        found: Array = every[np.isfinite(every)]
        return found

    def logarithmic(self, skipped: int) -> bool:
        """Whether it is drawn on a logarithmic scale: positive throughout, and over more than a decade."""
        every, late = self.late(0), self.late(skipped)
        return bool(len(late) and every.min() > 0 and late.max() > _DECADES * late.min())


def curves(rows: Rows, best: int | None, *, key: str = "curves", title: str = "Training") -> Figure | None:
    """Small panels of every named value over the epochs, or None if nothing was recorded.

    Args:
        rows: one mapping an epoch, with "epoch" and values named "train/..." and "valid/..."; any other
            number of a row is drawn as a line of its own.
        best: the epoch whose weights were kept.
        key: of the figure.
        title: of the figure.
    """
    every = recorded(rows)
    if not every:
        return None
    epochs = np.array([_number(row.get("epoch"), fallback=i + 1) for i, row in enumerate(rows)])
    skipped = max(1, len(rows) // 20) if len(rows) > 3 else 0
    moving = [curve for curve in every if curve.constant is None or len(every) <= _FEW]
    still = [curve for curve in every if curve not in moving]
    shown = (moving or every)[:_MOST]
    players = {curve.player for curve in shown}
    large = len(shown) <= _FEW
    pictures = []
    for number, curve in enumerate(shown):
        picture = _panel(f"{key}-{number}", curve, epochs, best, skipped, large)
        group = _group(curve) if len({_group(one) for one in shown}) > 1 else ""
        pictures.append(Picture(picture.alt, svg=picture.svg, label=picture.label, width=picture.width,
                                group=group))  # fmt: skip
    caption = "Terms in nats per datum, averaged over the epoch (training) or over the validation set."
    if skipped:
        few = "first epoch" if skipped == 1 else f"first {skipped} epochs"
        caption += f" The scale is set by what follows the {few}, which may run off the panel."
    if any(curve.logarithmic(skipped) for curve in shown):
        caption += " Panels marked log have a logarithmic scale."
    if still and moving:
        listed = ", ".join(f"{label_text(curve.name, 40)} {curve.constant:.4g}" for curve in still)
        caption += f" Constant throughout: {listed}."
    if len(moving) > _MOST:
        caption += f" {len(moving) - _MOST} further values are in metrics.jsonl."
    splits = {split for curve in shown for split in curve.lines}
    keys = [
        *([Key("training set", "model", dashed=True)] if "train" in splits else []),
        *([Key("held-out data", "data")] if "valid" in splits else []),
        *([Key("of neither", "ink")] if "" in splits else []),
        *([] if best is None else [Key(f"best epoch ({best:g})", "soft", dashed=True)]),
    ]
    how = (
        "The held-out line should fall and then lie flat: where it rises while the training line falls, "
        "the model has begun to learn the training set by heart."
    )
    if len(players) > 1:
        how += " Players who work against each other need not fall: what counts is that none runs away."
    return Figure(key=key, title=title, how=how, pictures=tuple(pictures), keys=tuple(keys), caption=caption)


def recorded(rows: Rows) -> list[Curve]:
    """Every named value that is finite somewhere: the players in their order, the known terms first."""
    names: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, value in row.items():
            if name in _NOT_TERMS or not np.isfinite(_number(value)):
                continue
            split, slash, term = name.partition("/")
            known = bool(slash) and split in _SPLITS
            names.setdefault(term if known else name, {})[split if known else ""] = None
    if "elbo" in names and "loss" in names:
        loss, elbo = _series(rows, "valid/loss"), _series(rows, "valid/elbo")
        if np.allclose(loss, -elbo, rtol=1e-4, equal_nan=True):
            del names["elbo"]  # the same line upside down
    found = [
        Curve(name, {split: _series(rows, f"{split}/{name}" if split else name) for split in _in_order(has)})
        for name, has in names.items()
    ]
    groups = list(dict.fromkeys(_group(curve) for curve in found))
    rank = {term: place for place, term in enumerate(_FIRST)}
    return sorted(found, key=lambda c: (groups.index(_group(c)), rank.get(c.term, len(_FIRST))))


def _in_order(has: Mapping[str, None]) -> list[str]:
    return [split for split in (*_SPLITS, "") if split in has]


def _panel(key: str, curve: Curve, epochs: Array, best: int | None, skipped: int, large: bool) -> Picture:
    logarithmic = curve.logarithmic(skipped)
    size = (2.8, 2.1) if large else (2.16, 1.55)

    def paint(ax: Axes) -> None:
        marker = "o" if len(epochs) < 3 else ""
        if best is not None:
            ax.axvline(best, color=SOFT, linewidth=1, linestyle=(0, (1, 2)))
        for split, line in curve.lines.items():
            if split == "train":
                ax.plot(epochs, line, color=MODEL, linestyle=(0, (4, 2)), linewidth=1.5, marker=marker)
            else:
                ax.plot(epochs, line, color=DATA if split else SOFT, marker=marker)
        low, high = _limits(curve.late(skipped), logarithmic)
        if logarithmic:
            ax.set_yscale("log")
            log_ticks(ax.yaxis)
        else:
            plain_ticks(ax.yaxis, 5 if large else 4)
        ax.set_ylim(low, high)
        if large:
            ax.set_xlabel("epoch")
        plain_ticks(ax.xaxis, 6 if large else 4, whole=True)

    label = f"{curve.title} · log" if logarithmic else curve.title
    return draw(key, _words(curve, epochs), paint, size=size, label=label)


def _group(curve: Curve) -> str:
    if "" in curve.lines:
        return "weights, and what else moved"
    return f"player {label_text(curve.player)}" if curve.player else "terms"


def _series(rows: Rows, name: str) -> Array:
    return np.array([_number(row.get(name)) for row in rows])


def _number(value: Any, fallback: float = math.nan) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else fallback


def _limits(late: Array, logarithmic: bool) -> tuple[float | None, float | None]:
    if not len(late):
        return None, None
    low, high = float(late.min()), float(late.max())
    if logarithmic:
        return low / 1.25, high * 1.25
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _words(curve: Curve, epochs: Array) -> str:
    said = []
    for split, line in curve.lines.items():
        known = np.flatnonzero(np.isfinite(line))
        first, last = known[0], known[-1]
        name = {"train": "training ", "valid": "held-out "}.get(split, "")
        said.append(
            f"{name}from {line[first]:.4g} at epoch {epochs[first]:g} to {line[last]:.4g} at epoch "
            f"{epochs[last]:g}"
        )
    who = f", player {label_text(curve.player)}," if curve.player else ""
    return f"{curve.title}{who} over the epochs: {'; '.join(said)}."
