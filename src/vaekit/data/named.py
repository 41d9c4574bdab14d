"""The named sets, read from their checked files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaekit.data.files import locate, read_idx
from vaekit.data.images import area_resize
from vaekit.data.raw import Raw
from vaekit.data.sound import read_spoken_digits
from vaekit.data.text import read_shakespeare
from vaekit.errors import UserError

_CLOTHES = (
    "t-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def read_named(name: str, *, size: int | None, channels: int | None) -> Raw:
    """One of the sets with files, or the digits; generated sets have no `Raw`.

    Raises:
        UserError: if its files are wrong or not to be had.
    """
    if name == "digits":
        raw = _digits()
    elif name == "omniglot":
        raw, size = _omniglot(size or 28), None
    elif name == "spoken_digits":
        raw = read_spoken_digits()
    elif name == "tiny_shakespeare":
        raw = read_shakespeare()
    else:
        raw = _idx(name)
    for part in (raw, raw.test):
        if part is not None:
            part.arrange(size, channels)
    return raw


def _digits() -> Raw:
    from sklearn.datasets import load_digits

    found = load_digits()
    x = found.images.astype(np.uint8)
    return Raw("digits", x, y=found.target.astype(np.int64), levels=17, binarise="dynamic")


def _idx(name: str) -> Raw:
    files = locate(name)

    def part(prefix: str, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
        x = read_idx(files[f"{prefix}-images-idx3-ubyte.gz"])
        y = read_idx(files[f"{prefix}-labels-idx1-ubyte.gz"])
        if x.shape != (count, 28, 28) or y.shape != (count,):
            raise UserError(f"{name}: got images {x.shape} and labels {y.shape}; expected {count} of 28x28")
        return x, y.astype(np.int64)

    x, y = part("train", 60_000)
    test_x, test_y = part("t10k", 10_000)
    fashion = name == "fashion_mnist"
    return Raw(
        name,
        x,
        y=y,
        class_names=_CLOTHES if fashion else None,
        binarise="none" if fashion else "dynamic",
        test=Raw(name, test_x, y=test_y),
        valid=5_000,
    )


def _omniglot(size: int) -> Raw:
    files = locate("omniglot")
    x, y, train_names = _characters(files["images_background.zip"], size)
    test_x, test_y, test_names = _characters(files["images_evaluation.zip"], size)
    raw = Raw("omniglot", x, y=y, class_names=(*train_names, *test_names), binarise="dynamic", valid=1_928)
    raw.notes.append(
        "ink is 1; the 30 background alphabets train, the 20 evaluation alphabets test, so no test "
        "class is in the "
        "training set (not the split of Burda et al.)"
    )
    if size != 105:
        raw.notes.append(f"resized from 105x105 to {size}x{size}, averaged by area")
    raw.test = Raw("omniglot", test_x, y=test_y + len(train_names))
    return raw


def _characters(path: Path, size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """(images (N, size, size) with 256 levels, classes, names of the classes) of one archive."""
    from PIL import Image

    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(name for name in archive.namelist() if name.endswith(".png"))
            ink = np.empty((len(members), 105, 105), np.uint8)
            for k, member in enumerate(members):
                with Image.open(io.BytesIO(archive.read(member))) as image:
                    ink[k] = ~np.asarray(image.convert("1"))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {path}: {error}") from None
    characters = ["/".join(member.split("/")[-3:-1]) for member in members]
    names, classes = np.unique(characters, return_inverse=True)
    grey = ink[:, None] * np.uint8(255)
    return (
        area_resize(grey, size)[:, 0] if size != 105 else grey[:, 0],
        classes.astype(np.int64),
        names.tolist(),
    )
