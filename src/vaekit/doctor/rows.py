"""Rows that stand twice: within the training data, and across the splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaekit.doctor import commands
from vaekit.doctor.finding import Finding, Severity
from vaekit.doctor.neighbours import NEAREST, Nearest, closeness, nearest, two_nn
from vaekit.doctor.sample import TEST, TRAIN, VALID, Sample
from vaekit.doctor.words import listed, number, percent, several, share

MANY = 0.01
"""Share of rows from which on copies are a finding; fewer move no figure by much and are a note."""
QUERIES, REFERENCE, DIRECTIONS = 1_000, 10_000, 64
"""Rows asked about, rows among which neighbours are looked for, and principal directions in which."""
MOST_VALUES = 1 << 24
"""Values of those rows, in all."""


def keys(sample: Sample) -> NDArray[np.int64]:
    """One number for every different row: (n,); equal rows have the same."""
    x = np.ascontiguousarray(sample.x)
    known: dict[bytes, int] = {}
    numbers = np.empty(len(x), np.int64)
    for k, row in enumerate(x):
        numbers[k] = known.setdefault(row.tobytes(), len(known))
    return numbers


def _by_chance(sample: Sample, pairs: float) -> float:
    """Equal pairs that are expected if the columns were independent: pairs x prod_j sum_v p_j(v)^2."""
    rows = sample.some(np.arange(len(sample.x)), 2_000, 6)
    logarithm = 0.0
    for k in range(sample.x.shape[1]):
        counts = np.unique(sample.x[rows, k], return_counts=True)[1]
        logarithm += float(np.log(((counts / len(rows)) ** 2).sum()))
        if logarithm < -60:
            return 0.0
    return pairs * float(np.exp(logarithm))


def _expected(sample: Sample, count: int) -> bool:
    """Whether so many copies among all rows are no surprise: there are few different rows there could be."""
    n = len(sample.x)
    return count <= 3 * _by_chance(sample, n * (n - 1) / 2)


def duplicates(sample: Sample) -> list[Finding]:
    """Training rows that stand there more than once.

    Rows of few discrete columns are equal by chance: nothing is said up to three times the number of equal
    pairs that independent columns would have, which they exceed with odds below 1/1000 from 3 pairs on
    (Poisson).
    """
    found = sample.once(keys)[sample.train]
    counts = np.unique(found, return_counts=True)[1]
    repeats = len(found) - len(counts)
    if repeats == 0 or _expected(sample, repeats):
        return []
    most = int(counts.max())
    severity: Severity = "warning" if repeats >= MANY * len(found) and not sample.generated else "note"
    meaning = "What stands there twice counts twice, and copies that are held out are no test."
    change = "Keep one of each, unless they are repeated for a reason."
    if sample.generated:
        meaning = "Different factors give the same datum: no model can tell them apart."
        change = "Nothing; for scores of disentanglement, `vaekit evaluate --merge` counts them as one."
    return [
        Finding(
            "duplicates",
            several(repeats, "training row repeats another", "training rows repeat another"),
            f"{share(repeats, len(found))} rows looked at; one of them stands there {most:,} times",
            meaning,
            change,
            "" if sample.generated else commands.without_repeats(sample),
            severity,
        )
    ]


def leaks(sample: Sample) -> list[Finding]:
    """Held-out rows that are training rows too; for what is expected by chance, see `duplicates`."""
    if sample.generated:
        return [
            Finding(
                "shared_grid",
                "Held-out data are training data",
                f"training: {sample.sizes[0]:,} points of the grid of factors; validation and test are drawn "
                "from the same grid",
                "That is usual for data made from known factors, but held-out figures are none of "
                "generalisation.",
                "Nothing for scores of disentanglement; to see generalisation, train on a part: --limit.",
                "",
                "note",
            )
        ]
    found = sample.once(keys)
    trained = np.unique(found[sample.train])
    told, worst, total = [], 0.0, 0
    for split, name in ((VALID, "validation"), (TEST, "test")):
        held = found[sample.split == split]
        inside = int(np.isin(held, trained).sum())
        if inside:
            told.append(f"{share(inside, len(held))} {name} rows")
            worst, total = max(worst, inside / len(held)), total + inside
    if not told or _expected(sample, total):
        return []
    official = (sample.place[sample.split == TEST] < 0).all()
    return [
        Finding(
            "leak",
            several(total, "held-out row is a training row too", "held-out rows are training rows too"),
            f"{listed(told)} equal a training row in every value",
            "What was learned by heart looks like generalisation: held-out figures are too good."
            + ("" if worst >= MANY else " So few of them hardly move a figure."),
            "Take them out of one of the sets." if official else
            "Remove the repeats before the data are split.",
            "" if official else commands.without_repeats(sample),
            "problem" if worst >= MANY else "note",
        )
    ]  # fmt: skip


@dataclass(frozen=True)
class Space:
    """Data as points in which distances are cheap.

    Args:
        points: (n, K) principal coordinates, of the rows `rows`.
        rows: numbers of the rows of the sample; none equals another.
        split: of each.
    """

    points: NDArray[np.float64]
    rows: NDArray[np.int64]
    split: NDArray[np.int8]


def space(sample: Sample) -> Space:
    """Different rows, drawn by the seed, in their leading principal directions."""
    _, first = np.unique(sample.once(keys), return_index=True)
    first = np.sort(first)
    most = min(REFERENCE, max(QUERIES, MOST_VALUES // sample.width))
    held = sample.some(first[sample.split[first] == TEST], QUERIES, 7)
    rows = np.concatenate([sample.some(first[sample.split[first] == TRAIN], most, 8), held])
    x = sample.seen(rows)
    x -= x.mean(axis=0)
    if x.shape[1] > DIRECTIONS:
        few = x[np.random.default_rng([sample.seed, 9]).choice(len(x), min(len(x), 1_000), replace=False)]
        gram = few @ few.T
        values, vectors = np.linalg.eigh(gram)
        kept = np.argsort(values)[::-1][: min(DIRECTIONS, len(few) - 1)]
        axes = few.T @ vectors[:, kept] / np.sqrt(np.maximum(values[kept], 1e-30))
        x = x @ axes
    return Space(x, rows, sample.split[rows])


def near_duplicates(sample: Sample) -> list[Finding]:
    """Training and test rows that lie closer to a training row than independent data do.

    The threshold follows from the intrinsic dimension of the set itself; see `neighbours.closeness` for its
    rate of false alarms.
    """
    if sample.generated or not _smooth(sample):
        return []
    found = sample.once(space)
    train = np.flatnonzero(found.split == TRAIN)
    points = found.points[train]
    asked = sample.some(np.arange(len(train)), QUERIES, 10)
    inside = nearest(points[asked], points, apart=False)
    if inside is None or (dimension := two_nn(inside)) is None:
        return []
    test = np.flatnonzero(found.split == TEST)
    across = nearest(found.points[test], points, apart=True)
    findings = []
    close = _close(inside, dimension)
    if len(close):
        findings.append(_near("near_duplicates", sample, inside, close, len(asked), dimension))
    if across is not None and len(close := _close(across, dimension)):
        findings.append(_near("near_leak", sample, across, close, len(test), dimension))
    return findings


def _smooth(sample: Sample) -> bool:
    """Whether distances may have any size: not where half of a table's columns are whole numbers."""
    if not sample.table:
        return sample.spec.kind != "categorical" or sample.spec.vocabulary is not None
    if sample.spec.kind not in ("real", "unit"):
        return False
    x = sample.x[sample.some(sample.train, REFERENCE, 19)]
    return x.dtype.kind == "f" and float((x == np.rint(x)).all(axis=0).mean()) < 0.5


def _close(found: Nearest, dimension: float) -> NDArray[np.int64]:
    """Which queries have a neighbour that is too close."""
    ratio = found.distance[:, 0] / np.maximum(found.distance[:, -1], 1e-300)
    return np.flatnonzero(ratio < closeness(dimension, len(ratio)))


def _near(
    key: str, sample: Sample, found: Nearest, close: NDArray[np.int64], asked: int, dimension: float
) -> Finding:
    leak = key == "near_leak"
    ratio = found.distance[close, 0] / found.distance[close, -1]
    held = "test rows" if leak else "training rows"
    severity: Severity = "warning" if len(close) >= MANY * asked else "note"
    return Finding(
        key,
        f"{'Test' if leak else 'Training'} rows that nearly repeat a training row",
        f"{share(len(close), asked)} {held} asked about lie within {percent(closeness(dimension, asked))} of "
        f"the distance to their {NEAREST}th neighbour (on average {percent(float(ratio.mean()))}); "
        f"independent data of {number(round(dimension, 1))} dimensions would have none",
        "They look like copies with small changes, such as frames of one film or cuts of one picture. "
        + ("Held-out figures are too good." if leak else "They count more than once."),
        "Keep one of each before the data are split."
        if leak
        else "Keep one of each, or split by their origin.",
        "",
        severity,
    )
