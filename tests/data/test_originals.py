"""dSprites, MPI3D and 3D Shapes from files in their published formats, small enough to be written here."""

from __future__ import annotations

import functools
import itertools
import zipfile

import numpy as np
import pytest
import torch

from vaekit.data import fingerprint, ground_truth, load, originals
from vaekit.data.originals import read_dsprites, read_mpi3d, read_shapes3d
from vaekit.errors import UserError

SPRITES = {"shape": 2, "scale": 2, "orientation": 3, "position_x": 2, "position_y": 3}
ARM = {
    "object_colour": 2, "object_shape": 2, "object_size": 1, "camera_height": 2, "background_colour": 1,
    "horizontal_axis": 2, "vertical_axis": 3,
}  # fmt: skip
TOY_ARM = {**ARM, "object_colour": 1}
SHAPES = {"floor_hue": 2, "wall_hue": 3, "object_hue": 1, "scale": 2, "shape": 1, "orientation": 2}
NAME = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"


class Trap:
    """Leaves a mark if it is unpickled."""

    def __reduce__(self):
        return exec, ("import pathlib; pathlib.Path('unpickled').touch()",)


def sprites_file(folder, **changes):
    count = int(np.prod(list(SPRITES.values())))
    rng = np.random.default_rng(0)
    members = {
        "metadata": np.array(Trap(), dtype=object),
        "imgs": rng.integers(0, 2, (count, 64, 64), dtype=np.uint8),
        "latents_classes": np.array(list(itertools.product([0], *map(range, SPRITES.values())))),
        "latents_values": np.zeros((count, 6)),
        **changes,
    }
    path = folder / NAME
    np.savez_compressed(path, **{k: v for k, v in members.items() if v is not None})
    return path, members["imgs"]


def test_dsprites_from_its_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(originals, "_AT_ONCE", 7)
    path, images = sprites_file(tmp_path)
    data = read_dsprites(path, SPRITES)
    assert data.spec.factors == SPRITES
    assert data.spec.name == "dsprites"
    assert "constant factor colour is left out" in data.spec.note
    for index, factors in enumerate(itertools.product(*map(range, SPRITES.values()))):
        assert torch.equal(
            data.data_of(torch.tensor([factors]))[0, 0], torch.from_numpy(images[index]).float()
        )
    assert not (tmp_path / "unpickled").exists()


def test_a_published_file_in_its_place_is_taken_by_its_name_and_by_its_path(tmp_path, monkeypatch):
    (tmp_path / "root" / "dsprites").mkdir(parents=True)
    path, images = sprites_file(tmp_path / "root" / "dsprites")
    monkeypatch.setattr(originals, "read_dsprites", functools.partial(read_dsprites, factors=SPRITES))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("VAEKIT_DATA", str(tmp_path / "root"))
    x = torch.from_numpy(images).float()[:, None]
    assert torch.equal(ground_truth("dsprites").at(torch.arange(72)), x)
    assert torch.equal(load("dsprites").train.take(range(72))["x"], x)
    monkeypatch.delenv("VAEKIT_DATA")
    by_path = load(str(path))
    assert torch.equal(by_path.train.take(range(72))["x"], x)
    assert fingerprint(by_path.train) == fingerprint(load(path).train)
    coloured = ground_truth("color_dsprites", path=path)
    assert ((coloured.at(torch.arange(72), torch.Generator()) > 0) == x.bool()).all()
    assert ground_truth("dsprites").spec.size == 737_280  # drawn where the file is not


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imgs": None}, "no member 'imgs'"),
        ({"imgs": np.zeros((72, 64, 64), bool)}, "of bool; expected rows of u1"),
        ({"imgs": np.zeros((72, 64, 64), object)}, "of object"),
        ({"imgs": np.zeros((71, 64, 64), np.uint8)}, r"\(71, 64, 64\); expected \(72, 64, 64\)"),
        ({"imgs": np.asfortranarray(np.zeros((72, 64, 64), np.uint8))}, "expected rows"),
        ({"imgs": np.full((72, 64, 64), 255, np.uint8)}, "holds 255; expected 0 and 1"),
        ({"latents_classes": np.zeros((72, 5), np.int64)}, r"\(72, 5\); expected \(72, 6\)"),
        ({"latents_classes": np.zeros((72, 6), np.int64)}, "image 1 is not the point of the grid"),
    ],
)
def test_other_arrays_under_the_name_of_dsprites(tmp_path, changes, message):
    path, _ = sprites_file(tmp_path, **changes)
    with pytest.raises(UserError, match=message) as caught:
        read_dsprites(path, SPRITES)
    assert NAME in str(caught.value)
    assert "\n" not in str(caught.value)


def damaged(path, how):
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "text":
        path.write_text("not at all")
    elif how == "empty":
        path.write_bytes(b"")
    else:  # a byte in the middle
        path.write_bytes(content[:3000] + bytes([content[3000] ^ 255]) + content[3001:])


@pytest.mark.parametrize("how", ["truncated", "text", "empty", "flipped"])
def test_damaged_archives(tmp_path, how):
    path, _ = sprites_file(tmp_path)
    damaged(path, how)
    with pytest.raises(UserError, match=NAME) as caught:
        read_dsprites(path, SPRITES)
    assert "\n" not in str(caught.value)


def test_an_array_that_ends_before_its_header_says(tmp_path):
    path, _ = sprites_file(tmp_path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content[:-100] if name == "imgs.npy" else content)
    with pytest.raises(UserError, match="ends at row"):
        read_dsprites(path, SPRITES)


def coloured(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("factors", [ARM, TOY_ARM])
def test_mpi3d_of_both_published_sizes(tmp_path, monkeypatch, factors):
    monkeypatch.setattr(originals, "_AT_ONCE", 7)
    images = coloured(int(np.prod(list(factors.values()))))
    np.savez_compressed(tmp_path / "mpi3d_toy.npz", images=images)
    data = read_mpi3d(tmp_path / "mpi3d_toy.npz", "mpi3d_toy", (ARM, TOY_ARM))
    assert data.spec.factors == factors
    assert (data.spec.kind, data.spec.levels) == ("unit", 256)
    for index, point in enumerate(itertools.product(*map(range, factors.values()))):
        expected = torch.from_numpy(images[index].transpose(2, 0, 1).astype(np.float32)) / 255
        assert torch.equal(data.data_of(torch.tensor([point]))[0], expected)


def test_mpi3d_by_name(tmp_path, monkeypatch):
    (tmp_path / "mpi3d").mkdir()
    np.savez(tmp_path / "mpi3d" / "mpi3d_real.npz", images=coloured(48))
    monkeypatch.setattr(originals, "read_mpi3d", functools.partial(read_mpi3d, known=(ARM,)))
    monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
    splits = load("mpi3d_real")
    assert splits.spec.name == "mpi3d_real"
    assert len(splits.train) == 48
    assert fingerprint(splits) == fingerprint(load(tmp_path / "mpi3d" / "mpi3d_real.npz"))
    assert splits.spec == load(tmp_path / "mpi3d" / "mpi3d_real.npz").spec


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (coloured(47), "expected 48 or 24 images"),
        (coloured(48)[:, :32], "expected 48 or 24 images"),
        (coloured(48).astype(np.float32), "of float32"),
    ],
)
def test_other_arrays_under_the_name_of_mpi3d(tmp_path, images, message):
    np.savez(tmp_path / "mpi3d_toy.npz", images=images)
    with pytest.raises(UserError, match=message):
        read_mpi3d(tmp_path / "mpi3d_toy.npz", "mpi3d_toy", (ARM, TOY_ARM))


def test_a_set_larger_than_the_memory_is_refused(tmp_path, monkeypatch):
    np.savez(tmp_path / "mpi3d_toy.npz", images=coloured(48))
    monkeypatch.setattr(originals.os, "sysconf", lambda name: 10)
    with pytest.raises(UserError, match="take a larger machine"):
        read_mpi3d(tmp_path / "mpi3d_toy.npz", "mpi3d_toy", (ARM,))


def shapes_file(folder, **changes):
    h5py = pytest.importorskip("h5py")
    count = int(np.prod(list(SHAPES.values())))
    arrays = {"images": coloured(count), "labels": np.zeros((count, 6)), **changes}
    with h5py.File(folder / "3dshapes.h5", "w") as file:
        for name, array in arrays.items():
            if array is not None:
                file.create_dataset(name, data=array, chunks=True, compression="gzip")
    return folder / "3dshapes.h5", arrays["images"]


def test_shapes3d(tmp_path, monkeypatch):
    monkeypatch.setattr(originals, "_AT_ONCE", 5)
    path, images = shapes_file(tmp_path)
    data = read_shapes3d(path, SHAPES)
    assert data.spec.factors == SHAPES
    for index, point in enumerate(itertools.product(*map(range, SHAPES.values()))):
        expected = torch.from_numpy(images[index].transpose(2, 0, 1).astype(np.float32)) / 255
        assert torch.equal(data.data_of(torch.tensor([point]))[0], expected)
    monkeypatch.setattr(originals, "read_shapes3d", functools.partial(read_shapes3d, factors=SHAPES))
    assert load(str(path)).spec.name == "shapes3d"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, "expected 'images' and 'labels'"),
        ({"images": coloured(23)}, "expected 24 of 64x64x3"),
        ({"images": coloured(24).astype(np.int16)}, "int16; expected"),
        ({"labels": np.zeros((24, 5))}, "'labels' is"),
    ],
)
def test_other_arrays_under_the_name_of_shapes3d(tmp_path, changes, message):
    path, _ = shapes_file(tmp_path, **changes)
    with pytest.raises(UserError, match=message):
        read_shapes3d(path, SHAPES)


@pytest.mark.parametrize("how", ["truncated", "text", "empty"])
def test_damaged_hdf5(tmp_path, how):
    path, _ = shapes_file(tmp_path)
    damaged(path, how)
    with pytest.raises(UserError, match=r"cannot read .*3dshapes.h5") as caught:
        read_shapes3d(path, SHAPES)
    assert "\n" not in str(caught.value)


def test_shapes3d_without_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UserError, match=r"pip install 'vaekit\[hdf5\]'"):
        read_shapes3d(tmp_path / "3dshapes.h5", SHAPES)
