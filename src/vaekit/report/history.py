"""The rate of every latent over training: when it came into use, and when it fell asleep."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vaekit.report.look import INK, SOFT, Array, class_colour, draw, label_text, log_ticks, plain_ticks
from vaekit.report.parts import Figure, Key
from vaekit.validation import RATES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Mapping[str, Any]]

EMPTY = 0.01
"""Nats: a latent with a smaller rate says nothing about the data."""

_MOST = 10  # lines with a colour of their own
_LEAST = 1e-4  # nats: what is below is drawn there


def rates_of_rows(rows: Rows) -> tuple[list[int], dict[str, Array]]:
    """The epochs whose rows have rates, and the rates of every latent in them, (epochs,), NaN for none.

    Args:
        rows: of the record; those of older runs, and of models whose rate does not split, have none.
    """
    known = [row for row in rows if isinstance(row.get(f"valid/{RATES}"), Mapping)]
    names = dict.fromkeys(name for row in known for name in row[f"valid/{RATES}"])
    said = [row.get("epoch") for row in known]
    epochs = [epoch if isinstance(epoch, int) else i + 1 for i, epoch in enumerate(said)]
    return epochs, {
        name: np.array([_number(row[f"valid/{RATES}"].get(name)) for row in known]) for name in names
    }


def asleep_since(epochs: Sequence[int], rates: Array, threshold: float = EMPTY) -> int | None:
    """The first of the epochs after which a rate stayed below the threshold to the end.

    Where it was never above, that is the first of all. None where it is above it at the end, or unknown.

    Args:
        epochs: of the rows.
        rates: in them, (epochs,); what is NaN does not count.
        threshold: nats.

    >>> asleep_since([1, 2, 3, 4], np.array([0.2, 0.001, 0.3, 0.002]))
    4
    """
    since = None
    for epoch, rate in zip(reversed(epochs), reversed(rates), strict=True):
        if math.isnan(rate):
            continue
        if rate >= threshold:
            break
        since = epoch
    return since


def history(rows: Rows, best: int | None, *, key: str = "history", title: str = "") -> Figure | None:
    """Lines of the rates of at most ten latents over training, or None with fewer than two rows of rates.

    Args:
        rows: of the record.
        best: the epoch whose weights were kept.
        key: of the figure.
        title: of the figure.
    """
    epochs, rates = rates_of_rows(rows)
    if len(epochs) < 2 or not any(np.isfinite(line).any() for line in rates.values()):
        return None
    order = sorted(rates, key=lambda name: -_largest(rates[name]))
    shown = [name for name in rates if name in order[:_MOST]]
    since = {name: asleep_since(epochs, line) for name, line in rates.items()}

    def paint(ax: Axes) -> None:
        if best is not None:
            ax.axvline(best, color=SOFT, linewidth=1, linestyle=(0, (1, 2)))
        ax.axhline(EMPTY, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        for number, name in enumerate(shown):
            ax.plot(epochs, np.maximum(rates[name], _LEAST), color=class_colour(number))
        ax.set_yscale("log")
        log_ticks(ax.yaxis)
        top = max(_largest(line) for line in rates.values())
        ax.set_ylim(_LEAST / 1.3, max(2 * EMPTY, 1.5 * top))
        ax.set_xlabel("epoch")
        plain_ticks(ax.xaxis, 8, whole=True)

    empty = sum(epoch is not None for epoch in since.values())
    alt = (
        f"Rates of {len(shown)} latents over {len(epochs)} epochs, from "
        f"{', '.join(f'{label_text(name)} {rates[name][-1]:.3g}' for name in shown)} nats at the end."
    )
    caption = (
        f"KL divergence of each latent from its prior, mean over the validation set, after every epoch; "
        f"what is below {_LEAST:g} nats is drawn there."
    )
    if len(order) > len(shown):
        rest = max(_largest(rates[name]) for name in order[_MOST:])
        caption += (
            f" The {len(shown)} latents whose rate was largest are shown; the other "
            f"{len(order) - len(shown)} were never above {rest:.2g} nats."
        )
    return Figure(
        key=key,
        title=title or "When each latent came into use",
        how="A line that rises is a latent that the model begins to use; one that falls below the dashed "
        "line and stays there has fallen asleep, and tells the decoder nothing any more.",
        pictures=(draw(f"{key}-rates", alt, paint, size=(5.6, 2.9), label="rate, nats · log"),),
        keys=(
            *(Key(label_text(name), f"class-{number}") for number, name in enumerate(shown)),
            Key(f"asleep below {EMPTY:g} nats", "ink", dashed=True),
            *([] if best is None else [Key(f"best epoch ({best:g})", "soft", dashed=True)]),
        ),
        caption=caption,
        found=f"{empty} of {len(rates)} latents are asleep at the end: {told_since(since, epochs, rows)}."
        if empty
        else "",
    )


def told_since(since: Mapping[str, int | None], epochs: Sequence[int], rows: Rows, most: int = 6) -> str:
    """'z 3, z 4 from the beginning; z 7 since epoch 12 of 40': latents by when they fell asleep.

    Args:
        since: latent -> epoch, as `asleep_since` says it; those of None are left out.
        epochs: of the rows that have rates.
        rows: of the record; where the first has no rates, nobody knows of the beginning.
        most: names of one group, and groups, that are told one by one.
    """
    whole = isinstance(rows[0].get(f"valid/{RATES}"), Mapping)
    first = "from the beginning" if whole else f"since epoch {epochs[0]} of {epochs[-1]} at least"
    groups: dict[int, list[str]] = {}
    for name, epoch in since.items():
        if epoch is not None:
            groups.setdefault(epoch, []).append(label_text(name))
    found = []
    for place, epoch in enumerate(sorted(groups)):
        names = groups[epoch]
        if place >= most and len(groups) > most + 1:
            later = sum(len(groups[late]) for late in groups if late >= epoch)
            found.append(f"{later} more since later epochs")
            break
        more = f" and {len(names) - most} more" if len(names) > most + 1 else ""
        told = ", ".join(names if not more else names[:most]) + more
        when = first if epoch == epochs[0] else f"since epoch {epoch} of {epochs[-1]}"
        found.append(f"{told} {when}")
    return "; ".join(found)


def _largest(line: Array) -> float:
    finite = line[np.isfinite(line)]
    return float(finite.max()) if len(finite) else 0.0


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
