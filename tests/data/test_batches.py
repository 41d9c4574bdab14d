"""The promise of `batches`: content is a pure function of data, size, seed, epoch and number."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vaekit.data import ArrayData, Data, GridData, Spec, StreamData, dsprites_images
from vaekit.data.batch import mix
from vaekit.data.decode import bernoulli
from vaekit.data.dsprites import factors_of
from vaekit.data.sprites import Sprites, SpriteVariant
from vaekit.data.streams import MappedArray


def grey(n: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def array(n: int = 23) -> ArrayData:
    spec = Spec("toy", (1, 4, 4), "binary", n, levels=256, classes=n, binarised="dynamic")
    return ArrayData(spec, grey(n), y=torch.arange(n), binarise=True)


def stream(n: int = 23) -> StreamData:
    spec = Spec("toy", (1, 4, 4), "binary", n, levels=256, classes=n, binarised="dynamic")
    source = MappedArray(grey(n).numpy(), (1, 4, 4), np.dtype(np.uint8))
    return StreamData(spec, source, y=torch.arange(n), binarise=True)


def grid(n: int = 23) -> GridData:
    return GridData(Sprites(), torch.arange(n) * 31_999)


def noisy(n: int = 23) -> GridData:
    return GridData(SpriteVariant(Sprites(), "colour"), torch.arange(n) * 31_999)


SOURCES = pytest.mark.parametrize("make", [array, stream, grid, noisy])


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@SOURCES
def test_every_datum_once_and_a_last_batch_of_one(make):
    data = make(23)
    batches = list(data.batches(11, seed=3))
    assert [len(b["x"]) for b in batches] == [11, 11, 1]
    key = "y" if "y" in batches[0] else "factors"
    seen = torch.cat([b[key] for b in batches])
    everything = data.take(range(23))[key]
    assert sorted(seen.tolist()) == sorted(everything.tolist())
    assert seen.tolist() != everything.tolist()
    assert batches[-1]["x"].shape == (1, *data.spec.shape)
    assert all(b["x"].dtype == torch.float32 for b in batches)


@SOURCES
def test_start_continues_exactly(make):
    data = make(23)
    whole = list(data.batches(5, seed=3, epoch=2))
    for start in range(6):
        rest = list(data.batches(5, seed=3, epoch=2, start=start))
        assert len(rest) == max(0, 5 - start)
        assert all(same(a, b) for a, b in zip(rest, whole[start:], strict=True))


@SOURCES
def test_content_does_not_depend_on_the_surroundings(make):
    data = make(23)
    first = list(data.batches(5, seed=3))
    torch.manual_seed(99)
    other = iter(data.batches(7, seed=4))
    again = []
    for batch in data.batches(5, seed=3):
        next(other, None)  # interleaved iteration and the global generator must not matter
        torch.rand(3)
        again.append(batch)
    other.close()
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    state = torch.get_rng_state()
    list(data.batches(5, seed=3))
    assert torch.equal(state, torch.get_rng_state())


@SOURCES
def test_seed_and_epoch_change_the_order(make):
    data = make(23)
    key = "y" if data.spec.classes else "factors"
    orders = {
        (seed, epoch): tuple(
            map(str, torch.cat([b[key] for b in data.batches(5, seed=seed, epoch=epoch)]).tolist())
        )
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(set(orders.values())) == 4


def test_what_is_drawn_beside_the_factors_changes_with_epoch_batch_and_seed_only():
    data = noisy(20)
    fixed = [b["x"] for b in data.batches(10, seed=0, shuffle=False)]
    again = torch.cat([b["x"] for b in data.batches(10, seed=0, shuffle=False)])
    assert torch.equal(again, torch.cat(fixed))
    for change in ({"seed": 1}, {"seed": 0, "epoch": 1}):
        other = next(data.batches(10, shuffle=False, **change))
        assert not torch.equal(other["x"], fixed[0])
        assert torch.equal(other["x"] > 0, fixed[0] > 0)  # the sprites stay where they are
    same_points = GridData(data.source, torch.zeros(20, dtype=torch.long))
    a, b = (batch["x"] for batch in same_points.batches(10, seed=0))
    assert len(torch.cat((a, b)).flatten(1).unique(dim=0)) == 20


def test_dynamic_pixels_change_with_epoch_batch_and_seed_only():
    data = array(20)
    fixed = [b["x"] for b in data.batches(10, seed=0, shuffle=False)]
    assert torch.equal(torch.cat([b["x"] for b in data.batches(10, seed=0, shuffle=False)]), torch.cat(fixed))
    for change in ({"seed": 1}, {"seed": 0, "epoch": 1}):
        assert not torch.equal(next(data.batches(10, shuffle=False, **change))["x"], fixed[0])
    twice = ArrayData(data.spec, torch.cat((data.x[:10], data.x[:10])), binarise=True)
    a, b = (batch["x"] for batch in twice.batches(10, seed=0, shuffle=False))
    assert not torch.equal(a, b)


@SOURCES
def test_without_shuffle_the_order_is_that_of_the_data(make):
    data = make(23)
    key = "y" if data.spec.classes else "factors"
    got = torch.cat([b[key] for b in data.batches(5, seed=0, shuffle=False)])
    assert torch.equal(got, data.take(range(23))[key])


@SOURCES
def test_take_is_in_order_repeatable_and_checked(make):
    data = make(23)
    key = "y" if data.spec.classes else "factors"
    batch = data.take([4, 2, 2])
    assert torch.equal(batch[key], data.take(range(23))[key][[4, 2, 2]])
    assert same(batch, data.take(torch.tensor([4, 2, 2])))
    assert len(data.take([])["x"]) == 0
    with pytest.raises(IndexError, match=r"23.*0\.\.22"):
        data.take([23])
    with pytest.raises(IndexError, match="-1"):
        data.take([-1])
    with pytest.raises(TypeError, match="integers"):
        data.take(torch.tensor([0.5]))
    if data.spec.classes:
        assert not torch.equal(data.take(range(23), seed=1)["x"], data.take(range(23), seed=2)["x"])


@SOURCES
def test_subset_selects_and_follows_the_protocol(make):
    data = make(23)
    part = data.subset([5, 1, 7])
    key = "y" if data.spec.classes else "factors"
    assert isinstance(part, Data)
    assert len(part) == 3
    assert torch.equal(part.take([0, 1, 2])[key], data.take([5, 1, 7])[key])
    assert str(len(part)) in repr(part)


@SOURCES
def test_nonsense_is_refused_at_once(make):
    data = make(23)
    with pytest.raises(ValueError, match="`size` is 0"):
        data.batches(0, seed=0)
    with pytest.raises(ValueError, match="`start` is -1"):
        data.batches(5, seed=0, start=-1)


def test_array_and_stream_agree():
    a, b = array(), stream()
    assert all(same(p, q) for p, q in zip(a.batches(4, seed=5), b.batches(4, seed=5), strict=True))
    assert same(a.take([3, 1]), b.take([3, 1]))
    assert a.take([0]).keys() == {"x", "y"}


def test_batches_are_copies():
    spec = Spec("t", (2,), "real", 4)
    data = ArrayData(spec, torch.arange(8.0).view(4, 2))
    for shuffle in (True, False):
        for batch in data.batches(2, seed=0, shuffle=shuffle):
            batch["x"].zero_()
    assert torch.equal(data.x, torch.arange(8.0).view(4, 2))


def test_scaling_of_levels():
    levels = torch.arange(17, dtype=torch.uint8).view(17, 1)
    data = ArrayData(Spec("t", (1,), "unit", 17, levels=17), levels)
    torch.testing.assert_close(data.take(range(17))["x"][:, 0], torch.arange(17) / 16)
    counts = ArrayData(Spec("t", (1,), "count", 17), levels)
    assert torch.equal(counts.take(range(17))["x"][:, 0], torch.arange(17.0))
    bits = ArrayData(Spec("t", (1,), "binary", 2, levels=256), levels[:2])
    assert bits.take([0, 1])["x"].flatten().tolist() == [0, 1]


@pytest.mark.parametrize("levels", [2, 17, 200, 256])
def test_bernoulli_is_exact_in_its_probabilities(levels):
    n = 40_000
    value = torch.arange(levels, dtype=torch.uint8).repeat_interleave(n)
    share = bernoulli(value, levels, torch.Generator().manual_seed(0)).view(levels, n).double().mean(1)
    p = torch.arange(levels).double() / (levels - 1)
    assert share[0] == 0
    assert share[-1] == 1
    z = (share - p)[1:-1] / (p * (1 - p) / n).sqrt()[1:-1]
    if len(z):
        assert z.abs().max() < 4.5
        assert z.square().mean() == pytest.approx(1, abs=0.6)


def test_bernoulli_of_probabilities():
    p = torch.tensor([0.0, 0.3, 1.0]).expand(30_000, 3)
    share = bernoulli(p, 0, torch.Generator().manual_seed(0)).mean(0)
    assert share[0] == 0
    assert share[2] == 1
    assert share[1] == pytest.approx(0.3, abs=0.01)


def test_mix_separates_its_arguments():
    seeds = {mix(a, b, c) for a in range(20) for b in range(20) for c in range(20)}
    assert len(seeds) == 8000
    assert len({s & 0xFFFFFFFF for s in seeds}) > 7990  # torch's CPU generator sees the low half only
    assert mix(-1) != mix(1)
    assert all(0 <= s < 2**63 for s in seeds)


def test_parts_that_do_not_fit_are_refused():
    spec = Spec("t", (2,), "real", 4)
    x = torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"shape \(3,\).*expects \(2,\)"):
        ArrayData(spec, torch.zeros(4, 3))
    with pytest.raises(ValueError, match="empty"):
        ArrayData(spec, x[:0])
    with pytest.raises(ValueError, match="`y` has 3 rows"):
        ArrayData(spec, x, y=torch.zeros(3))
    with pytest.raises(ValueError, match="`c` holds conditions"):
        ArrayData(spec, x, c=torch.zeros(4, 2))
    with pytest.raises(ValueError, match="binarise"):
        ArrayData(spec, x, binarise=True)
    with pytest.raises(ValueError, match="rows"):
        StreamData(spec, MappedArray(x.numpy(), (2,), np.dtype(np.float32)), y=torch.zeros(3))
    for points in (-1, 737_280):
        with pytest.raises(ValueError, match=r"expected 0\.\.737279"):
            GridData(Sprites(), torch.tensor([0, points]))
    with pytest.raises(ValueError, match="empty"):
        GridData(Sprites(), torch.tensor([]))


def test_grid_unpacks_the_images_and_their_factors():
    data = grid(9)
    points = np.arange(9) * 31_999
    batch = data.take(range(9))
    assert torch.equal(batch["x"], torch.from_numpy(dsprites_images(points)).float()[:, None])
    assert torch.equal(batch["factors"], torch.from_numpy(factors_of(points)))


def test_stream_errors_reach_the_reader_and_threads_end():
    class Broken:
        def __len__(self) -> int:
            return 10

        def read(self, index):
            if 7 in index:
                raise OSError("gone")
            return np.zeros((len(index), 1), np.float32)

    data = StreamData(Spec("t", (1,), "real", 10), Broken())
    batches = data.batches(5, seed=0, shuffle=False)
    assert len(next(batches)["x"]) == 5
    with pytest.raises(OSError, match="gone"):
        next(batches)
    import threading

    early = data.batches(1, seed=0, shuffle=False)
    next(early)
    early.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("vaekit-data")]
