"""Which labels are known: the ones a set brings, or a class-balanced choice of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaekit.data.batch import shuffled
from vaekit.errors import UserError

Labels = NDArray[np.int64]


def known_labels(y: Labels | None, rows: Labels) -> int | None:
    """Number of these rows whose label is known, if some are not (-1)."""
    if y is None or (y[rows] >= 0).all():
        return None
    return int((y[rows] >= 0).sum())


def keep_labels(
    y: Labels | None, rows: Labels, count: int, seed: int, classes: int | None, name: str
) -> Labels:
    """The labels of a set of which `count` of the given rows keep theirs, and the other rows get -1.

    Every class keeps as many, up to one; which of its data, and which classes keep one more, follows from
    the seed.

    Args:
        y: labels of the whole set, (N,), -1 where unknown.
        rows: the training data, numbers of rows.
        count: how many keep their label.
        seed: of the choice.
        classes: number of classes.
        name: of the set.

    Raises:
        UserError: if there are no labels, fewer than `count`, too few of a class, or fewer kept than classes.
    """
    if y is None or classes is None:
        raise UserError(f"{name} has no labels; expected them for `labelled` = {count}: leave it out")
    known = int((y[rows] >= 0).sum())
    if count > known:
        raise UserError(f"`labelled` is {count}, but {name} has {known} labelled training data: take fewer")
    if count < classes:
        raise UserError(
            f"`labelled` is {count}, but {name} has {classes} classes; expected one label or more of each"
        )
    share, left = divmod(count, classes)
    more = set(shuffled(classes, seed)[:left].tolist())
    order = rows[shuffled(len(rows), seed)]
    kept: list[Any] = []
    for number in range(classes):
        wanted = share + (number in more)
        found = order[y[order] == number][:wanted]
        if len(found) < wanted:
            raise UserError(
                f"`labelled` is {count}, which takes {wanted} of class {number}, but {name} has "
                f"{len(found)} of it in the training data: take fewer"
            )
        kept.append(found)
    chosen = y.copy()
    chosen[rows] = -1
    places = np.concatenate(kept)
    chosen[places] = y[places]
    return chosen
