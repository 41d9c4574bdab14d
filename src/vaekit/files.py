"""Files that are written whole or not at all, and read without running anything."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from vaekit.errors import UserError


@contextmanager
def disk_errors(path: Path, action: str) -> Iterator[None]:
    """Turn what an operating system says about a file into one clear line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"cannot {action} {path}: {reason}: choose another place, or make room and permissions there"
        ) from error


def write_whole(path: Path, fill: Callable[[Path], None]) -> None:
    """Write to a temporary file beside `path`, flush it to the disk and rename it.

    Args:
        path: where the file will stand.
        fill: writes the content to the path that it is given.

    Raises:
        UserError: if the disk refuses; nothing is left behind, and what stood there before still does.
    """
    with disk_errors(path, "write"):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        temporary = Path(name)
        try:
            fill(temporary)
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
            _sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_folder(path: Path, fill: Callable[[Path], None], *, replace: bool = False) -> None:
    """Fill a folder beside `path` and rename it, so that it is there whole or not at all.

    Args:
        path: where the folder will stand.
        fill: writes the content into the folder that it is given.
        replace: whether a folder that stands there makes room, once the new one is whole.

    Raises:
        UserError: if something stands there that may not be replaced, or the disk refuses.
    """
    if path.exists() and not (path.is_dir() and (replace or not any(path.iterdir()))):
        raise UserError(f"{path} exists already: choose another place, or say --overwrite")
    with disk_errors(path, "write"):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
        former = draft.with_suffix(".former")
        try:
            fill(draft)
            os.chmod(draft, 0o777 & ~_umask())
            if path.exists():
                os.rename(path, former)
            try:
                os.rename(draft, path)
            except OSError:
                if former.exists():
                    os.rename(former, path)
                raise
            _sync_folder(path.parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            shutil.rmtree(former, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""

    def fill(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_whole(path, fill)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file of bytes whole or not at all."""

    def fill(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_whole(path, fill)


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON, whole or not at all; NaN and infinities are written as null."""
    write_text(path, json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object a line, whole or not at all."""
    write_text(path, "".join(json.dumps(_plain(row), allow_nan=False) + "\n" for row in rows))


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        UserError: if the file is absent, unreadable or no JSON.
    """
    with disk_errors(path, "read"):
        raw = path.read_bytes()
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no valid JSON ({error}): it was damaged or is no run record") from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object a line; an absent file has none."""
    if not path.exists():
        return []
    with disk_errors(path, "read"):
        raw = path.read_bytes()
    try:
        rows = [json.loads(line) for line in raw.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): every line has to be one JSON object") from error
    if not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path} is damaged: every line has to be one JSON object")
    return rows


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, Any] | None = None) -> None:
    """Write tensors with a JSON note, whole or not at all (safetensors: no pickle)."""
    from safetensors.torch import save_file

    # clones: names that share memory (tied modules) are stored once each
    stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    note = {"about": json.dumps(_plain(about or {}), allow_nan=False)}

    def fill(temporary: Path) -> None:
        try:
            save_file(stored, temporary, metadata=note)
        except OSError:
            raise
        except Exception as error:  # safetensors wraps what the operating system says in its own error
            raise OSError(None, str(error)) from error

    write_whole(path, fill)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and their note.

    Raises:
        UserError: if the file is absent or no safetensors file; nothing in it is ever executed.
    """
    from safetensors import safe_open

    if not path.is_file():
        raise UserError(f"{path} is missing: the run directory is incomplete")
    try:
        with safe_open(path, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (no mapping)
            about = json.loads((stream.metadata() or {}).get("about", "{}"))
    except Exception as error:
        raise UserError(f"{path} is damaged or no safetensors file ({error}): it was not read") from error
    if not isinstance(about, dict):
        raise UserError(f"{path} is damaged: its note is no JSON object")
    return tensors, about


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sync_folder(folder: Path) -> None:
    # the rename itself has to reach the disk; some systems cannot open a folder, and then do not need it
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
