"""`.npy` and `.npz`: mapped when large, never a pickle."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch

from vaekit.data import ArrayData, StreamData, fingerprint, load, load_like
from vaekit.errors import UserError

RNG = np.random.default_rng(0)


def saved(tmp_path, x, name="a.npy"):
    np.save(tmp_path / name, x)
    return tmp_path / name


@pytest.mark.parametrize(
    "x",
    [
        RNG.integers(0, 256, (40, 6, 5, 3)).astype(np.uint8),
        RNG.normal(3, 2, (40, 7)),
        RNG.integers(0, 2, (40, 7)),
        np.asfortranarray(RNG.random((40, 4, 4))),
        RNG.integers(0, 900, (40, 7)),
    ],
)
def test_mapped_and_in_memory_give_the_same_batches(tmp_path, x):
    path = saved(tmp_path, x)
    here, there = load(path), load(path, memory=100)
    assert isinstance(here.train, ArrayData)
    assert isinstance(there.train, StreamData)
    assert isinstance(there.train.source.array, np.memmap)
    assert here.spec == there.spec
    for part in ("train", "valid", "test"):
        a, b = getattr(here, part), getattr(there, part)
        for p, q in zip(a.batches(7, seed=1), b.batches(7, seed=1), strict=True):
            torch.testing.assert_close(p["x"], q["x"], rtol=0, atol=1e-6)


def test_mapped_grey_pictures_are_binarised_like_those_in_memory(tmp_path):
    path = saved(tmp_path, RNG.integers(0, 256, (40, 6, 6)).astype(np.uint8))
    for options in ({"binarise": "dynamic"}, {"binarise": "threshold"},
                    {"binarise": "dynamic", "context": "quadrant1"}):  # fmt: skip
        here, there = load(path, **options), load(path, memory=1000, **options)
        assert here.spec == there.spec
        for part in ("train", "valid", "test"):
            for p, q in zip(
                getattr(here, part).batches(7, seed=1), getattr(there, part).batches(7, seed=1), strict=True
            ):
                assert p.keys() == q.keys()
                assert all(torch.equal(p[k], q[k]) for k in p)
    with pytest.raises(UserError, match="give `limit`"):
        load(path, memory=100, binarise="dynamic")
    with pytest.raises(UserError, match="resize it before"):
        load(path, memory=100, size=3)
    assert load(path, memory=100, size=6).spec.shape == (1, 6, 6)


def test_mapped_values_are_checked_too(tmp_path):
    x = RNG.normal(size=(40, 7))
    x[33, 2] = np.inf
    with pytest.raises(UserError, match=r"inf at position \(33, 2\)"):
        load(saved(tmp_path, x), memory=100)


def test_npz(tmp_path):
    x, y, c = RNG.normal(size=(30, 3)), np.arange(30) % 3, RNG.normal(size=(30, 2))
    path = tmp_path / "a.npz"
    np.savez(path, x=x, y=y, c=c, other=np.zeros(2))
    splits = load(path)
    assert splits.spec.classes == 3
    assert splits.spec.context == (2,)
    assert "members left out: other" in splits.spec.note
    batch = splits.train.take(range(24))
    row = int(np.flatnonzero(np.isclose(c[:, 0], batch["c"][5, 0].item(), atol=1e-6))[0])
    assert batch["y"][5] == y[row]
    with pytest.raises(UserError, match="own conditions"):
        load(path, context="labels")
    np.savez(path, anything=x)
    assert load(path).spec.shape == (3,)
    np.savez_compressed(path, a=x, b=x)
    with pytest.raises(UserError, match="holds a, b; expected one array, or `x`"):
        load(path)
    np.savez(path, x=x, c=c[:5])
    with pytest.raises(UserError, match=r"`c` has shape \(5, 2\)"):
        load(path)


class Bomb:
    def __reduce__(self):
        return (open, ("/nonexistent/vaekit-was-here", "w"))


def test_pickles_are_never_opened(tmp_path):
    bomb = np.array([Bomb(), None], dtype=object)
    np.savez(tmp_path / "a.npz", x=bomb, allow_pickle=True)
    np.save(tmp_path / "a.npy", bomb, allow_pickle=True)
    np.savez(tmp_path / "fine.npz", x=RNG.normal(size=(30, 3)), metadata=bomb)
    for name in ("a.npz", "a.npy"):
        with pytest.raises(UserError, match="pickled objects, which can run code"):
            load(tmp_path / name)
    import pickle

    (tmp_path / "bare.npy").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(UserError, match="pickled objects"):
        load(tmp_path / "bare.npy")
    assert load(tmp_path / "fine.npz").spec.shape == (3,)


@pytest.mark.parametrize("memory", [10, 10**9])
def test_truncated_and_mistaken_files(tmp_path, memory):
    content = saved(tmp_path, RNG.normal(size=(40, 7))).read_bytes()
    path = tmp_path / "broken.npy"
    for damaged in (b"", content[:40], content[:-9], b"x" * 50):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"broken\.npy") as caught:
            load(path, memory=memory)
        assert "\n" not in str(caught.value)
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(huge, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 9)})
    path.write_bytes(huge.getvalue() + b"\0" * 100)
    with pytest.raises(UserError, match=r"broken\.npy"):
        load(path, memory=memory)


def test_truncated_archives(tmp_path):
    path = tmp_path / "broken.npz"
    np.savez_compressed(path, x=RNG.normal(size=(40, 7)))
    content = path.read_bytes()
    damaged = content[:80] + bytes(b ^ 0xFF for b in content[80:160]) + content[160:]
    for wrong in (content[:-30], content[:200], damaged, b"PK\x03\x04"):
        path.write_bytes(wrong)
        with pytest.raises(UserError, match=r"broken\.npz"):
            load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.txt", "hello")
    with pytest.raises(UserError, match=r"broken\.npz"):
        load(path)
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(UserError, match="holds nothing"):
        load(path)


def test_a_name_that_is_no_file(tmp_path):
    with pytest.raises(UserError, match="did you mean 'mnist'"):
        load("mnits")
    with pytest.raises(UserError, match="did you mean 'fashion_mnist'"):
        load("fashion-mnst")
    with pytest.raises(UserError, match=r"no data '/nowhere/x\.npy'"):
        load("/nowhere/x.npy")
    with pytest.raises(UserError, match="does not exist"):
        load(tmp_path / "x.npy")
    (tmp_path / "x.doc").write_text("")
    with pytest.raises(UserError, match=r"ending '\.doc'; expected \.npy"):
        load(tmp_path / "x.doc")


def test_fingerprint(tmp_path):
    x = RNG.integers(0, 256, (40, 5, 5)).astype(np.uint8)
    path = saved(tmp_path, x)
    base = fingerprint(load(path))
    assert len(base) == 64
    assert base == fingerprint(load(path))
    y = x.copy()
    y[7, 3, 3] ^= 1
    for other in (
        load(saved(tmp_path, y)),
        load(path, seed=1),
        load(path, limit=20),
        load(path, binarise="dynamic"),
    ):
        assert fingerprint(other) != base
    saved(tmp_path, x)
    mapped = fingerprint(load(path, memory=100).train)
    assert mapped == fingerprint(load(path, memory=100).train)
    saved(tmp_path, y)
    assert fingerprint(load(path, memory=100).train) != mapped
    sprites = load("dsprites", limit=20)
    assert fingerprint(sprites.train) != fingerprint(sprites.valid)
    with pytest.raises(TypeError, match="fingerprint of"):
        fingerprint(object())  # type: ignore[arg-type]


def test_large_arrays_are_sampled(monkeypatch):
    from vaekit.data import identity

    x = RNG.normal(size=(3000, 50)).astype(np.float32)
    data = load(x).train
    assert not fingerprint(data).startswith("sampled:")
    monkeypatch.setattr(identity, "_WHOLE", 1000)
    assert fingerprint(data).startswith("sampled:")
    assert fingerprint(data) == fingerprint(load(x).train)


def test_load_like_keeps_the_treatment(tmp_path):
    x = RNG.integers(0, 256, (40, 6, 6)).astype(np.uint8)
    spec = load(x, binarise="dynamic", context="quadrant2").spec
    data = load_like(x[:10], spec)
    assert (len(data), data.spec.shape, data.spec.context) == (10, (18,), (18,))
    assert torch.equal(data.take(range(10))["c"], data.take(range(10), seed=5)["c"])
    with pytest.raises(UserError, match="shape"):
        load_like(RNG.random((4, 5, 6)), spec)
    unit = load(x).spec
    torch.testing.assert_close(load_like(x / 255, unit).take([3])["x"], load_like(x, unit).take([3])["x"])
    with pytest.raises(UserError, match="contradicts kind 'unit'"):
        load_like(x / 100, unit)
    large = np.full((3, 12, 12), 7, np.uint8)
    assert load_like(large, unit, size=6).spec.shape == (1, 6, 6)
    with pytest.raises(UserError, match=r"shape \(1, 12, 12\); expected \(1, 6, 6\)"):
        load_like(large, unit)
    conditional = load((x, np.arange(40) % 4), context="labels").spec
    assert load_like((x, np.arange(40) % 3), conditional).take([2])["c"].tolist() == [[0, 0, 1, 0]]
    with pytest.raises(UserError, match=r"label 4; expected 0\.\.3"):
        load_like((x, np.arange(40) % 5), conditional)
    with pytest.raises(UserError, match="no labels"):
        load_like(x, conditional)
