"""Published files: found, checked, fetched whole or not at all; IDX bytes."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import subprocess
import sys
import threading

import numpy as np
import pytest

from vaekit.data import catalogue, files
from vaekit.data.catalogue import ENTRIES, Entry, Remote
from vaekit.data.files import locate, read_idx
from vaekit.errors import UserError


def idx(array: np.ndarray, code: int) -> bytes:
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize(
    ("dtype", "code"), [("u1", 8), ("i1", 9), ("i2", 11), ("i4", 12), ("f4", 13), ("f8", 14)]
)
@pytest.mark.parametrize("packed", [True, False])
def test_read_idx(tmp_path, dtype, code, packed):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    content = idx(array, code)
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(content) if packed else content)
    got = read_idx(path)
    assert (got == array).all()
    assert got.dtype == array.dtype


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c[:-1], "holds 27 bytes, expected 28"),
        (lambda c: c + b"x", "holds 29 bytes, expected 28"),
        (lambda c: c[:10], "damaged"),
        (lambda c: b"\x89PNG" + c, "not an IDX file"),
        (lambda c: b"", "nothing"),
        (lambda c: bytes([0, 0, 7, 2]) + c[4:], "not an IDX file"),
        (lambda c: gzip.compress(c)[:-9], "cannot read"),
        (lambda c: gzip.compress(c)[:20] + b"\xff" * 20, "cannot read"),
    ],
)
def test_damaged_idx(tmp_path, damage, message):
    path = tmp_path / "broken-idx"
    path.write_bytes(damage(idx(np.zeros((4, 4), "u1"), 8)))
    with pytest.raises(UserError, match=message) as caught:
        read_idx(path)
    assert "broken-idx" in str(caught.value)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A catalogue with one set, whose home is a server on this machine; yields the served folder."""
    served = tmp_path / "home"
    served.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(served))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("VAEKIT_DATA", raising=False)
    good = hashlib.sha256(b"content").hexdigest()
    remote = Remote("f.bin", f"http://127.0.0.1:{server.server_port}/f.bin", (good, "0" * 64))
    monkeypatch.setitem(ENTRIES, "toy", Entry("toy", "toy-folder", (remote,)))
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


def cached(tmp_path):
    return sorted(p.name for p in (tmp_path / "cache").rglob("*") if p.is_file())


def test_fetched_once_into_the_cache(home, tmp_path):
    (home / "f.bin").write_bytes(b"content")
    path = locate("toy")["f.bin"]
    assert path == tmp_path / "cache" / "vaekit" / "toy-folder" / "f.bin"
    assert path.read_bytes() == b"content"
    (home / "f.bin").unlink()
    assert locate("toy")["f.bin"] == path
    assert cached(tmp_path) == ["f.bin"]


def test_own_folder_comes_first(home, tmp_path, monkeypatch):
    mine = tmp_path / "mine" / "toy-folder"
    mine.mkdir(parents=True)
    (mine / "f.bin").write_bytes(b"content")
    monkeypatch.setenv("VAEKIT_DATA", str(tmp_path / "mine"))
    assert locate("toy")["f.bin"] == mine / "f.bin"
    (mine / "f.bin").write_bytes(b"contend")
    with pytest.raises(UserError) as caught:
        locate("toy")
    for part in (
        str(mine / "f.bin"),
        hashlib.sha256(b"contend").hexdigest(),
        hashlib.sha256(b"content").hexdigest(),
    ):
        assert part in str(caught.value)
    assert (mine / "f.bin").read_bytes() == b"contend"  # a user's file is never touched


def test_a_wrong_download_is_not_kept(home, tmp_path):
    (home / "f.bin").write_bytes(b"something else")
    with pytest.raises(UserError, match="something else than the published file"):
        locate("toy")
    assert cached(tmp_path) == []


def test_without_network_the_reason_and_the_remedy(home, tmp_path):
    with pytest.raises(UserError) as caught:
        locate("toy")  # the server has no such file
    message = str(caught.value)
    for part in ("`toy` needs f.bin", "HTTP 404 File not found", "VAEKIT_DATA (not set)", "toy-folder/f.bin"):
        assert part in message
    assert "\n" not in message
    assert cached(tmp_path) == []


def test_no_server_at_all(home, tmp_path, monkeypatch):
    remote = Remote("f.bin", "http://127.0.0.1:9/f.bin", ("0" * 64,))
    monkeypatch.setitem(ENTRIES, "toy", Entry("toy", "toy-folder", (remote,)))
    with pytest.raises(UserError, match=r"cannot be fetched .*bring the file to"):
        locate("toy")


def test_a_cache_that_cannot_be_written(home, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be kept there"):
        locate("toy")


def test_the_disk_is_full(home, tmp_path, monkeypatch):
    (home / "f.bin").write_bytes(b"content")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        locate("toy")
    assert cached(tmp_path) == []


def test_the_catalogue_needs_no_torch():
    code = "import sys; from vaekit.data import names; names(); from vaekit.data.catalogue import names; "
    code += "import vaekit.data.files, vaekit.data.spec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    listed = dict(catalogue.names())
    assert {"digits", "mnist", "fashion_mnist", "omniglot", "dsprites", "cars3d", "xysquares"} <= set(listed)
    assert all(text and "\n" not in text for text in listed.values())
    for entry in ENTRIES.values():
        assert all(len(sha) == 64 for remote in entry.files for sha in remote.hashes)
