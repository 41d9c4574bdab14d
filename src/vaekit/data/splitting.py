"""Which data train, which choose and which test, and what is done to all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vaekit.data.batch import Splits, shuffled
from vaekit.data.labels import keep_labels, known_labels
from vaekit.data.prepare import Rows, Treatment, classes_of, nature_of, treat
from vaekit.data.raw import Binarise, Raw
from vaekit.data.spec import Kind
from vaekit.errors import UserError

Context = Literal["none", "labels", "quadrant1", "quadrant2", "quadrant3"]


@dataclass(frozen=True)
class Prepared:
    """A set that was read and split; nothing is built yet.

    Args:
        raw: the set as it was read.
        rows: numbers of the training, validation and test data; the last are rows of `raw.test` where there
            is one.
        treatment: what is done to the values.
    """

    raw: Raw
    rows: tuple[Rows, Rows, Rows]
    treatment: Treatment

    def splits(self, memory: int) -> Splits:
        """The data; see `Treatment.build`."""
        raw, treatment = self.raw, self.treatment
        train, valid, test = self.rows
        return Splits(
            treatment.build(raw, train, train=True, memory=memory),
            treatment.build(raw, valid, train=False, memory=memory),
            treatment.build(raw.test or raw, test, train=False, memory=memory),
        )


def prepare(
    raw: Raw,
    *,
    binarise: Binarise,
    context: Context,
    seed: int,
    limit: int | None,
    labelled: int | None,
    labelled_seed: int,
    kind: Kind | None,
    standardise: bool,
) -> Prepared:
    """Split a set and decide its treatment; the arguments are those of `vaekit.data.load`.

    Raises:
        UserError: if the values, or the options, cannot be used.
    """
    nature = nature_of(raw, kind, binarise)
    train, valid, test, note = _split(raw, seed)
    train, valid, test = (rows[:limit] for rows in (train, valid, test))
    notes = [note, "" if limit is None else f"at most {limit} data of each split"]
    if labelled is not None:
        raw.y = keep_labels(raw.y, train, labelled, labelled_seed, classes_of(raw), raw.name)
        notes.append(f"{labelled} training labels kept, equally many of every class, by seed {labelled_seed}")
    elif (known := known_labels(raw.y, train)) is not None:
        notes.append(f"{known} of {len(train)} training data have a label, the others -1")
    treatment = treat(raw, train, nature, context=context, standardise=standardise, notes=notes)
    return Prepared(raw, (train, valid, test), treatment)


def _split(raw: Raw, seed: int) -> tuple[Rows, Rows, Rows, str]:
    """Rows of training, validation and test data, and what was done."""
    count = len(raw.x)
    order = shuffled(count, seed)
    if raw.test is not None:
        note = f"official test set; validation: {raw.valid} of the {count} training data, by seed {seed}"
        return order[: -raw.valid], order[-raw.valid :], np.arange(len(raw.test.x), dtype=np.int64), note
    if count < 3:
        rows = "one row" if count == 1 else "2 rows"
        raise UserError(
            f"{raw.name} holds {rows}; expected 3 or more: one each for training, validation and test"
        )
    part = max(1, round(0.1 * count))
    train = count - 2 * part
    note = f"no official split: {train} training, {part} validation and {part} test data by seed {seed}"
    return order[:train], order[train : train + part], order[train + part :], note
