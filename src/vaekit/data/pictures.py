"""Folders of pictures: what lies in them, and how one file becomes an array. Imports no torch."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vaekit.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_GREY = frozenset({"1", "L", "LA"})
_COLOUR = frozenset({"P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La", "CMYK", "YCbCr", "LAB", "HSV"})
_TURNABLE = frozenset({"JPEG", "MPO", "TIFF", "WEBP"})  # formats of cameras, which note how they were held


@dataclass(frozen=True)
class Pictures:
    """The pictures of a folder, and the one shape that all of them get.

    Args:
        root: the folder.
        files: paths below it, sorted.
        shape: (channels, height, width) of each.
        crop: whether each is cropped to its central square and resized; else its size is right as it is.
        labels: number of the subfolder of each picture, if every picture lies in one.
        class_names: the subfolders.
        other: number of files that are no pictures.
    """

    root: Path
    files: tuple[str, ...]
    shape: tuple[int, int, int]
    crop: bool
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] | None = None
    other: int = 0

    def __len__(self) -> int:
        return len(self.files)

    def subset(self, index: Sequence[int] | NDArray[np.int64]) -> Pictures:
        """Some of the pictures, in this order."""
        labels = None if self.labels is None else self.labels[np.asarray(index)]
        return replace(self, files=tuple(self.files[int(i)] for i in index), labels=labels)

    def note(self) -> str:
        """What is done to the files, for people."""
        size = f"{self.shape[1]}x{self.shape[2]}"
        words = [f"{'grey' if self.shape[0] == 1 else 'colour'} pictures, {size}"]
        if self.crop:
            words.append("each cropped to its central square and resized (Lanczos)")
        words.append("any transparency shown on white")
        if self.other:
            words.append(f"{self.other} files that are no pictures left out")
        return ", ".join(words)

    def decode(self, name: str) -> NDArray[np.uint8]:
        """One file as (channels, height, width) bytes.

        Raises:
            UserError: naming a file that cannot be read or has changed its size.
        """
        from PIL import ImageOps
        from PIL.Image import Resampling

        with _opened(self.root / name) as file:
            try:
                upright = ImageOps.exif_transpose(file) if file.format in _TURNABLE else file
                image = _flat(upright, "L" if self.shape[0] == 1 else "RGB")
            except (OSError, ValueError, SyntaxError) as error:
                raise UserError(
                    f"{self.root / name} is a broken picture ({error}); remove or replace it"
                ) from None
        height, width = self.shape[1:]
        if self.crop and image.size != (width, height):
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            square = image.crop(
                (left, top, left + side, top + side)
            )  # `resize(box=)` would look beyond its border
            image = square.resize((width, height), Resampling.LANCZOS)
        if image.size != (width, height):
            raise UserError(f"{self.root / name} is {image.width}x{image.height}; expected {width}x{height}")
        pixels = np.asarray(image, dtype=np.uint8)
        return pixels[None] if self.shape[0] == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def read(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pictures of the given numbers: (B, channels, height, width)."""
        return np.stack([self.decode(self.files[i]) for i in index])

    def read_all(self) -> NDArray[np.uint8]:
        """All pictures, decoded by a thread per processor: (N, channels, height, width)."""
        result = np.empty((len(self), *self.shape), np.uint8)
        with ThreadPoolExecutor(_threads()) as pool:
            for k, pixels in enumerate(pool.map(self.decode, self.files)):
                result[k] = pixels
        return result

    @property
    def nbytes(self) -> int:
        """Memory that all pictures need when decoded."""
        return len(self) * int(np.prod(self.shape))


def _threads() -> int:
    return min(8, os.cpu_count() or 1)


def _opened(path: Path) -> Image:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(path)
    except UnidentifiedImageError:
        raise UserError(f"{path} is no picture that Pillow can read; remove or replace it") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"cannot read {path}: {error}") from None


def _flat(image: Image, mode: str) -> Image:
    """Without palette or transparency, in 8-bit grey or colour."""
    from PIL import Image as images

    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = images.alpha_composite(images.new("RGBA", clear.size, "white"), clear)
    return image.convert(mode)


def _header(path: Path) -> tuple[str, tuple[int, int]]:
    """(mode, size as shown) without decoding the pixels."""
    with _opened(path) as image:
        mode, (width, height) = image.mode, image.size
        try:
            held = image.getexif().get(0x0112, 1) if image.format in _TURNABLE else 1
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(f"{path} is a broken picture ({error}); remove or replace it") from None
        turned = held in (5, 6, 7, 8)  # by a quarter
    if mode not in _GREY | _COLOUR:
        raise UserError(
            f"{path} is a picture of type {mode!r}; expected 8 bits a channel: convert it, or use .npy"
        )
    return mode, (height, width) if turned else (width, height)


def _headers(root: Path) -> tuple[list[str], int, list[tuple[str, tuple[int, int]]]]:
    """The pictures below a folder, the number of other files, and (mode, size as shown) of each picture."""
    names, other = [], 0
    for path in sorted(root.rglob("*"), key=lambda p: p.relative_to(root).as_posix()):
        below = path.relative_to(root)
        if any(part.startswith(".") for part in below.parts) or not path.is_file():
            continue
        if path.suffix.lower() in SUFFIXES:
            names.append(below.as_posix())
        else:
            other += 1
    if not names:
        found = f"{other} other files" if other else "nothing"
        raise UserError(
            f"{root} holds {found}, no pictures; expected files such as .png or .jpg, also in subfolders"
        )
    with ThreadPoolExecutor(_threads()) as pool:
        headers = list(pool.map(lambda name: _header(root / name), names))
    return names, other, headers


def picture_sizes(root: Path) -> Counter[tuple[int, int]]:
    """(width, height) as shown -> number of the pictures below a folder that have it.

    Raises:
        UserError: if there is no picture, or one cannot be read.
    """
    return Counter(shown for _, shown in _headers(root)[2])


def scan_folder(root: Path, size: int | None = None, channels: int | None = None) -> Pictures:
    """The pictures below a folder; hidden files are left out.

    Args:
        root: the folder, with pictures in it or in subfolders, which then are the labels.
        size: crop each picture to its central square and resize it to size x size.
        channels: 1 (grey) or 3 (colour); by default what most of the pictures have.

    Raises:
        UserError: if there is no picture, one cannot be read, or they differ in size and `size` is not given.
    """
    names, other, headers = _headers(root)
    if channels is None:
        channels = 1 if 2 * sum(mode in _GREY for mode, _ in headers) >= len(headers) else 3
    sizes = Counter(shown for _, shown in headers)
    (width, height), _ = sizes.most_common(1)[0]
    if size is None and len(sizes) > 1:
        odd = next(k for k, (_, shown) in enumerate(headers) if shown != (width, height))
        raise UserError(
            f"{root}: the pictures differ in size: {names[odd]} is {'x'.join(map(str, headers[odd][1]))}, "
            f"most are {width}x{height}; give `size` to crop and resize them all"
        )
    shape = (channels, height, width) if size is None else (channels, size, size)
    crop = size is not None and set(sizes) != {(size, size)}
    folders = [name.split("/")[0] if "/" in name else "" for name in names]
    classes = tuple(sorted(set(folders)))
    if "" in classes or len(classes) < 2:
        return Pictures(root, tuple(names), shape, crop, other=other)
    labels = np.searchsorted(np.array(classes), np.array(folders)).astype(np.int64)
    return Pictures(root, tuple(names), shape, crop, labels, classes, other)
