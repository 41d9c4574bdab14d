"""Pictures: sizes that no convolutional network takes, grey kept as colour, clipped light."""

from __future__ import annotations

import numpy as np

from vaekit.doctor import commands
from vaekit.doctor.columns import constant
from vaekit.doctor.finding import Finding
from vaekit.doctor.sample import Array, Sample
from vaekit.doctor.words import percent
from vaekit.networks import resolve

MOST_ROWS = 2_000
LARGE = 40
"""Pixels on a side from which on a fully connected network is a poor choice for pictures: a rule. Fields of
33 nodes are below it."""
SIDES = (28, 32, 64, 128)
"""Sides of pictures that convolutional networks take."""
CLIPPED, SPIKE, FRAME = 0.05, 10.0, 0.5
"""Light is clipped where 5 % of all values or more stand at one end of the scale, ten times as many as at the
levels beside it on average, while fewer than half of the values on the frame of the pictures stand there
(else it is the background). A rule of form: no chance is involved in so many pixels."""
BARE = 0.1
"""Share of pixels that never change from which on a note says so."""


def nearest_side(side: int) -> int:
    """The largest side that a convolutional network takes and that needs no enlarging, or the smallest."""
    return max((n for n in SIDES if n <= side), default=SIDES[0])


def picture_size(sample: Sample) -> list[Finding]:
    """Pictures that only a fully connected network takes though they are large."""
    shape = sample.picture
    if shape is None or min(shape[1:]) < LARGE or resolve("auto", shape) != "mlp" or sample.spec.picture:
        return []
    if shape[1:] == (65, 65):  # fields of 65 nodes have a network of their own
        return []
    side = nearest_side(min(shape[1:]))
    return [
        Finding(
            "picture_size",
            f"No convolutional network takes {shape[1]}x{shape[2]} pixels",
            f"{shape[0]} x {shape[1]} x {shape[2]} = {int(np.prod(shape)):,} values; the convolutional "
            "networks take squares of 28, 32, 64 and 128 pixels",
            "A fully connected network takes their place. It has no notion of neighbouring pixels, and a "
            "weight for every pixel and hidden unit.",
            f"Resize to {side}x{side}"
            + ("." if shape[1] == shape[2] else "; the sides differ, so cut them to squares before if the "
               "proportions matter."),
            commands.train(sample, {"size": side}),
            "warning",
        )
    ]  # fmt: skip


def grey_as_colour(sample: Sample) -> list[Finding]:
    """Three equal channels. A fact about the pictures looked at; no chance is involved."""
    shape = sample.picture
    if shape is None or shape[0] != 3:
        return []
    rows = sample.some(np.arange(len(sample.x)), MOST_ROWS, 14)
    x = sample.x[rows].reshape(len(rows), *shape)
    if not ((x[:, 0] == x[:, 1]) & (x[:, 0] == x[:, 2])).all():
        return []
    return [
        Finding(
            "grey_as_colour",
            "Grey pictures are stored as colour",
            f"red, green and blue are equal in all pixels of {sample.said(len(rows), 'pictures')}",
            "Every value is modelled three times: the reconstruction weighs three times as much against the "
            "rate, and likelihoods are of copies.",
            "Take one channel.",
            commands.train(sample, {"channels": 1}),
            "warning",
        )
    ]


def clipped(sample: Sample) -> list[Finding]:
    """Many pixels at one end of the scale that are no background."""
    shape, spec = sample.picture, sample.spec
    if shape is None or spec.kind != "unit" or min(shape[1:]) < 4:
        return []
    rows = sample.some(sample.train, MOST_ROWS, 15)
    if not len(rows):
        return []
    seen = sample.seen(rows).reshape(len(rows), *shape)
    frame = np.ones(shape[1:], bool)
    frame[1:-1, 1:-1] = False
    findings = []
    for end, name, beside in ((0.0, "black (0)", (0.0, 0.05)), (1.0, "white (1)", (0.95, 1.0))):
        at = float((seen == end).mean())
        near = float(((seen > beside[0]) & (seen < beside[1])).mean())
        levels = 0.05 * ((spec.levels or 256) - 1)  # that lie beside the end
        there = float((seen[:, :, frame] == end).mean())
        if at >= CLIPPED and at > SPIKE * near / levels and there < FRAME and not _two(seen):
            findings.append((name, at, near, there))
    if not findings:
        return []
    measured = "; ".join(
        f"{percent(at)} of the values are exactly {name}, {percent(near)} lie within 5 % of it; on the frame "
        f"{percent(there)}"
        for name, at, near, there in findings
    )
    return [
        Finding(
            "clipped",
            "Light is clipped",
            f"{measured} ({sample.said(len(rows), 'training pictures')})",
            "What was brighter or darker than the scale is cut off, and a density over [0, 1] puts a peak "
            "there.",
            "Record with another exposure if you can; a likelihood of levels gives the ends a probability of "
            "their own.",
            commands.train(sample, {"likelihood": "logistic"}) if spec.levels
            else commands.train(sample, {"likelihood": "gaussian"}),
            "warning",
        )
    ]  # fmt: skip


def _two(seen: Array) -> bool:
    """Whether there are black and white alone; `two_values` says so."""
    return bool(((seen == 0) | (seen == 1)).all())


def bare_pixels(sample: Sample) -> list[Finding]:
    """Pixels that have one value in all pictures. A fact about the pictures looked at."""
    if sample.picture is None:
        return []
    found = float(sample.once(constant).mean())
    if found < BARE:
        return []
    return [
        Finding(
            "bare_pixels",
            "Some pixels never change",
            f"{percent(found)} of {sample.x.shape[1]:,} values are the same in all training pictures looked "
            "at",
            "They cost time and say nothing; with a variance for every pixel they can get an arbitrarily "
            "high density.",
            "Nothing, or cut the pictures; keep to one variance for all pixels.",
            "",
            "note",
        )
    ]
