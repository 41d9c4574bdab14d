"""Published files: found, or fetched once, and checked by SHA-256 before use. Imports no torch."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import logging
import math
import os
import ssl
import tempfile
import urllib.error
import urllib.request
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaekit.data.catalogue import ENTRIES, Remote
from vaekit.errors import UserError

_log = logging.getLogger(__name__)
_TIMEOUT = 30.0  # seconds without an answer before a home counts as unreachable
_BLOCK = 1 << 20


def cache_folder() -> Path:
    """Where fetched files are kept: $XDG_CACHE_HOME/vaekit, or ~/.cache/vaekit."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "vaekit"


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        UserError: if the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None


def locate(name: str) -> dict[str, Path]:
    """The checked files of a named set: file name -> path.

    Each is looked up in $VAEKIT_DATA, then in the cache, and else fetched from its home into the cache.

    Raises:
        UserError: for a file that is wrong, or that is nowhere to be had.
    """
    entry = ENTRIES[name]
    return {remote.name: _locate(name, entry.folder, remote) for remote in entry.files}


def _roots() -> list[Path]:
    """Where files are looked up: $VAEKIT_DATA if it is set, then the cache."""
    root = os.environ.get("VAEKIT_DATA")
    return ([Path(root)] if root else []) + [cache_folder()]


def find_brought(name: str) -> Path | None:
    """The file or folder that a user has brought for a named set, or None."""
    about = ENTRIES[name].brought
    if about is not None:
        for root in _roots():
            for folder in about.folders:
                path = root / folder / about.file
                if path.is_file() if about.file else path.is_dir():
                    return path
    return None


def brought(name: str) -> Path:
    """The file or folder that a named set needs and a user has to bring.

    Raises:
        UserError: if it is nowhere, with the place where it is looked for and where it comes from.
    """
    about, path = ENTRIES[name].brought, find_brought(name)
    if about is None:
        raise ValueError(f"{name} needs no files")
    if path is None:
        what = about.file or f"a folder {about.folders[0]} with its published files"
        root = os.environ.get("VAEKIT_DATA")
        place = str(Path(root) / about.folders[0]) if root else "not set"
        raise UserError(
            f"`{name}` needs {what}, which is neither in VAEKIT_DATA ({place}) nor in "
            f"{cache_folder() / about.folders[0]}: bring it there; it comes from {about.home}"
        )
    return path


def _locate(name: str, folder: str, remote: Remote) -> Path:
    cached = cache_folder() / folder / remote.name
    for path in (root / folder / remote.name for root in _roots()):
        if path.is_file():
            _check(path, sha256(path), remote)
            return path
    _fetch(name, folder, remote, cached)
    return cached


def _check(path: Path, got: str, remote: Remote) -> None:
    if got not in remote.hashes:
        raise UserError(
            f"{path} is not the published file: its SHA-256 is {got}, expected {' or '.join(remote.hashes)}; "
            f"delete it, or replace it by {remote.home}"
        )


def _fetch(name: str, folder: str, remote: Remote, target: Path) -> None:
    """Download to a temporary file beside the target, check, rename: nothing half-written has the name."""
    root = os.environ.get("VAEKIT_DATA")
    place = f"in VAEKIT_DATA ({Path(root) / folder})" if root else "in VAEKIT_DATA (not set)"
    missing = f"`{name}` needs {remote.name}, which is neither {place} nor in {target.parent}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{remote.name}.")
    except OSError as error:
        raise UserError(f"{missing}, and it cannot be kept there: {error.strerror or error}") from None
    digest = hashlib.sha256()
    _log.info("fetching %s", remote.home)
    try:
        with os.fdopen(handle, "wb") as out:
            try:
                with urllib.request.urlopen(remote.home, timeout=_TIMEOUT) as answer:
                    while block := answer.read(_BLOCK):
                        digest.update(block)
                        out.write(block)
            except (
                urllib.error.URLError,
                http.client.HTTPException,
                TimeoutError,
                ConnectionError,
                ssl.SSLError,
            ) as error:
                reason = getattr(error, "reason", None) or error
                if isinstance(error, urllib.error.HTTPError):
                    error.close()  # it is the answer, too, and holds the connection
                    reason = f"HTTP {error.code} {reason}"
                raise UserError(
                    f"{missing}, and {remote.home} cannot be fetched ({reason}): bring the file to "
                    f"{target}, or set VAEKIT_DATA to a folder that holds {folder}/{remote.name}"
                ) from None
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() not in remote.hashes:
            raise UserError(
                f"{remote.home} sent something else than the published file: SHA-256 {digest.hexdigest()}, "
                f"expected {' or '.join(remote.hashes)}; nothing was kept, try again or bring the "
                f"file to {target}"
            )
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        Path(temporary).unlink(missing_ok=True)


_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> NDArray[np.generic]:
    """An array from an IDX file, gzipped or not.

    The format: two zero bytes, a type, the number of axes, one big-endian 32-bit size per axis, the values.

    Raises:
        UserError: if the file is truncated, damaged, or of another format.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {path}: {error or 'truncated'}; fetch the file again") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES or content[3] == 0:
        raise UserError(f"{path} is not an IDX file: it begins with {content[:4].hex(' ') or 'nothing'}")
    axes = content[3]
    shape = np.frombuffer(content, ">u4", count=min(axes, (len(content) - 4) // 4), offset=4).tolist()
    kind = np.dtype(_IDX_TYPES[content[2]])
    expected = 4 + 4 * axes + math.prod(shape) * kind.itemsize
    if len(shape) < axes or len(content) != expected:
        raise UserError(
            f"{path} is damaged: it holds {len(content)} bytes, expected {expected} for shape {shape}"
        )
    values: NDArray[np.generic] = np.frombuffer(content, kind, offset=4 + 4 * axes).reshape(shape)
    return values.astype(kind.newbyteorder("="))
