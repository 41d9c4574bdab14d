"""What the values are taken for, and whether they look like something else."""

from __future__ import annotations

import numpy as np

from vaekit.doctor import commands
from vaekit.doctor.finding import Finding
from vaekit.doctor.sample import Array, Sample
from vaekit.doctor.words import number

_WHY = {
    "binary": "every value is 0 or 1",
    "unit": "all values lie in [0, 1]",
    "real": "they are numbers of any size",
    "count": "they are whole numbers from 0 on",
    "categorical": "they were declared to be classes",
}
_DENSITY = {
    "binary": "a Bernoulli for each value",
    "unit": "a continuous Bernoulli for each value",
    "real": "a Gaussian with one learned variance",
    "count": "a Poisson for each value",
    "categorical": "a probability for each class",
}
BYTES = 64
"""Whole numbers up to 255 are taken for grey levels where one is at least this large: smaller numbers may
well be counts."""
MOST_COUNT = 20_000
"""Largest value that is offered as a count: the rate of a Poisson goes up to e^10."""
FAR = 10.0
"""Factor of standard deviation or mean from that of standardised data, from which on scale is said to matter:
networks and the learned variance start at a scale of 1."""


def kind(sample: Sample) -> list[Finding]:
    """Always one note: shape, range, and what the values are taken for."""
    spec, x = sample.spec, sample.x
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    shape = "x".join(map(str, sample.picture or spec.shape))
    if len(spec.shape) == 1:
        shape = f"{spec.dimensions:,} {'columns' if sample.table else 'values'}"
    sizes = " + ".join(f"{n:,}" for n in sample.sizes)
    measured = (
        f"{sizes} training, validation and test data of {shape}, stored as {sample.given}, from "
        f"{number(low)} to {number(high)}"
    )
    why = _WHY[spec.kind]
    if spec.vocabulary is not None:
        why = f"they are {len(spec.vocabulary)} tokens"
    elif "kind" in sample.options:
        why = "it was declared"
    elif spec.binarised is not None:
        why = "its grey levels are turned into 0 or 1"
    elif spec.kind == "unit" and sample.top is not None:
        why = f"bytes are {spec.levels} levels of [0, 1]"
    elif sample.table and spec.columns is not None and spec.kind == "real":
        why = "columns of a table are taken as real numbers"
    return [
        Finding(
            "kind",
            f"{spec.name}: {spec.kind} data",
            measured,
            f"They are taken as {spec.kind} because {why}; unless told otherwise, p(x|z) is "
            f"{_DENSITY[spec.kind]}.",
            f"Nothing, if that is right; else say --kind. Treatment: {spec.note}." if spec.note else
            "Nothing, if that is right; else say --kind.",
            "",
            "note",
        )
    ]  # fmt: skip


def bytes_as_numbers(sample: Sample) -> list[Finding]:
    """Grey levels 0..255 kept as wider numbers. A rule of form; no chance is involved."""
    x = sample.x
    if sample.spec.kind not in ("real", "count") or (sample.picture is None and x.shape[1] < 16):
        return []
    if sample.spec.columns is not None or x.size == 0:
        return []
    low, high = float(x.min()), float(x.max())
    if not (low >= 0 and BYTES <= high <= 255 and _whole(x)):
        return []
    return [
        Finding(
            "bytes_as_numbers",
            "Grey levels are stored as plain numbers",
            f"all values are whole, from {number(low)} to {number(high)}, stored as {sample.given} and taken "
            f"as {sample.spec.kind}",
            "They look like 8-bit pictures. As numbers they get a density that knows nothing of grey levels, "
            "and values of a size that networks do not start from.",
            "Store them as uint8: then they are 256 levels of [0, 1].",
            commands.rewritten(sample, "x.astype(np.uint8)", "bytes", {"kind": None}),
            "problem",
        )
    ]


def two_values(sample: Sample) -> list[Finding]:
    """Exactly two values that are not 0 and 1. A rule of form; no chance is involved."""
    spec, x = sample.spec, sample.x
    if spec.kind == "binary" or x.size == 0:
        return []
    low, high = x.min(), x.max()
    if low == high or not ((x == low) | (x == high)).all():
        return []
    if sample.top is not None:
        command = commands.train(sample, {"binarise": "threshold"})
        change = "Take them as binary."
    else:
        command = commands.rewritten(
            sample, f"(x == {high.item()!r}).astype(np.uint8)", "binary", {"kind": None}
        )
        change = f"Write 0 for {number(low.item())} and 1 for {number(high.item())}."
        if spec.kind == "unit" and low == 0 and high == 1:  # ground truth that was asked for as unit
            command, change = commands.train(sample, {"kind": None}), "Leave --kind out."
    return [
        Finding(
            "two_values",
            "There are only two values",
            f"every value is {number(low.item())} or {number(high.item())}, and they are taken as "
            f"{spec.kind}",
            f"A density of {spec.kind} numbers can become arbitrarily large at two points: its likelihood "
            "says nothing. A Bernoulli is made for such data.",
            change,
            command,
            "warning",
        )
    ]


def whole_numbers(sample: Sample) -> list[Finding]:
    """Tables or arrays that hold counts and are taken as real. A rule of form; no chance is involved."""
    x = sample.x
    if sample.spec.kind != "real" or x.size == 0 or bytes_as_numbers(sample) or two_values(sample):
        return []
    if not _whole(x) or len(np.unique(x[: 1 << 12])) <= 2:
        return []
    low, high = float(x.min()), float(x.max())
    counts = low >= 0 and high <= MOST_COUNT
    change = "Take them as counts." if counts else (
        "Classes, counts and amounts need likelihoods of their own: leave out what names a class, and take "
        "the logarithm of large amounts."
    )  # fmt: skip
    return [
        Finding(
            "whole_numbers",
            "Every value is a whole number",
            f"all {x.size:,} values are whole, from {number(low)} to {number(high)}, and taken as real",
            "A density of real numbers can become arbitrarily large at whole ones: its likelihood says "
            "nothing, and samples are not whole.",
            change,
            commands.train(sample, {"kind": "count"}) if counts else "",
            "warning",
        )
    ]  # fmt: skip


def scale(sample: Sample) -> list[Finding]:
    """Real data that a model sees far from mean 0 and deviation 1: off by a factor of 10 or more."""
    if sample.spec.kind != "real" or not len(sample.train):
        return []
    seen = sample.seen(sample.some(sample.train, 10_000, 1))
    mean, deviation = float(seen.mean()), float(seen.std())
    if deviation == 0 or (1 / FAR <= deviation <= FAR and abs(mean) <= FAR * deviation):
        return []
    by_column = sample.options.get("standardise") is False
    expression = "(x - x.mean()) / x.std()"
    return [
        Finding(
            "scale",
            "The values are far from standardised",
            f"mean {number(mean)}, standard deviation {number(deviation)}, as a model sees them",
            "Networks and the learned variance start at mean 0 and deviation 1: training begins with a long "
            "way to go, and may not arrive.",
            "Let columns be standardised." if by_column else "Subtract the mean and divide by the deviation.",
            commands.train(sample, {"standardise": None}) if by_column
            else commands.rewritten(sample, expression, "standardised"),
            "warning",
        )
    ]  # fmt: skip


def _whole(x: Array) -> bool:
    return x.dtype.kind in "biu" or bool((x == np.rint(x)).all())
