"""Numbers as they travel between the page and Python: base64 of little-endian bytes in JSON."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import torch
from torch import Tensor

Packed = dict[str, Any]
"""{"dtype": "float32" or "int32", "shape": [...], "data": base64 of the numbers, the last axis fastest}."""

_TYPES = {"float32": (torch.float32, "<f4"), "int32": (torch.int32, "<i4")}


def pack(values: Tensor) -> Packed:
    """An array for the page: floating numbers as float32, whole ones as int32."""
    name = "float32" if values.is_floating_point() else "int32"
    dtype, order = _TYPES[name]
    plain = values.detach().to("cpu", dtype).contiguous().numpy().astype(order, copy=False)
    return {
        "dtype": name,
        "shape": list(values.shape),
        "data": base64.b64encode(plain.tobytes()).decode("ascii"),
    }


def unpack(packed: Packed, *, most: int = 1 << 24) -> Tensor:
    """The array behind what `pack` made, or the page sent: float32 or int32, on the CPU.

    Nothing is allocated by what `shape` claims: it has to agree with the bytes that came.

    Args:
        packed: as `Packed` says; other keys are not looked at.
        most: largest number of elements.

    Raises:
        ValueError: for anything else, with what was expected.
    """
    name, shape, data = (packed.get(key) for key in ("dtype", "shape", "data"))
    if name not in _TYPES:
        raise ValueError("`dtype` is unknown; expected float32 or int32")
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size <= most for size in shape):
        raise ValueError(f"`shape` is no list of sizes; expected whole numbers from 0 to {most}")
    count = math.prod(shape)
    if count > most:
        raise ValueError(f"`shape` asks for {count} numbers; expected {most} at most")
    if not isinstance(data, str) or len(data) != 4 * -(-4 * count // 3):
        raise ValueError(f"`data` does not fit `shape`: expected base64 of {4 * count} bytes")
    try:
        raw = base64.b64decode(data.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("`data` is no base64") from error
    if len(raw) != 4 * count:
        raise ValueError(f"`data` does not fit `shape`: expected base64 of {4 * count} bytes")
    dtype, order = _TYPES[name]
    import numpy as np

    return torch.from_numpy(np.frombuffer(raw, order).astype(order.replace("<", "="))).to(dtype).view(shape)
