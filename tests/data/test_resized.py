"""Cars3D and SmallNORB from files in their published formats, small enough to be written here."""

from __future__ import annotations

import functools
import gzip
import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from vaekit.data import ground_truth, load, resized
from vaekit.data.resized import read_cars3d, read_matrix, read_smallnorb
from vaekit.errors import UserError

CARS = {"elevation": 2, "azimuth": 3, "object": 3}
TOYS = {"category": 2, "elevation": 2, "azimuth": 3, "lighting": 2}
INSTANCES = 4


def car(number):
    """`im` of one car: a grey of its own at every view, but for a few noisy rows of the first."""
    im = np.zeros((128, 128, 3, 3, 2), np.uint8)
    for elevation, azimuth, channel in itertools.product(range(2), range(3), range(3)):
        im[:, :, channel, azimuth, elevation] = 100 * elevation + 20 * azimuth + 5 * number + channel
    rng = np.random.default_rng(number)
    im[:40, ..., 0, 0] = rng.integers(0, 2, (40, 128, 3), dtype=np.uint8) * 255
    return im


@pytest.fixture
def cars(tmp_path):
    folder = tmp_path / "cars3d"
    folder.mkdir()
    for number in (2, 0, 1):  # not in the order of their names
        savemat(folder / f"car_{number:03}_mesh.mat", {"im": car(number), "mask": np.zeros(3)})
    (folder / "list.txt").write_text("car_002_mesh\n")
    return folder


def test_cars_are_numbered_by_their_names(cars):
    data = read_cars3d(cars, CARS)
    assert data.spec.factors == CARS
    assert data.spec.shape == (3, 64, 64)
    for elevation, azimuth, number in itertools.product(range(2), range(3), range(3)):
        x = data.data_of(torch.tensor([[elevation, azimuth, number]]))[0]
        image = Image.fromarray(car(number)[..., azimuth, elevation])
        small = np.asarray(image.resize((64, 64), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
        assert torch.equal(x, torch.from_numpy(small.astype(np.float32)) / 255)
        grey = torch.tensor([100.0 * elevation + 20 * azimuth + 5 * number + c for c in range(3)]) / 255
        assert torch.equal(x[:, -1, -1], grey)


def test_cars_by_name(cars, monkeypatch):
    monkeypatch.setenv("VAEKIT_DATA", str(cars.parent))
    monkeypatch.setattr(resized, "read_cars3d", functools.partial(read_cars3d, factors=CARS))
    splits = load("cars3d")
    assert splits.spec.name == "cars3d"
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [18, 18, 18]
    assert torch.equal(
        ground_truth("cars3d", path=cars).at(torch.arange(18)), splits.test.take(range(18))["x"]
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "car_001_mesh.mat").unlink(), "holds 2 .mat files; expected 3"),
        (lambda f: savemat(f / "car_003_mesh.mat", {"im": car(3)}), "holds 4 .mat files"),
        (lambda f: savemat(f / "car_001_mesh.mat", {"mask": car(1)}), "no `im`"),
        (lambda f: savemat(f / "car_001_mesh.mat", {"im": car(1)[:64]}), r"`im` \(64,"),
        (lambda f: savemat(f / "car_001_mesh.mat", {"im": car(1).astype(float)}), "of float64"),
        (lambda f: (f / "car_001_mesh.mat").write_bytes(b"not a matrix"), "cannot read"),
        (lambda f: (f / "car_001_mesh.mat").write_bytes(b""), "cannot read"),
    ],
)
def test_other_files_among_the_cars(cars, damage, message):
    damage(cars)
    with pytest.raises(UserError, match=message) as caught:
        read_cars3d(cars, CARS)
    assert "\n" not in str(caught.value)


def test_a_truncated_car(cars):
    path = cars / "car_000_mesh.mat"
    content = path.read_bytes()
    for size in (100, 200, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(UserError, match="car_000_mesh"):
            read_cars3d(cars, CARS)


CODES = {"u1": 0x1E3D4C55, "<i4": 0x1E3D4C54, "<f4": 0x1E3D4C51, "<f8": 0x1E3D4C53, "<i2": 0x1E3D4C56}


def matrix(array, kind):
    array = np.asarray(array)
    sizes = (*array.shape, *(1,) * (3 - array.ndim))
    head = [CODES[kind], array.ndim, *sizes]
    return np.array(head, "<i4").tobytes() + array.astype(kind).tobytes()


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 3, 4), (2, 1, 3, 4, 2)])
@pytest.mark.parametrize("packed", [True, False])
def test_matrices(tmp_path, kind, shape, packed):
    array = np.arange(np.prod(shape)).reshape(shape)
    path = tmp_path / ("a.mat.gz" if packed else "a.mat")
    path.write_bytes(gzip.compress(matrix(array, kind)) if packed else matrix(array, kind))
    found = read_matrix(path)
    assert found.dtype == np.dtype(kind)
    assert found.shape == shape
    assert (found == array).all()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c[:-1], "damaged: it holds 43 bytes; expected 44"),
        (lambda c: c + b"x", "holds 45 bytes"),
        (lambda c: c[:10], "no NORB matrix: it holds 10"),
        (lambda c: b"", "no NORB matrix"),
        (lambda c: b"MATLAB 5" + c, "begins with 4d 41"),
        (lambda c: c[:4] + (99).to_bytes(4, "little") + c[8:], "no NORB matrix"),
        (lambda c: c[:4] + (8).to_bytes(4, "little") + c[8:], "damaged"),
        (lambda c: c[:8] + (-1).to_bytes(4, "little", signed=True) + c[12:], "damaged"),
    ],
)
def test_damaged_matrices(tmp_path, damage, message):
    path = tmp_path / "a.mat"
    path.write_bytes(damage(matrix(np.zeros((2, 3)), "<i4")))
    with pytest.raises(UserError, match=message):
        read_matrix(path)


def test_a_truncated_gzip(tmp_path):
    path = tmp_path / "a.mat.gz"
    path.write_bytes(gzip.compress(matrix(np.zeros((2, 3)), "<i4"))[:-9])
    with pytest.raises(UserError, match="cannot read"):
        read_matrix(path)


def grey_of(category, instance, elevation, azimuth, lighting):
    return 120 * category + 30 * instance + 15 * elevation + 5 * azimuth + 2 * lighting


def norb(folder, ending="mat", change=None):
    """The six files: two instances of each category in either, images in no order; the noisy one."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 2, (96, 96), dtype=np.uint8) * 255
    for chunk, instances in zip(resized._CHUNKS, ((3, 0), (1, 2)), strict=True):
        rows = list(itertools.product(range(2), instances, range(2), range(3), range(2)))
        rng.shuffle(rows)
        left = np.stack([np.full((96, 96), grey_of(*row), np.uint8) for row in rows])
        for image, row in zip(left, rows, strict=True):
            if tuple(row) == (1, 2, 1, 2, 1):
                image[:] = noise
        parts = {
            "dat": (np.stack((left, np.full_like(left, 7)), 1), "u1"),
            "cat": ([c for c, *_ in rows], "<i4"),
            "info": ([[i, e, 2 * a, k] for _, i, e, a, k in rows], "<i4"),
        }
        for part, (array, kind) in parts.items():
            array = np.asarray(array)
            if change is not None:
                array = change(chunk, part, array)
            if array is not None:
                content = matrix(array, kind)
                path = folder / f"smallnorb-{chunk}-{part}.{ending}"
                path.write_bytes(gzip.compress(content, 1) if ending.endswith("gz") else content)
    return folder, noise


@pytest.mark.parametrize("ending", ["mat", "mat.gz"])
def test_smallnorb(tmp_path, ending):
    folder, noise = norb(tmp_path / "norb", ending)
    data = read_smallnorb(folder, TOYS, INSTANCES)
    assert data.spec.factors == TOYS
    assert (data.spec.shape, data.noisy, data.copies) == ((1, 64, 64), True, INSTANCES)
    for number, point in enumerate(itertools.product(*map(range, TOYS.values()))):
        category, *rest = point
        greys = [grey_of(category, i, *rest) for i in range(INSTANCES)]
        if point == (1, 1, 2, 1):
            exact = np.asarray(
                Image.fromarray(noise.astype(np.int32)).resize((64, 64), Image.Resampling.LANCZOS)
            )
            assert exact.min() < 0
            assert exact.max() > 255  # it leaves the range, and is clamped
            assert (data.x[number, 2, 0].numpy() == exact.clip(0, 255)).all()
            greys[2] = None
        for instance, grey in enumerate(greys):
            assert grey is None or (data.x[number, instance] == grey).all()


def test_the_instance_is_drawn_uniformly_and_by_the_generator(tmp_path):
    folder, _ = norb(tmp_path / "norb")
    data = read_smallnorb(folder, TOYS, INSTANCES)
    index = torch.full((4000,), 5)
    draws = [data.at(index, torch.Generator().manual_seed(s))[:, 0, 0, 0].mul(255).round() for s in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    values, counts = draws[0].unique(return_counts=True)
    assert values.tolist() == sorted(grey_of(0, i, 0, 2, 1) for i in range(INSTANCES))
    assert (counts - 1000).abs().max() < 120
    with pytest.raises(ValueError, match="give the `generator`"):
        data.at(index)


def test_smallnorb_by_name_trains_with_a_new_instance_at_every_visit(tmp_path, monkeypatch):
    norb(tmp_path / "small_norb")
    monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
    read = functools.partial(read_smallnorb, factors=TOYS, instances=INSTANCES)
    monkeypatch.setattr(resized, "read_smallnorb", read)
    train = load("smallnorb").train
    assert len(train) == 24
    visits = [next(train.batches(24, seed=0, epoch=e, shuffle=False))["x"][:, 0, 0, 0] for e in (0, 0, 1)]
    assert torch.equal(visits[0], visits[1])
    assert not torch.equal(visits[0], visits[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, p, a: None if p == "cat" else a, "holds no smallnorb-.*-cat.mat"),
        (lambda c, p, a: a[:, :1] if p == "dat" else a, "-dat is"),
        (lambda c, p, a: a[:-1] if p == "cat" else a, "do not fit"),
        (lambda c, p, a: a + 1 if p == "info" else a, "do not fit"),
        (lambda c, p, a: a + 2 if p == "info" else a, "value that its factor does not have"),
        (lambda c, p, a: a * 0 if p == "cat" else a, "times; expected every image once"),
    ],
)
def test_other_files_under_the_name_of_smallnorb(tmp_path, change, message):
    folder, _ = norb(tmp_path / "norb", change=change)
    with pytest.raises(UserError, match=message):
        read_smallnorb(folder, TOYS, INSTANCES)
