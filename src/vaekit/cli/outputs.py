"""Data of a model as files: a PNG grid, a CSV table in original units, text, sound, a NumPy array."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaekit.data import assemble, original_units, recording, texts
from vaekit.data.sound import wav
from vaekit.data.spec import Spec
from vaekit.errors import UserError
from vaekit.files import write_whole
from vaekit.pictures import grid, png


def place(out: Path | None, folder: Path, stem: str, default: str, allowed: Sequence[str]) -> Path:
    """Where an output goes: `out`, or `stem` in the run directory.

    Raises:
        UserError: for an ending that these data cannot have, or where nothing can be written.
    """
    path = folder / f"{stem}{default}" if out is None else out
    if path.suffix.lower() not in allowed:
        raise UserError(f"--out is {path}, which ends with {path.suffix!r}; expected {' or '.join(allowed)}")
    if path.is_dir():
        raise UserError(f"--out is {path}, which is a folder; expected the name of a file")
    if not path.parent.is_dir():
        raise UserError(f"--out is {path}, but there is no folder {path.parent}: make it first")
    return path


def endings(spec: Spec) -> tuple[str, ...]:
    """What data of a spec can be written as, the usual one first; .npy is for everything."""
    if _picture(spec) is not None:
        return (".png", ".npy") if spec.sound is None else (".png", ".npy", ".wav")
    if spec.vocabulary is not None:
        return (".txt", ".npy")
    return (".csv", ".npy") if len(spec.shape) == 1 else (".npy",)


def write(path: Path, spec: Spec, x: Tensor, c: Tensor | None = None, across: int | None = None) -> str:
    """Write data of a spec; returns what was written, in words.

    Args:
        path: its ending says what is written.
        spec: of the data.
        x: (N, *shape).
        c: conditions, (N, *context), where there are any.
        across: pictures in a row of a grid; by default as many as rows.
    """
    ending = path.suffix.lower()
    if ending == ".png":
        pictures, remark = as_pictures(spec, whole(spec, x, c))
        write_bytes(path, png(grid(pictures, across)))
        return f"{len(x)} pictures{remark}"
    if ending == ".txt":
        lines = [text.replace("\n", "\\n") for text in texts(spec, x.tolist())]
        write_bytes(path, "".join(f"{line}\n" for line in lines).encode("utf-8"))
        return f"{len(x)} lines of text, one a datum, line breaks written as \\n"
    if ending == ".wav" and spec.sound is not None:
        pause = x.new_zeros(len(x), spec.sound.rate // 4)
        write_bytes(path, wav(torch.cat([recording(x, spec.sound), pause], 1).flatten(), spec.sound.rate))
        return f"{len(x)} sounds one after another, phases found by repeated projection"
    values = original_units(spec, whole(spec, x, c)).cpu().numpy()
    if ending == ".csv":
        write_bytes(path, _csv(spec, values))
        return f"{len(x)} rows, {values.shape[1]} columns in original units"
    write_array(path, values)
    return f"array of shape {values.shape}"


def whole(spec: Spec, x: Tensor, c: Tensor | None) -> Tensor:
    """Data as a person knows them: predicted and visible quadrants joined."""
    return x if spec.quadrants is None or c is None else assemble(spec, x, c)


def as_pictures(spec: Spec, x: Tensor) -> tuple[Tensor, str]:
    """Pictures in [0, 1], and in words what black and white are where that is not plain."""
    low, high, remark = 0.0, 1.0, ""
    if spec.kind == "categorical":
        high = float((spec.levels or 2) - 1)
    elif spec.kind in ("real", "count"):
        low, high = float(x.min()), float(x.max())
        remark = f", black is {low:.4g} and white is {high:.4g}"
    return (x.float() - low) / ((high - low) or 1.0), remark


def write_array(path: Path, values: NDArray[Any]) -> None:
    """A .npy file, whole or not at all."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    write_bytes(path, buffer.getvalue())


def write_bytes(path: Path, content: bytes) -> None:
    """Any file, whole or not at all."""

    def fill(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_whole(path, fill)


def rows(names: Sequence[str], values: NDArray[Any]) -> bytes:
    """A CSV table; numbers are written so that they read back as the same float32."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([f"{value:.9g}" for value in row] for row in values.tolist())
    return buffer.getvalue().encode("utf-8")


def _csv(spec: Spec, values: NDArray[Any]) -> bytes:
    names = spec.columns or tuple(f"column{k}" for k in range(1, values.shape[1] + 1))
    return rows(names, values)


def _picture(spec: Spec) -> tuple[int, ...] | None:
    shape = spec.shape if spec.picture is None else spec.picture
    return shape if len(shape) == 3 and shape[0] in (1, 3) else None


def joined(values: dict[str, Tensor]) -> tuple[list[str], Tensor]:
    """Latents side by side, (N, all dimensions), and a name for each dimension."""
    names, parts = [], []
    for name, value in values.items():
        flat = value.reshape(len(value), -1)
        names += [f"{name}_{k}" for k in range(flat.shape[1])]
        parts.append(flat)
    return names, torch.cat(parts, dim=1)
