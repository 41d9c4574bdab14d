"""Training curves: every recorded term, on the training set and on held-out data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vaekit.report.look import DATA, MODEL, SOFT, Array, draw, label_text, plain_ticks
from vaekit.report.parts import Figure, Key, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Mapping[str, Any]]

_FIRST = ("distortion", "rate", "loss", "elbo")
_MOST = 12
_TITLES = {
    "distortion": "Distortion",
    "rate": "Rate",
    "loss": "Loss: what is minimised",
    "elbo": "ELBO",
}


def curves(rows: Rows, best: int | None) -> Figure | None:
    """Small panels of every term over the epochs, or None if nothing was recorded.

    Args:
        rows: one mapping an epoch, with "epoch" and values named "train/..." and "valid/...".
        best: the epoch whose weights were kept.
    """
    terms = _terms(rows)
    epochs = np.array([_number(row.get("epoch"), fallback=i + 1) for i, row in enumerate(rows)])
    pictures: list[Picture] = []
    skipped = max(1, len(rows) // 20) if len(rows) > 3 else 0
    for term in terms[:_MOST]:
        train, valid = (_series(rows, f"{split}/{term}") for split in ("train", "valid"))
        lines = [line for line in (train, valid) if np.isfinite(line).any()]

        def paint(ax: Axes, train: Array = train, valid: Array = valid, lines: list[Array] = lines) -> None:
            marker = "o" if len(rows) < 3 else ""
            if best is not None:
                ax.axvline(best, color=SOFT, linewidth=1, linestyle=(0, (1, 2)))
            ax.plot(epochs, train, color=MODEL, linestyle=(0, (4, 2)), linewidth=1.5, marker=marker)
            ax.plot(epochs, valid, color=DATA, marker=marker)
            ax.set_ylim(*_limits(lines, skipped))
            ax.set_xlabel("epoch")
            plain_ticks(ax.xaxis, 6, whole=True)
            plain_ticks(ax.yaxis)

        pictures.append(
            draw(
                f"curve-{len(pictures)}",
                _words(term, epochs, train, valid),
                paint,
                size=(2.8, 2.1),
                label=_title(term),
            )
        )
    if not pictures:
        return None
    caption = "All values in nats per datum, averaged over the epoch (training) or over the validation set."
    if skipped:
        few = "first epoch" if skipped == 1 else f"first {skipped} epochs"
        caption += f" The scale is set by what follows the {few}, which may run off the panel."
    if len(terms) > _MOST:
        caption += f" {len(terms) - _MOST} further terms are in metrics.jsonl."
    return Figure(
        key="curves",
        title="Training",
        how="The held-out line should fall and then lie flat: where it rises while the training line falls, "
        "the model has begun to learn the training set by heart.",
        pictures=tuple(pictures),
        keys=(
            Key("training set", "model", dashed=True),
            Key("held-out data", "data"),
            *(() if best is None else (Key(f"best epoch ({best:g})", "soft", dashed=True),)),
        ),
        caption=caption,
    )


def _terms(rows: Rows) -> list[str]:
    found: dict[str, None] = {}
    for row in rows:
        for name in row:
            split, slash, term = name.partition("/")
            if slash and split in ("train", "valid") and np.isfinite(_number(row[name])):
                found[term] = None
    if "elbo" in found and "loss" in found:
        loss, elbo = _series(rows, "valid/loss"), _series(rows, "valid/elbo")
        if np.allclose(loss, -elbo, rtol=1e-4, equal_nan=True):
            del found["elbo"]  # the same line upside down
    return sorted(found, key=lambda term: _FIRST.index(term) if term in _FIRST else len(_FIRST))


def _title(term: str) -> str:
    return _TITLES.get(term, label_text(term.replace("_", " "), 40))


def _series(rows: Rows, name: str) -> Array:
    return np.array([_number(row.get(name)) for row in rows])


def _number(value: Any, fallback: float = math.nan) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else fallback


def _limits(lines: Sequence[Array], skipped: int) -> tuple[float | None, float | None]:
    late = np.concatenate([line[skipped:] for line in lines])
    late = late[np.isfinite(late)]
    if not len(late):
        return None, None
    low, high = float(late.min()), float(late.max())
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _words(term: str, epochs: Array, train: Array, valid: Array) -> str:
    said = []
    for name, line in (("training", train), ("held-out", valid)):
        known = np.flatnonzero(np.isfinite(line))
        if len(known):
            first, last = known[0], known[-1]
            said.append(
                f"{name} from {line[first]:.4g} at epoch {epochs[first]:g} to {line[last]:.4g} at epoch "
                f"{epochs[last]:g}"
            )
    return f"{_title(term)} over the epochs: {'; '.join(said)}."
