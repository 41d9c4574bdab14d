"""The examination of data before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vaekit.doctor import classes, columns, identity, images, kinds, order, refused, rows, start, values
from vaekit.doctor.finding import Finding
from vaekit.doctor.sample import Sample

Check = Callable[[Sample], list[Finding]]

CHECKS: tuple[Check, ...] = (
    kinds.kind,
    kinds.bytes_as_numbers,
    kinds.two_values,
    kinds.whole_numbers,
    kinds.scale,
    rows.leaks,
    rows.near_duplicates,
    rows.duplicates,
    identity.label_leak,
    identity.id_columns,
    identity.time_columns,
    identity.groups,
    columns.constant_columns,
    columns.nearly_constant_columns,
    columns.one_hot,
    columns.same_columns,
    columns.dependent_columns,
    values.discrete_columns,
    values.outliers,
    values.heavy_tails,
    classes.missing_classes,
    classes.rare_classes,
    classes.unknown_labels,
    images.picture_size,
    images.grey_as_colour,
    images.clipped,
    images.bare_pixels,
    order.drift,
    order.shift,
    start.few_data,
    start.start,
)
"""Every check, in the order in which findings of equal weight are told."""
_WEIGHT = {"problem": 0, "warning": 1, "note": 2}


def examine_data(data: Any, *, data_options: Mapping[str, Any] | None = None, seed: int = 0) -> list[Finding]:
    """What is wrong, or odd, with data, and what to start with.

    Nothing is changed and nothing is trained. Large sets are looked at in part (`sample.MOST_ROWS`), by a
    seed.

    Args:
        data: what `vaekit.train` takes: the name of a set, a path, an array, a tuple (x, y), or `Splits`.
        data_options: arguments of `vaekit.data.load`, such as {"size": 64}.
        seed: of all that is drawn.

    Returns:
        Problems first, then warnings, then notes; a healthy set has notes alone.

    Raises:
        UserError: if there are no such data, or they cannot be read as data at all.
    """
    sample, found = refused.sample_or_findings(data, dict(data_options or {}), seed)
    if sample is not None:
        for check in CHECKS:
            found += check(sample)
    return sorted(found, key=lambda finding: _WEIGHT[finding.severity])
