"""Samples as pictures, arranged by the conditions that they were drawn under."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data.conditions import by_class
from vaekit.report.codes import Codes
from vaekit.report.look import label_text
from vaekit.report.parts import Figure, Picture
from vaekit.report.pictures import Pixels
from vaekit.report.walks import draw_noise, source_word

_ROWS = 6


@dataclass(frozen=True)
class Strip:
    """Draws in rows and columns, as they stand in one picture.

    Args:
        places: numbers of the draws, (rows, columns).
        label: what is above.
        data: numbers of the held-out data that stand before the rows, (rows,): those whose condition each
            row has.
    """

    places: Tensor
    label: str = ""
    data: Tensor | None = None


@dataclass(frozen=True)
class Plan:
    """What is drawn, and where it stands.

    Args:
        context: of every draw, (n, *context), or None where there are no conditions.
        strips: in order.
        said: under which conditions, for the caption.
        n: number of draws.
    """

    context: Tensor | None
    strips: tuple[Strip, ...]
    said: str
    n: int


def plan(pixels: Pixels, codes: Codes) -> Plan:
    """A column for every class where the condition is the label, else a row for each of some conditions."""
    columns = pixels.columns(12)
    if "c" not in codes.batch:
        count = max(columns, min(_ROWS * columns, pixels.room() // columns * columns))
        return Plan(None, (Strip(torch.arange(count).view(-1, columns)),), "", count)
    return _columns(pixels, codes, columns) if by_class(codes.batch) else _rows(pixels, codes, columns)


def _columns(pixels: Pixels, codes: Codes, columns: int) -> Plan:
    every = codes.batch["c"].shape[1]
    names = pixels.spec.class_labels(every)
    classes = min(every, pixels.room())
    rows = max(1, min(_ROWS, pixels.room() // classes))
    one_hot = torch.eye(every, device=codes.means.device)[:classes]
    places = torch.arange(rows * classes).view(rows, classes)
    strips = tuple(
        Strip(part, "given, from left to right: " + ", ".join(label_text(names[int(k)]) for k in part[0]))
        for part in places.split(columns, 1)
    )
    which = "class" if classes == every else f"of the first {classes} of {every} classes"
    said = f", {rows} under each {which}, one above the other"
    return Plan(one_hot.repeat(rows, 1), strips, said, rows * classes)


def _rows(pixels: Pixels, codes: Codes, columns: int) -> Plan:
    across = max(1, columns - 1)  # a held-out datum stands before them
    rows = max(1, min(_ROWS, len(codes.means), pixels.room() // (across + 1)))
    data = torch.arange(rows)
    context = codes.batch["c"][:rows].repeat_interleave(across, 0)
    strip = Strip(torch.arange(rows * across).view(rows, across), data=data)
    said = f", {across} in every row, under the condition of the held-out datum that the row begins with"
    return Plan(context, (strip,), said, rows * across)


@torch.no_grad()
def samples(pixels: Pixels, codes: Codes, noisy: bool, shown: str) -> Figure:
    """Pictures decoded from draws of the prior, or of what the run draws from instead."""
    made = plan(pixels, codes)
    drawn = codes.source.generate(made.n, made.context)
    grids = _grids(pixels, codes, made, drawn.mean, f"{made.n} pictures decoded from draws of the prior")
    source = source_word(codes)
    if noisy and (noise := draw_noise(drawn)) is not None:
        first = made.strips[0]
        few = Strip(
            first.places[:1],
            "the first row again, drawn with the likelihood's noise",
            None if first.data is None else first.data[:1],
        )
        alt = f"The first {few.places.numel()} of these pictures, drawn with the noise of the likelihood"
        grids += _grids(pixels, codes, Plan(made.context, (few,), "", made.n), noise, alt)
    return Figure(
        key="samples",
        title="Samples from the prior" if source == "prior" else "Samples from the stages",
        how="These were never data: where they look like data, the prior is filled by the data's codes; "
        "broken or blended ones come from regions of the prior that no datum uses.",
        pictures=tuple(grids),
        caption=f"{made.n} draws of the {source}{made.said}; {shown}.{pixels.remark}",
    )


def _grids(pixels: Pixels, codes: Codes, made: Plan, x: Tensor, alt: str) -> list[Picture]:
    tiles = pixels.values(x, made.context)
    found = []
    for strip in made.strips:
        rows, across = strip.places.shape
        shown = tiles[strip.places.flatten()].unflatten(0, (rows, across))
        if strip.data is not None:
            theirs = pixels.values(codes.batch["x"][strip.data], codes.context(strip.data))
            shown = torch.cat([theirs.unsqueeze(1), shown], 1)
        begun = (
            "" if strip.data is None else "; each row begins with the held-out picture whose condition it has"
        )
        said = f", {strip.label}" if strip.label.startswith("given") else begun
        lead = () if strip.data is None else (1,)
        found.append(
            pixels.grid(shown.flatten(0, 1), shown.shape[1], f"{alt}{said}.", label=strip.label, apart=lead)
        )
    return found
