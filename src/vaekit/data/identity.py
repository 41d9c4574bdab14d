"""Which data a run has seen, as one number."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Data, Splits
from vaekit.data.grids import GridData
from vaekit.data.pairs import PairData
from vaekit.data.pictures import Pictures
from vaekit.data.streams import MappedArray, Source, StreamData, Thresholded

_WHOLE = 256 << 20  # bytes up to which everything is read
_BLOCKS, _BLOCK = 64, 1 << 20


def fingerprint(data: Data | Splits) -> str:
    """SHA-256, in hexadecimal, over the spec and the stored bytes of a set (of all three parts of `Splits`).

    Arrays of more than 256 MB are represented by 64 evenly spaced blocks of 1 MB, folders of pictures by the
    names and sizes of all files and the bytes of up to 256 of them; the result then begins with "sampled:".
    """
    digest = _Digest()
    if isinstance(data, Splits):
        for part in (data.train, data.valid, data.test):
            found = fingerprint(part)
            digest.add(bytes.fromhex(found.removeprefix("sampled:")))
            digest.sampled |= found.startswith("sampled:")
        return digest.text()
    if isinstance(data, PairData):  # partners follow from the data and from what the spec says of them
        digest.add(f"pairs {data.pairs}".encode())
        found = fingerprint(data.data)
        digest.add(bytes.fromhex(found.removeprefix("sampled:")))
        digest.sampled = found.startswith("sampled:")
        return digest.text()
    if not isinstance(data, ArrayData | GridData | StreamData):
        raise TypeError(
            f"cannot take the fingerprint of {type(data).__name__}; expected data of vaekit or `Splits`"
        )
    # the note is words for people; what is not said is left out, so that a field added later changes nothing
    told = {k: v for k, v in data.spec.to_json().items() if k != "note" and v is not None}
    digest.add(json.dumps(told, sort_keys=True).encode())
    if isinstance(data, ArrayData):
        digest.arrays(data.x, data.y, data.c, data.factors)
        if data.theta is not None:  # said where it is, so that the numbers of other sets stay as they were
            digest.arrays(data.theta)
        digest.add(f"{data.binarise} {data.visible}".encode())
    elif isinstance(data, GridData):
        digest.arrays(*data.source.parts(data.points))
    else:
        digest.arrays(torch.from_numpy(data.index), data.y, data.c, data.factors)
        digest.source(data.source)
    return digest.text()


class _Digest:
    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.sampled = False

    def add(self, content: bytes) -> None:
        """One part, with its length, so that parts cannot run into each other."""
        self.hash.update(len(content).to_bytes(8, "little") + content)

    def arrays(self, *arrays: Tensor | None) -> None:
        for array in arrays:
            if array is None:
                self.add(b"none")
            else:
                self.array(array.detach().cpu().numpy())

    def array(self, array: np.ndarray[Any, Any]) -> None:
        self.add(f"{array.dtype.str} {array.shape}".encode())
        if array.nbytes <= _WHOLE:
            self.hash.update(np.ascontiguousarray(array).data)
            return
        self.sampled = True
        rows = max(1, _BLOCK // (array.nbytes // len(array)))
        for begin in np.linspace(0, max(0, len(array) - rows), _BLOCKS).astype(int):
            self.hash.update(np.ascontiguousarray(array[begin : begin + rows]).data)

    def source(self, source: Source) -> None:
        if isinstance(source, Thresholded):
            self.add(f"threshold {source.level}".encode())
            self.source(source.source)
        elif isinstance(source, MappedArray):
            self.array(source.array)
        elif isinstance(source, Pictures):
            self.sampled = True
            every = -(-len(source.files) // 256)
            for k, name in enumerate(source.files):
                path = source.root / name
                self.add(f"{name} {path.stat().st_size}".encode())
                if k % every == 0:
                    self.add(path.read_bytes())
        else:
            raise TypeError(f"cannot take the fingerprint of a {type(source).__name__}")

    def text(self) -> str:
        return ("sampled:" if self.sampled else "") + self.hash.hexdigest()
