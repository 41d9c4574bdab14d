"""Held-out data whose loss is none, or outweighs that of all others."""

from __future__ import annotations

import math

from vaekit.doctor.finding import Finding
from vaekit.doctor.run_subject import Subject
from vaekit.metrics.evidence import mean_and_error

FAR = 10.0
"""Interquartile ranges above the median: a Gaussian's loss gets there never, one of exponential tails once in
100,000 data."""


def outliers(subject: Subject) -> list[Finding]:
    """Held-out data far beyond the others, where they move the mean loss by more than four of its errors.

    The standard error is that of the data without them.
    """
    loss = subject.held_out.loss
    if loss is None or len(loss) < 20:
        return []
    rows = subject.held_out.rows
    broken = ~loss.isfinite()
    if bool(broken.any()):
        return [
            Finding(
                key="loss_not_finite",
                title="Some held-out data have no finite loss",
                measured=f"{int(broken.sum())} of {len(loss)} test data, the first of them number "
                f"{int(rows[broken].min())}.",
                meaning="The likelihood overflows for them, so every mean over the test set is lost.",
                change="Look for extreme values in these data, and lower the learning rate.",
                command="",
                severity="problem",
            )
        ]
    low, middle, high = loss.quantile(loss.new_tensor([0.25, 0.5, 0.75])).tolist()
    far = loss > middle + FAR * (high - low)
    if not bool(far.any()):
        return []
    mean, _ = mean_and_error(loss)
    rest, error = mean_and_error(loss[~far])
    if not math.isfinite(error) or mean - rest < 4 * error:
        return []
    worst = rows[far][loss[far].argsort(descending=True)][:5].tolist()
    return [
        Finding(
            key="outliers",
            title="A few held-out data outweigh all others",
            measured=f"{int(far.sum())} of {len(loss)} test data have a loss beyond "
            f"{middle + FAR * (high - low):.4g} "
            f"nats, where the median is {middle:.4g}: they move the mean from {rest:.4g} +- {error:.2g} to "
            f"{mean:.4g}. The worst are number {', '.join(map(str, worst))} (counted from 0).",
            meaning="Held-out figures say how odd these few are, and hardly anything about the rest.",
            change="Look at them: they may be damaged, or of another kind. If not, take a likelihood "
            "with heavier tails (laplace).",
            command="",
            severity="warning",
        )
    ]
