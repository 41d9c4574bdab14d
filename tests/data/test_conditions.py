"""Conditions that new data are drawn under."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vaekit.data import ArrayData
from vaekit.data.conditions import by_class, conditions_for
from vaekit.data.spec import Spec


@pytest.fixture
def labelled():
    y = torch.arange(30) * 7 % 3
    spec = Spec("mine", (2,), "real", 30, context=(3,), classes=3, class_names=("a", "b", "c"))
    return ArrayData(spec, torch.randn(30, 2), y=y, c=torch.eye(3)[y])


def test_labels_are_known_as_conditions(labelled):
    batch = labelled.take(range(30))
    assert by_class(batch)
    assert not by_class({**batch, "y": (batch["y"] + 1) % 3})
    assert not by_class({**batch, "c": 0.5 * batch["c"]})
    assert not by_class({**batch, "y": torch.full((30,), -1)})
    assert not by_class({**batch, "y": torch.full((30,), 3)})
    assert not by_class({**batch, "c": torch.zeros(30, 3, 1)})
    assert not by_class({"x": batch["x"], "c": batch["c"]})
    assert not by_class({"x": batch["x"], "y": batch["y"]})


def test_classes_come_in_turn(labelled):
    found = conditions_for(labelled, 7)
    assert found.values.argmax(1).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert found.words == "given the classes in turn: a, b, c"
    assert found.across == 3
    assert conditions_for(labelled, 2).words == "given the classes in turn: a, b"


def test_of_many_classes_some_are_named_and_none_has_a_column():
    y = torch.arange(60)
    data = ArrayData(
        Spec("many", (2,), "real", 60, context=(60,), classes=60), torch.randn(60, 2), y=y, c=torch.eye(60)
    )
    found = conditions_for(data, 100)
    assert found.across is None
    assert found.words == "given the classes in turn: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..., 59"
    assert torch.equal(found.values[60:], torch.eye(60)[:40])


def test_other_conditions_are_those_of_data_in_turn(labelled):
    data = ArrayData(replace(labelled.spec, classes=None, class_names=None), labelled.x, c=torch.randn(30, 3))
    found = conditions_for(data, 40)
    assert torch.equal(found.values, torch.cat([data.c, data.c[:10]]))
    assert found.across is None
    assert "conditions of test data" in found.words
