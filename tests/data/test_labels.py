"""Labels of which some are known: which ones, and where they stand in an epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vaekit.data import ArrayData, Spec, StreamData, fingerprint, load, load_like
from vaekit.data.batch import epoch_order
from vaekit.data.streams import MappedArray
from vaekit.errors import UserError

RNG = np.random.default_rng(0)


def table(rows=100, classes=4, unknown=0):
    y = np.arange(rows) % classes
    y[:unknown] = -1
    return RNG.normal(size=(rows, 3)), y


def labels(data):
    return data.take(range(len(data)))["y"]


def test_as_many_labels_of_every_class_are_kept():
    whole, some = load("digits"), load("digits", labelled=50)
    y = labels(some.train)
    assert (y >= 0).sum() == 50
    assert torch.bincount(y[y >= 0]).tolist() == [5] * 10
    assert torch.equal(y[y >= 0], labels(whole.train)[y >= 0])  # kept, and not drawn
    for part in ("valid", "test"):
        assert torch.equal(labels(getattr(some, part)), labels(getattr(whole, part)))
    assert (some.spec.labelled, some.spec.classes, whole.spec.labelled) == (50, 10, None)
    assert "50 training labels kept" in some.spec.note
    assert Spec.from_json(some.spec.to_json()) == some.spec


def test_a_number_that_the_classes_do_not_divide_is_spread():
    y = labels(load(table(), labelled=10).train)
    assert sorted(torch.bincount(y[y >= 0]).tolist()) == [2, 2, 3, 3]


def test_the_choice_follows_from_its_own_seed():
    x, y = table()
    known = {
        (seed, mine): tuple(
            (labels(load((x, y), labelled=8, labelled_seed=mine, seed=seed).train) >= 0).tolist()
        )
        for seed in (0,)
        for mine in (0, 1, 2)
    }
    assert len(set(known.values())) == 3
    again = load((x, y), labelled=8, labelled_seed=1)
    assert tuple((labels(again.train) >= 0).tolist()) == known[0, 1]
    assert fingerprint(again) != fingerprint(load((x, y), labelled=8, labelled_seed=2))
    assert torch.equal(again.train.x, load((x, y)).train.x)  # the split is another matter


def test_labels_that_the_source_does_not_know():
    splits = load(table(unknown=30))
    known = int((labels(splits.train) >= 0).sum())
    assert 0 < known < len(splits.train)
    assert (splits.spec.labelled, splits.spec.classes) == (known, 4)
    assert f"{known} of {len(splits.train)} training data have a label" in splits.spec.note
    x, y = table(unknown=30)
    years = load((x, np.where(y < 0, -1, 1990 + 10 * y)))
    assert years.spec.class_names == ("1990", "2000", "2010", "2020")
    assert torch.equal(labels(years.train), labels(load((x, y)).train))
    like = load_like((x, np.where(y < 0, -1, 1990 + 10 * y)), years.spec)
    assert torch.equal(labels(like), torch.from_numpy(y))
    fewer = load((x, y), labelled=8)
    assert (labels(fewer.train) >= 0).sum() == 8


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (RNG.normal(size=(30, 2)), {"labelled": 5}, "has no labels"),
        (table(), {"labelled": 3}, "has 4 classes; expected one label or more of each"),
        (table(), {"labelled": 81}, "has 80 labelled training data: take fewer"),
        (table(unknown=90), {"labelled": 40}, "labelled training data: take fewer"),
        ((RNG.normal(size=(40, 2)), np.arange(40) // 38), {"labelled": 30}, "of it in the training data"),
        (table(), {"labelled_seed": 1}, "give `labelled` too"),
        (table(), {"labelled": 8, "context": "labels"}, "data without a label"),
        (table(unknown=3), {"context": "labels"}, "data without a label"),
        ("dsprites", {"labelled": 10}, "has factors, no labels"),
    ],
)
def test_what_cannot_be_is_refused(source, options, message):
    with pytest.raises(UserError, match=message):
        load(source, **options)


def test_labels_beyond_the_classes_are_refused():
    spec = Spec("toy", (3,), "real", 4, classes=2)
    for wrong in (2, -2):
        with pytest.raises(ValueError, match=f"`y` holds {wrong}"):
            ArrayData(spec, torch.zeros(4, 3), torch.tensor([0, 1, -1, wrong]))
    with pytest.raises(ValueError, match="`labelled` is 5"):
        Spec("toy", (3,), "real", 4, classes=2, labelled=5)
    with pytest.raises(ValueError, match="`labelled` is 2"):
        Spec("toy", (3,), "real", 4, labelled=2)


# -- the order of an epoch ---


@pytest.mark.parametrize(
    ("count", "known", "size"), [(100, 20, 10), (1297, 50, 100), (97, 3, 8), (40, 40, 7), (9, 0, 2)]
)
def test_every_batch_has_the_right_ratio(count, known, size):
    mask = torch.zeros(count, dtype=torch.bool)
    mask[torch.randperm(count)[:known]] = True
    for epoch in range(5):
        order = epoch_order(count, seed=3, epoch=epoch, known=mask)
        assert sorted(order.tolist()) == list(range(count))
        for batch in mask[order].split(size):
            exact = len(batch) * known / count
            assert exact - 1 < int(batch.sum()) < exact + 1


def sources():
    spec = Spec("toy", (3,), "real", 60, classes=2, labelled=12)
    x = torch.arange(180.0).view(60, 3)
    y = torch.full((60,), -1)
    y[:12] = torch.arange(12) % 2
    stream = StreamData(spec, MappedArray(x.numpy(), (3,), np.dtype(np.float32)), y=y)
    return [ArrayData(spec, x, y), stream]


@pytest.mark.parametrize("data", sources(), ids=["array", "stream"])
def test_an_epoch_is_spread_and_resumes_exactly(data):
    whole = list(data.batches(10, seed=1, epoch=2))
    assert [int((batch["y"] >= 0).sum()) for batch in whole] == [2] * 6
    for start in (0, 1, 4):
        rest = list(data.batches(10, seed=1, epoch=2, start=start))
        assert all(torch.equal(a["x"], b["x"]) for a, b in zip(rest, whole[start:], strict=True))
    orders = {
        (seed, epoch): tuple(
            torch.cat([b["x"][:, 0] for b in data.batches(10, seed=seed, epoch=epoch)]).tolist()
        )
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(set(orders.values())) == 4
    kept = data.take(range(60))["y"] >= 0
    for order in orders.values():  # both kinds are shuffled, not only where they meet
        numbers = torch.tensor(order).long() // 3
        for part in (numbers[kept[numbers]], numbers[~kept[numbers]]):
            assert part.tolist() != sorted(part.tolist())


def test_places_of_labelled_data_are_uniform():
    """Over epochs a labelled datum stands anywhere, so that no datum always comes first."""
    mask = torch.zeros(20, dtype=torch.bool)
    mask[:4] = True
    counts = torch.zeros(20)
    for epoch in range(2000):
        counts += mask[epoch_order(20, seed=0, epoch=epoch, known=mask)]
    torch.testing.assert_close(counts / 2000, torch.full((20,), 0.2), rtol=0, atol=0.05)


def test_the_order_of_fully_labelled_data_is_as_it_was():
    spec = Spec("toy", (1,), "real", 30, classes=2)
    data = ArrayData(spec, torch.arange(30.0).view(30, 1), torch.arange(30) % 2)
    found = torch.cat([batch["x"][:, 0] for batch in data.batches(7, seed=4, epoch=1)]).long()
    assert torch.equal(found, epoch_order(30, seed=4, epoch=1))
