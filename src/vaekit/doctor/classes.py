"""Labels: rare classes, classes that only held-out data have, labels that nobody knows."""

from __future__ import annotations

import numpy as np

from vaekit.doctor import commands
from vaekit.doctor.finding import Finding
from vaekit.doctor.sample import TEST, TRAIN, VALID, Array, Sample
from vaekit.doctor.words import listed, several, share

RARE = 0.1
"""Share of an equal part below which a class is rare."""
ALARMS = 1e-3
"""Sets with equally likely classes in which one is called rare by chance: a class is rare only where so
small a Poisson number, times the number of classes, is less likely than this."""


def _names(sample: Sample, classes: Array) -> list[str]:
    known = sample.spec.class_names
    return [known[k] if known is not None else str(k) for k in classes]


def rare_classes(sample: Sample) -> list[Finding]:
    """Classes with less than a tenth of an equal share of the training data."""
    y = sample.y
    if y is None or sample.spec.classes is None or sample.spec.classes < 2:
        return []
    from scipy.special import pdtr

    known = y[(sample.split == TRAIN) & (y >= 0)]
    if not len(known):
        return []
    counts = np.bincount(known, minlength=sample.spec.classes)
    there = np.flatnonzero(counts)
    equal = len(known) / len(there)
    odds = pdtr(counts[there], equal) * len(there)
    rare = there[(counts[there] < RARE * equal) & (odds < ALARMS)]
    if not len(rare):
        return []
    each = [f"{name} {counts[k]:,}" for name, k in zip(_names(sample, rare), rare, strict=True)]
    return [
        Finding(
            "rare_classes",
            f"Rare classes: {listed(_names(sample, rare))}",
            f"{listed(each)} of {len(known):,} training data with a "
            f"label{'' if sample.whole else ' looked at'}; an equal share of {len(there)} classes would be "
            f"{equal:,.0f}",
            "The model sees them rarely: they are reconstructed worse, and drawn rarely or not at all.",
            "Collect more of them, or repeat them in the training data; give the label as a condition to "
            "draw them on demand.",
            commands.train(sample, {"context": "labels"}, "cvae") if (y >= 0).all() else "",
            "warning",
        )
    ]  # fmt: skip


def missing_classes(sample: Sample) -> list[Finding]:
    """Classes of held-out data of which no training datum was seen.

    Where the sets were drawn at random, a class of 10 data is missing by chance with odds of 1e-7 (all of
    them among a fifth): smaller classes are named too, since they are missing. Of a set that is looked at in
    part nothing is said.
    """
    y = sample.y
    if y is None or not sample.whole:
        return []
    trained = np.unique(y[sample.split == TRAIN])
    held = np.unique(y[(sample.split != TRAIN) & (y >= 0)])
    new = np.setdiff1d(held, trained)
    if not len(new) or (trained < 0).all():
        return []
    rows = {
        name: share(int(np.isin(y[sample.split == part], new).sum()), int((sample.split == part).sum()))
        for part, name in ((VALID, "validation"), (TEST, "test"))
    }
    return [
        Finding(
            "missing_classes",
            f"{several(len(new), 'class has', 'classes have')} no training data: "
            f"{listed(_names(sample, new))}",
            f"{len(held)} classes are held out, {len(np.intersect1d(held, trained))} of them are trained on; "
            + ", ".join(f"{text} {name} data are of the others" for name, text in rows.items()),
            "The model has never seen them: figures on held-out data say how it does on new classes, and a "
            "condition of such a class means nothing.",
            "Nothing, if new classes are the question; else split every class.",
            "",
            "warning",
        )
    ]


def unknown_labels(sample: Sample) -> list[Finding]:
    """Training data without a label. A count; no chance is involved."""
    y = sample.y
    if y is None:
        return []
    own = y[sample.split == TRAIN]
    unknown = int((own < 0).sum())
    if not unknown:
        return []
    return [
        Finding(
            "unknown_labels",
            "Some labels are unknown",
            f"{share(unknown, len(own))} training data have no label",
            "Most recipes do not look at labels and do not mind. m2 and m1_m2 learn from both kinds and tell "
            "the label of the rest; a label cannot be the condition.",
            "To use the labels that are there, train m2.",
            commands.train(sample, {}, "m2"),
            "note",
        )
    ]
