"""Conditions to draw new data under, in an order that can be said in words."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data.batch import Batch, Data

_TOLD = 200  # data that tell whether conditions are labels
_NAMED = 12  # classes that are listed by name
_ACROSS = 50  # classes that get a column each


@dataclass(frozen=True)
class Conditions:
    """What is drawn under.

    Args:
        values: (n, *context).
        words: in which order they come, for people.
        across: draws in a row of a grid whose columns have one condition each; None where none repeats so.
    """

    values: Tensor
    words: str
    across: int | None = None


def by_class(batch: Batch) -> bool:
    """Whether the condition of every datum is its label: c[n] = one-hot of y[n].

    Args:
        batch: `c` (N, *context) and labels `y` (N,), if there are any.
    """
    c, y = batch.get("c"), batch.get("y")
    if c is None or y is None or c.dim() != 2 or y.dim() != 1 or not len(y):
        return False
    if int(y.min()) < 0 or int(y.max()) >= c.shape[1]:
        return False
    one_hot = torch.zeros_like(c).scatter_(1, y.long()[:, None], 1.0)
    return torch.equal(c, one_hot)


def given_classes(data: Data) -> bool:
    """The same of a data set, as some of its data tell."""
    return by_class(data.take(torch.linspace(0, len(data) - 1, min(_TOLD, len(data))).round().long()))


def conditions_for(data: Data, n: int) -> Conditions:
    """Conditions for n draws: the classes in turn where these are the labels, else those of data in turn.

    Args:
        data: test data with conditions.
        n: number of draws.
    """
    if not given_classes(data):
        values = data.take(torch.arange(n) % len(data))["c"]
        return Conditions(values, "with conditions of test data, one after another")
    classes = data.take([0])["c"].shape[1]
    names = data.spec.class_labels(classes)[:n]
    listed = ", ".join(names if len(names) <= _NAMED else [*names[: _NAMED - 2], "...", names[-1]])
    across = classes if classes <= _ACROSS else None
    values = torch.eye(classes)[torch.arange(n) % classes]
    return Conditions(values, f"given the classes in turn: {listed}", across)
