"""Cars3D and SmallNORB from the files that their authors publish: read whole, checked, resized to 64 x 64."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaekit.data.originals import BROKEN, SIDE, Factors, broken, bytes_of
from vaekit.data.resident import ByteImages
from vaekit.errors import UserError

CARS3D: Factors = {"elevation": 4, "azimuth": 24, "object": 183}
SMALLNORB: Factors = {"category": 5, "elevation": 9, "azimuth": 18, "lighting": 6}
INSTANCES = 10


def read_cars3d(folder: Path, factors: Factors = CARS3D) -> ByteImages:
    """Cars3D: a .mat file for each of 183 cars, `im` (128, 128, 3, azimuth 24, elevation 4) bytes.

    Cars are numbered by the sorted names of their files; disentanglement_lib takes them as the directory
    lists them, which no two machines need agree on. Images are resized to 64 x 64 (Lanczos).

    Args:
        folder: with the .mat files of nips2015-analogy-data/data/cars.
        factors: what the grid is expected to be.

    Raises:
        UserError: for other files, or another number of them.
    """
    from PIL import Image
    from PIL.Image import Resampling
    from scipy.io import loadmat

    elevations, azimuths, objects = factors.values()
    files = sorted(path for path in folder.glob("*.mat") if path.is_file())
    if len(files) != objects:
        raise UserError(f"{folder} holds {len(files)} .mat files; expected {objects}, one for each car")
    x = np.empty((elevations, azimuths, objects, 3, SIDE, SIDE), np.uint8)
    expected = (128, 128, 3, azimuths, elevations)
    for number, path in enumerate(files):
        try:
            found = loadmat(str(path), variable_names=["im"]).get("im")
        except Exception as error:  # the reader of broken files raises whatever it stumbles over
            raise broken(path, error) from None
        if found is None or found.shape != expected or found.dtype != np.uint8:
            what = "no `im`" if found is None else f"`im` {found.shape} of {found.dtype}"
            raise UserError(f"{path} holds {what}; expected {expected} of uint8")
        for elevation in range(elevations):
            for azimuth in range(azimuths):
                image = Image.fromarray(np.ascontiguousarray(found[..., azimuth, elevation]))
                small = np.asarray(image.resize((SIDE, SIDE), Resampling.LANCZOS))
                x[elevation, azimuth, number] = small.transpose(2, 0, 1)
    note = "cars numbered by the names of their files; resized from 128x128 to 64x64 (Lanczos)"
    return bytes_of("cars3d", factors, note, x.reshape(-1, 3, SIDE, SIDE))


_MATRIX_TYPES = {
    0x1E3D4C51: "<f4", 0x1E3D4C53: "<f8", 0x1E3D4C54: "<i4", 0x1E3D4C55: "u1", 0x1E3D4C56: "<i2",
}  # fmt: skip


def read_matrix(path: Path) -> NDArray[Any]:
    """An array in the binary format of the NORB files, gzipped or not.

    The format, little-endian: a type and a number of axes, 4 bytes each; the size of each axis, at least
    three of them (the rest is 1); the values, the last axis running fastest.

    Raises:
        UserError: if the file is truncated, damaged, or of another format.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read()
    except BROKEN as error:
        raise broken(path, error) from None
    if len(content) < 20:
        raise UserError(f"{path} is no NORB matrix: it holds {len(content)} bytes; expected 20 or more")
    magic, axes = np.frombuffer(content, "<i4", 2).tolist()
    if magic not in _MATRIX_TYPES or not 1 <= axes <= 8:
        raise UserError(f"{path} is no NORB matrix: it begins with {content[:8].hex(' ')}")
    stored = max(3, axes)
    kind = np.dtype(_MATRIX_TYPES[magic])
    sizes = np.frombuffer(content[8 : 8 + 4 * stored].ljust(4 * stored, b"\0"), "<i4").tolist()
    shape = sizes[:axes]
    expected = 8 + 4 * stored + math.prod(shape) * kind.itemsize
    if min(shape) < 1 or len(content) != expected:
        raise UserError(f"{path} is damaged: it holds {len(content)} bytes; expected {expected} for {shape}")
    return np.frombuffer(content, kind, offset=8 + 4 * stored).reshape(shape)


_CHUNKS = ("5x46789x9x18x6x2x96x96-training", "5x01235x9x18x6x2x96x96-testing")


def read_smallnorb(folder: Path, factors: Factors = SMALLNORB, instances: int = INSTANCES) -> ByteImages:
    """SmallNORB: training and test files together, the left camera, the instance a nuisance.

    Factors: category 5, elevation 9, azimuth 18, lighting 6. Which of the 10 toys of a category is seen is
    drawn at every visit and is no factor, as in the study. Images are resized from 96 x 96 to 64 x 64
    (Lanczos on integers, as disentanglement_lib does) and clamped to 0..255; there the overshoot of the
    filter stays, so that its pixels can leave [0, 1].

    Args:
        folder: with smallnorb-...-{dat,cat,info}.mat, gzipped or not.
        factors: what the grid is expected to be.
        instances: images of each point of the grid.

    Raises:
        UserError: for missing or damaged files, or if not every image is there once.
    """
    from PIL import Image
    from PIL.Image import Resampling

    sizes = tuple(factors.values())
    x = np.empty((math.prod(sizes), instances, SIDE, SIDE), np.uint8)
    seen = np.zeros(x.shape[:2], np.int64)
    for chunk in _CHUNKS:
        dat, cat, info = (read_matrix(_chunk(folder, chunk, part)) for part in ("dat", "cat", "info"))
        count = len(dat)
        if dat.shape != (count, 2, 96, 96) or dat.dtype != np.uint8:
            raise UserError(f"{folder}: {chunk}-dat is {dat.shape} of {dat.dtype}; expected (N, 2, 96, 96)")
        if cat.shape != (count,) or info.shape != (count, 4) or (info[:, 2] % 2).any():
            raise UserError(f"{folder}: {chunk}-cat and -info do not fit {count} images as published")
        instance, azimuth = info[:, 0], info[:, 2] // 2  # azimuths are 0, 2, .. 34, in steps of 10 degrees
        columns = (cat, info[:, 1], azimuth, info[:, 3])
        inside = [(c >= 0) & (c < n) for c, n in zip((*columns, instance), (*sizes, instances), strict=True)]
        if not np.all(inside):
            raise UserError(f"{folder}: {chunk}-info holds a value that its factor does not have")
        points = np.ravel_multi_index(columns, sizes)
        np.add.at(seen, (points, instance), 1)
        for pixels, point, which in zip(dat[:, 0], points, instance, strict=True):
            image = Image.fromarray(pixels.astype(np.int32))
            small = np.asarray(image.resize((SIDE, SIDE), Resampling.LANCZOS))
            x[point, which] = small.clip(0, 255)
    if (seen != 1).any():
        point, which = np.unravel_index(int(np.argmax(seen != 1)), seen.shape)
        raise UserError(
            f"{folder}: instance {which} of grid point {point} is there {seen[point, which]} times; expected "
            "every image once"
        )
    note = (
        f"training and test files, left camera; which of the {instances} instances of a category is seen is "
        "drawn at every visit and is no factor; resized from 96x96 to 64x64 (Lanczos), clamped to 0..255"
    )
    return bytes_of("smallnorb", factors, note, x[:, :, None], instances)


def _chunk(folder: Path, chunk: str, part: str) -> Path:
    for ending in ("mat", "mat.gz"):
        path = folder / f"smallnorb-{chunk}-{part}.{ending}"
        if path.is_file():
            return path
    raise UserError(f"{folder} holds no smallnorb-{chunk}-{part}.mat (or .mat.gz); expected all six files")
