"""ONNX graphs and torch programs on the disk: a folder with all that one needs, or one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from vaekit.errors import UserError
from vaekit.exporting.about import facts, readme
from vaekit.exporting.graphs import Precision, export_graphs
from vaekit.exporting.parts import halve
from vaekit.exporting.programs import export_programs
from vaekit.files import write_bytes, write_folder, write_json, write_text
from vaekit.runs import Run

Part = Literal["decoder", "encoder"]

ABOUT = "export.json"
"""The file that says what goes in and what comes out: a folder that holds it was written by vaekit."""

_ENDINGS = {"onnx": ".onnx", "torch": ".pt2"}
_FILES = (".onnx", ".pt2", ".pt", ".pth", ".bin", ".json", ".safetensors", ".zip")  # meant as names of files


def write_onnx(
    run: Run,
    path: str | Path,
    *,
    precision: Precision = "float32",
    part: Part = "decoder",
    overwrite: bool = False,
) -> list[str]:
    """Write a run's model as ONNX graphs, whole or not at all.

    Args:
        run: a run with weights.
        path: a folder, which gets decoder.onnx, encoder.onnx, export.json and README.md; or a file that ends
            with .onnx, which gets one of the two.
        precision: how weights are stored.
        part: which of the two, in a file.
        overwrite: whether an export that stands there is replaced.

    Returns:
        What was written, one line each.

    Raises:
        UserError: if something stands there, or the disk refuses.
        UnsupportedError: if the model cannot be exported, with the reason.
    """
    target = free(Path(path), "onnx", overwrite)
    graphs = export_graphs(run.model(), run.spec, precision=precision)
    parts = {"decoder": graphs.decoder, "encoder": graphs.encoder}
    return _write(run, target, "onnx", parts, graphs.deviations, precision, part, graphs.notes)


def write_torch(run: Run, path: str | Path, *, part: Part = "decoder", overwrite: bool = False) -> list[str]:
    """Write a run's model as programs of torch (`torch.export`), whole or not at all; see `write_onnx`.

    The folder gets decoder.pt2, encoder.pt2, export.json and README.md; a file ends with .pt2.
    """
    target = free(Path(path), "torch", overwrite)
    programs = export_programs(run.model(), run.spec)
    parts = {"decoder": programs.decoder, "encoder": programs.encoder}
    return _write(run, target, "torch", parts, programs.deviations, "float32", part, programs.notes)


def free(path: Path, form: Literal["onnx", "torch"], overwrite: bool) -> Path:
    """The same path, if an export may be written there.

    Raises:
        UserError: if it may not, before anything is computed.
    """
    ending = _ENDINGS[form]
    if path.suffix in _FILES and path.suffix != ending and not path.is_dir():
        raise UserError(
            f"--{form} is {path}, which ends with {path.suffix!r}; expected a folder, or a file that ends "
            f"with {ending}"
        )
    refuse_other(path, overwrite, ABOUT)
    if path.suffix == ending and not path.parent.is_dir():
        raise UserError(f"--{form} is {path}, but there is no folder {path.parent}: make it first")
    return path


def refuse_other(path: Path, overwrite: bool, sign: str) -> None:
    """Refuse to replace what was not asked to be replaced, or was not written by vaekit.

    Args:
        path: the target.
        overwrite: whether it was asked for.
        sign: a file that is in every folder of the kind.

    Raises:
        UserError: if something stands there that stays.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise UserError(f"{path} exists already: choose another place, or say --overwrite")
    if path.is_dir() and not (path / sign).is_file():
        raise UserError(f"{path} holds no {sign}, so it is no export to overwrite: choose another place")


def _write(
    run: Run,
    target: Path,
    form: Literal["onnx", "torch"],
    parts: Mapping[str, bytes | None],
    deviations: Mapping[str, float],
    precision: str,
    part: Part,
    notes: tuple[str, ...],
) -> list[str]:
    ending = _ENDINGS[form]
    if target.suffix == ending:
        content = parts[part]
        if content is None:
            raise UserError("; ".join(notes))
        write_bytes(target, content)
        return [f"{target}: the {part}, {_size(content)}, {_equal(deviations, precision)}"]
    files = {role: f"{role}{ending}" for role, content in parts.items() if content is not None}
    halves = halve(run.model(), run.spec)
    about = facts(run, halves, files, deviations, precision)

    def fill(folder: Path) -> None:
        for role, name in files.items():
            write_bytes(folder / name, parts[role] or b"")
        write_json(folder / ABOUT, about)
        write_text(folder / "README.md", readme(run, about, halves))

    write_folder(target, fill, replace=True)
    sizes = ", ".join(f"{name} ({_size(parts[role] or b'')})" for role, name in files.items())
    return [f"{target}: {sizes}, {_equal(deviations, precision)}", *notes]


def _size(content: bytes) -> str:
    return f"{len(content) / 1e6:.2f} MB" if len(content) >= 100_000 else f"{len(content) / 1e3:.0f} kB"


def _equal(deviations: Mapping[str, float], precision: str) -> str:
    return f"{precision} weights, equal to the model to {max(deviations.values()):.0e}"
