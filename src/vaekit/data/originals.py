"""dSprites, MPI3D and 3D Shapes from the files that their authors publish: checked, and kept in memory.

Nothing in these files is executed: members that are pickled are never opened.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vaekit.data import dsprites
from vaekit.data.resident import ByteImages, PackedImages
from vaekit.data.spec import Spec
from vaekit.data.sprites import original_sprites
from vaekit.errors import UserError

Bytes = NDArray[np.uint8]
Factors = Mapping[str, int]
SIDE = 64
_AT_ONCE = 4096  # images read in one go
BROKEN = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    NotImplementedError,
    zlib.error,
    zipfile.BadZipFile,
)

SHAPES3D: Factors = {
    "floor_hue": 10, "wall_hue": 10, "object_hue": 10, "scale": 8, "shape": 4, "orientation": 15,
}  # fmt: skip
_ARM: Factors = {
    "object_colour": 6, "object_shape": 6, "object_size": 2, "camera_height": 3, "background_colour": 3,
    "horizontal_axis": 40, "vertical_axis": 40,
}  # fmt: skip
MPI3D: tuple[Factors, ...] = (_ARM, {**_ARM, "object_colour": 4, "object_shape": 4})
"""The published sizes, 1,036,800 images, and those of the challenge's toy set, 460,800."""


def broken(path: Path, error: BaseException) -> UserError:
    """What to say of a file that cannot be read."""
    words = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UserError(f"cannot read {path}: {words}; it may be truncated or of another format")


def bytes_of(name: str, factors: Factors, note: str, x: Bytes, copies: int = 1) -> ByteImages:
    """Images of a grid, (N, C, 64, 64), as ground truth."""
    shape, count = (x.shape[-3], SIDE, SIDE), math.prod(factors.values())
    note = f"{note}; bytes 0..255 are divided by 255"
    spec = Spec(name, shape, "unit", count, levels=256, factors=dict(factors), note=note)
    return ByteImages(spec, torch.from_numpy(x), copies)


def _room(path: Path, *shape: int) -> Bytes:
    """Memory for images, if the machine has as much.

    Raises:
        UserError: if it has not.
    """
    needed = math.prod(shape)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if needed > there:
            raise UserError(
                f"{path} holds {needed / 1e9:.1f} GB of images, more than the {there / 1e9:.1f} GB of memory "
                "here: take a larger machine"
            )
    return np.empty(shape, np.uint8)


def _member(path: Path, name: str, dtype: str) -> tuple[tuple[int, ...], Iterator[NDArray[Any]]]:
    """Shape and blocks of rows of one array of an .npz file, which is not read into memory at once.

    Raises:
        UserError: if the file is broken, or has no such member of this type.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if f"{name}.npy" not in archive.namelist():
                raise UserError(f"{path} has no member {name!r}; expected the published file")
            with archive.open(f"{name}.npy") as stream:
                shape, order, kind = _header(stream)
    except BROKEN as error:
        raise broken(path, error) from None
    if kind != np.dtype(dtype) or order or not shape:
        raise UserError(f"{path}: {name!r} is {shape} of {kind}; expected rows of {dtype}, as published")

    def blocks() -> Iterator[NDArray[Any]]:
        row = math.prod(shape[1:])
        try:
            with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
                _header(stream)
                for begin in range(0, shape[0], _AT_ONCE):
                    count = min(_AT_ONCE, shape[0] - begin)
                    content = stream.read(count * row * kind.itemsize)
                    if len(content) < count * row * kind.itemsize:
                        raise EOFError(f"{name!r} ends at row {begin} of {shape[0]}")
                    yield np.frombuffer(content, kind).reshape(count, *shape[1:])
        except BROKEN as error:
            raise broken(path, error) from None

    return shape, blocks()


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, whether columns lie together, type) of a .npy stream, which then stands at the values."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns, kind = read(stream)
    return tuple(shape), bool(columns), kind


def read_dsprites(path: Path, factors: Factors = dsprites.FACTORS) -> PackedImages:
    """dSprites as published: `imgs` (737280, 64, 64) of 0 and 1, `latents_classes` (737280, 6).

    The first of the six factors, a colour of one value, is left out: a factor without entropy has no place in
    a measure. The pickled member with the names of the factors is not opened.

    Args:
        path: dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz.
        factors: what the grid is expected to be.

    Raises:
        UserError: for another file.
    """
    count = math.prod(factors.values())
    shape, blocks = _member(path, "imgs", "u1")
    if shape != (count, SIDE, SIDE):
        raise UserError(f"{path}: 'imgs' is {shape}; expected {(count, SIDE, SIDE)}, as published")
    shape, classes = _member(path, "latents_classes", "<i8")
    if shape != (count, 1 + len(factors)):
        raise UserError(f"{path}: 'latents_classes' is {shape}; expected {(count, 1 + len(factors))}")
    begin = 0
    for rows in classes:
        points = np.arange(begin, begin + len(rows))
        expected = np.stack(np.unravel_index(points, (1, *factors.values())), axis=1)
        if (rows != expected).any():
            row = begin + int(np.argmax((rows != expected).any(axis=1)))
            raise UserError(f"{path}: image {row} is not the point of the grid that it should be")
        begin += len(rows)
    packed = np.empty((count, SIDE * SIDE // 8), np.uint8)
    begin = 0
    for images in blocks:
        if images.max() > 1:
            raise UserError(f"{path}: 'imgs' holds {int(images.max())}; expected 0 and 1")
        flat = images.reshape(len(images), -1)
        packed[begin : begin + len(images)] = np.packbits(flat, axis=1, bitorder="little")
        begin += len(images)
    return original_sprites(packed, path, factors)


def read_mpi3d(path: Path, name: str, known: tuple[Factors, ...] = MPI3D) -> ByteImages:
    """MPI3D (toy, realistic or real): `images` (N, 64, 64, 3) bytes, the vertical axis running fastest.

    Factors: object_colour 6, object_shape 6, object_size 2, camera_height 3, background_colour 3,
    horizontal_axis 40, vertical_axis 40, as published; the toy set of the challenge had 4 colours and 4
    shapes. Which it is follows from the number of images.

    Args:
        path: mpi3d_toy.npz, mpi3d_realistic.npz or mpi3d_real.npz.
        name: of the set.
        known: the grids that it may be.

    Raises:
        UserError: for another file, or one too large for the memory.
    """
    shape, blocks = _member(path, "images", "u1")
    sizes = {math.prod(factors.values()): factors for factors in known}
    if shape[1:] != (SIDE, SIDE, 3) or shape[0] not in sizes:
        counts = " or ".join(map(str, sizes))
        raise UserError(f"{path}: 'images' is {shape}; expected {counts} images of 64x64x3")
    x = _room(path, shape[0], 3, SIDE, SIDE)
    begin = 0
    for images in blocks:
        x[begin : begin + len(images)] = images.transpose(0, 3, 1, 2)
        begin += len(images)
    return bytes_of(name, sizes[shape[0]], f"from {path.name}", x)


def read_shapes3d(path: Path, factors: Factors = SHAPES3D) -> ByteImages:
    """3D Shapes: `images` (480000, 64, 64, 3) bytes of an HDF5 file, the orientation running fastest.

    Args:
        path: 3dshapes.h5.
        factors: what the grid is expected to be.

    Raises:
        UserError: for another file, one too large for the memory, or without h5py.
    """
    try:
        import h5py
    except ImportError:
        raise UserError(f"{path}: HDF5 files need h5py: python -m pip install 'vaekit[hdf5]'") from None
    count = math.prod(factors.values())
    try:
        with h5py.File(path, "r") as file:
            if "images" not in file or "labels" not in file:
                raise UserError(f"{path} holds {', '.join(file)}; expected 'images' and 'labels'")
            images, labels = file["images"], file["labels"]
            found = tuple(images.shape), images.dtype
            if found != ((count, SIDE, SIDE, 3), np.dtype(np.uint8)):
                raise UserError(f"{path}: 'images' is {found[0]} of {found[1]}; expected {count} of 64x64x3")
            if tuple(labels.shape) != (count, len(factors)):
                raise UserError(f"{path}: 'labels' is {labels.shape}; expected {(count, len(factors))}")
            x = _room(path, count, 3, SIDE, SIDE)
            for begin in range(0, count, _AT_ONCE):
                part = images[begin : begin + _AT_ONCE]
                x[begin : begin + len(part)] = part.transpose(0, 3, 1, 2)
    except (*BROKEN, RuntimeError) as error:
        raise broken(path, error) from None
    return bytes_of("shapes3d", factors, f"from {path.name}", x)
