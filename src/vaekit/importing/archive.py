"""Weights from a file of `torch.save`, a zip archive around a pickle: only if they are plain tensors."""

from __future__ import annotations

import pickletools
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaekit.errors import UserError
from vaekit.files import disk_errors

LARGEST = 4 << 30  # bytes of an archive
_PICKLE = 8 << 20  # bytes of the part that names the tensors
_ENTRIES = 10_000

_WORDS = {
    "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter",
    "torch FloatStorage", "torch DoubleStorage", "torch HalfStorage", "torch BFloat16Storage",
    "torch LongStorage", "torch IntStorage", "torch BoolStorage",
}  # fmt: skip
"""What the pickle of a state dict names. Whatever else is named could do something else than hold numbers."""


def read_archive(path: Path) -> Any:
    """Read what `torch.save` wrote, if it is made of dictionaries, numbers and tensors alone.

    The pickle is looked through before it is read, and then read by torch's reader that knows tensors alone:
    nothing in it can run.

    Raises:
        UserError: for any other content, a damaged or compressed archive, or one above 4 GiB.
    """
    with disk_errors(path, "read"):
        size = path.stat().st_size
    if size > LARGEST:
        raise UserError(f"{path} has {size:,} bytes; expected at most {LARGEST:,}")
    _check_words(_pickle_of(path, size), path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has many ways to say that a file is broken
        reason = _short(error)
        raise UserError(f"{path} cannot be read as plain tensors ({reason}): it was not read") from error


def tensors_of(found: Any, name: str, path: Path) -> dict[str, Tensor]:
    """The dense tensors under a name of what was read, each of which has all its numbers in the file.

    Raises:
        UserError: if something else stands there.
    """
    state = found.get(name) if isinstance(found, dict) else None
    if not isinstance(state, dict) or not state:
        raise UserError(f"{path} holds no {name!r} with named tensors: it is no model of Pythae")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise UserError(f"{path}: {key!r} in {name!r} is {type(value).__name__}; expected a tensor")
        dense = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
        # a view of stride 0 would make a small file as large as it likes
        if not (dense and value.is_contiguous()):
            raise UserError(
                f"{path}: {key!r} is no ordinary tensor; expected dense numbers, stored one by one"
            )
    return dict(state)


def _pickle_of(path: Path, size: int) -> bytes:
    """The one pickle of the archive, of which nothing is compressed, as torch writes it."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            # torch finds entries whatever the case of their letters
            pickles = [entry for entry in entries if entry.filename.lower().split("/")[-1] == "data.pkl"]
            odd = len(entries) > _ENTRIES or any(
                entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size
                for entry in entries
            )
            if odd or sum(entry.file_size for entry in entries) > size:
                raise UserError(
                    f"{path} is compressed or larger inside than outside, which torch.save never writes: "
                    "it was not read"
                )
            if len(pickles) != 1 or pickles[0].file_size > _PICKLE:
                raise UserError(f"{path} is no archive of torch.save: expected one data.pkl in it")
            return archive.read(pickles[0])
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise UserError(
            f"{path} is damaged or no archive of torch.save ({_short(error)}): it was not read"
        ) from error


def _check_words(pickle: bytes, path: Path) -> None:
    try:
        for operation, argument, _ in pickletools.genops(pickle):
            if operation.name == "GLOBAL" and argument in _WORDS:
                continue
            if operation.name in ("GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"):
                what = str(argument or operation.name).replace(" ", ".")
                raise UserError(
                    f"{path} names {what}, which is no plain weight and could run code: it was not read"
                )
    except UserError:
        raise
    except Exception as error:  # an odd pickle ends the reading in many ways
        raise UserError(f"{path} is damaged ({_short(error)}): it was not read") from error


def _short(error: BaseException) -> str:
    text = re.sub(r"\s+", " ", str(error)).strip()
    return f"{text[:120]}..." if len(text) > 120 else text or type(error).__name__
