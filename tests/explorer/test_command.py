"""`vaekit explore`, as it is typed."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vaekit.cli import explore, main
from vaekit.errors import UserError
from vaekit.explorer import payload
from vaekit.explorer.arrays import pack, unpack
from vaekit.explorer.guard import Door, policy_of
from vaekit.explorer.serving import PORT, listen
from vaekit.runs import latest


def failing(capsys, *arguments):
    """The one line of a command that was refused."""
    assert main(["explore", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    return line


def test_without_a_name_the_run_is_the_last_one(digits_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "`vaekit train` first" in failing(capsys)
    for name, started in (("first", "2001"), ("last", "2003"), ("between", "2002")):
        shutil.copytree(digits_run.path, tmp_path / "runs" / name)
        record = tmp_path / "runs" / name / "run.json"
        record.write_text(json.dumps({**json.loads(record.read_text()), "started": started}))
    (tmp_path / "runs" / "damaged").mkdir()
    (tmp_path / "runs" / "damaged" / "run.json").write_text("{")
    assert latest() == Path("runs/last")
    assert "add --export page.html" in failing(capsys, "--precision", "float16")  # of the run that it found


@pytest.fixture(scope="module")
def served(digits_run):
    """The server as a process of its own, on a free port: the process and the address it printed.

    It takes seconds to start, so that tests share it; the last of them stops it.
    """
    pytest.importorskip("uvicorn")
    # a shell that starts the tests in the background lets its children ignore SIGINT
    heeding = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); runpy.run_module"
    )
    command = [sys.executable, "-c", f"{heeding}('vaekit', run_name='__main__', alter_sys=True)"]
    command += ["explore", str(digits_run.path), "--port", "0", "--no-browser"]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield started, started.stdout.readline().strip()
    finally:
        started.kill()
        started.communicate()


def opened(browser, address, said, asked):
    """A page that is ready; what it says on the console and what it asks for are written down."""
    page = browser.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("html[data-state=ready]", timeout=60_000)
    return page


def shown(page):
    """The grey levels of the picture, (8, 8)."""
    pixels = "[...document.querySelector('canvas#picture').getContext('2d').getImageData(0, 0, 8, 8).data]"
    return torch.tensor(page.evaluate(pixels)).view(8, 8, 4)[..., 0]


def at_the_start(run):
    """What the model decodes at the code that the page begins with, (8, 8)."""
    with torch.no_grad():
        return run.model().decode({"z": unpack(payload(run)["start"])[None]}).mean[0, 0]


def test_a_browser_can_use_it_and_goes_nowhere_else(browser, served, digits_run):
    _, address = served
    said, asked = [], []
    page = opened(browser, address, said, asked)
    assert (shown(page) / 255 - at_the_start(digits_run)).abs().max() <= 1 / 255
    page.close()
    assert said == []
    own = address.split("?")[0]
    assert all(url.startswith((own, "data:")) for url in asked)
    assert f"{own}api/decode" in asked


def test_it_serves_one_run_until_it_is_stopped(served, digits_run):
    process, address = served
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]{20,})", address)
    assert found, address
    port, token = int(found[1]), found[2]
    with urllib.request.urlopen(address, timeout=60) as answer:
        page = answer.read().decode()
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "server" not in {name.lower() for name in answer.headers}
    assert token in page
    z = torch.randn(2, 5)
    body = json.dumps({"codes": pack(z)}).encode()
    headers = {"Content-Type": "application/json", "X-Vaekit-Token": token}
    place = f"http://127.0.0.1:{port}/api/decode"
    with urllib.request.urlopen(urllib.request.Request(place, body, headers), timeout=60) as answer:
        mean = unpack(json.load(answer)["mean"])
    with torch.no_grad():
        assert torch.allclose(mean, digits_run.model().decode({"z": z}).mean, atol=1e-6)
    # what is no HTTP at all, and a request that never ends, do not stop it
    with (
        socket.create_connection(("127.0.0.1", port)) as raw,
        socket.create_connection(("127.0.0.1", port)) as slow,
    ):
        slow.sendall(b"POST /api/decode HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
        raw.sendall(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 not http \r\n\r\n")
        raw.recv(100)
        with urllib.request.urlopen(urllib.request.Request(place, body, headers), timeout=60) as answer:
            assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.strip().splitlines()[-1] == "vaekit: stopped"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_the_usual_port_gives_way_and_a_named_one_does_not():
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(UserError, match=f"127.0.0.1:{port}"):
            listen("127.0.0.1", port)
    with listen("127.0.0.1", None) as one, listen("127.0.0.1", None) as other:
        ports = [place.getsockname()[1] for place in (one, other)]
        assert ports[0] != ports[1]
        assert PORT in ports or ports[0] != PORT  # another program may hold it


@pytest.mark.parametrize(
    ("host", "port"),
    [("no.such.name.invalid", 0), ("", 70000), ("203.0.113.7", 0), ("a" * 300, 0), ("x\0y", 0)],
)
def test_places_that_cannot_be_listened_at(host, port):
    with pytest.raises(UserError):
        listen(host, port)


@dataclass
class Made:
    """Graphs of a size that the test chooses."""

    decoder: bytes
    encoder: bytes | None = None
    notes: tuple[str, ...] = ()
    worst: float = 1e-7


def test_the_export_is_one_file_and_needs_no_server(digits_run, tmp_path, capsys, monkeypatch):
    made = SimpleNamespace(stored=lambda precision: Made(b"onnx"))
    monkeypatch.setattr("vaekit.exporting.trace_graphs", lambda *given, **more: made)
    for name in ("starlette", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "pip install starlette" in failing(capsys, digits_run.path, "--no-browser")
    path = tmp_path / "page.html"
    assert main(["explore", str(digits_run.path), "--export", str(path)]) == 0
    said = capsys.readouterr().out
    assert f"{path}: {path.stat().st_size / 1e6:.1f} MB, weights in float32" in said
    text = path.read_text(encoding="utf-8")
    assert "connect-src 'none'" in policy_of(text)
    assert "token" not in json.loads(re.search(r'id="payload">(.*?)</script>', text)[1])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow  # the graphs are made by torch and compared by onnxruntime, which tests/exporting does too
def test_the_exported_page_shows_what_the_model_decodes(browser, digits_run, tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "page.html"
    assert main(["explore", str(digits_run.path), "--export", str(path)]) == 0
    said, asked = [], []
    page = opened(browser, path.as_uri(), said, asked)
    assert (shown(page) / 255 - at_the_start(digits_run)).abs().max() <= 1 / 255
    page.close()
    assert said == []
    assert asked == [path.as_uri()]


def test_a_large_page_stores_half_the_digits_unless_told(digits_run, tmp_path, monkeypatch, capsys):
    asked = []

    class Traced:
        def stored(self, precision):
            asked.append(precision)
            rng = np.random.Generator(np.random.PCG64(0))
            return Made(rng.bytes(4_000_000 if precision == "float32" else 10))

    def trace_graphs(model, spec):
        asked.append("traced")
        return Traced()

    monkeypatch.setattr("vaekit.exporting.trace_graphs", trace_graphs)
    for options, tried in (
        ([], ["float32", "float16"]),
        (["--precision", "float32"], ["float32"]),
        (["--precision", "int8"], ["int8"]),
    ):
        asked.clear()
        path = tmp_path / "page.html"
        assert main(["explore", str(digits_run.path), "--export", str(path), *options]) == 0
        assert asked == ["traced", *tried]
        assert f"weights in {tried[-1]}" in capsys.readouterr().out


def test_what_cannot_be_written_leaves_what_was_there(digits_run, tmp_path, capsys, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("before")

    def refused(*given, **more):
        raise UserError("this model cannot leave")

    monkeypatch.setattr("vaekit.exporting.trace_graphs", refused)
    assert "cannot leave" in failing(capsys, digits_run.path, "--export", path)
    assert path.read_text() == "before"
    assert "no folder" in failing(capsys, digits_run.path, "--export", tmp_path / "none" / "page.html")
    assert ".html" in failing(capsys, digits_run.path, "--export", tmp_path / "page.png")


def test_what_makes_no_sense_is_refused(digits_run, tmp_path, capsys):
    assert "add --export" in failing(capsys, digits_run.path, "--precision", "float16")
    assert "no run directory" in failing(capsys, tmp_path)
    assert "no run directory" in failing(capsys, tmp_path / "none")
    assert "--port is 70000" in failing(capsys, digits_run.path, "--port", "70000", "--no-browser")
    assert "did you mean" in failing(capsys, digits_run.path, "--exprot", "x.html")


def told(door, capsys, monkeypatch, *, display=True, opens=True, no_browser=False):
    seen = []
    monkeypatch.setattr(explore, "_has_display", lambda: display)
    monkeypatch.setattr(explore.webbrowser, "open", lambda address: seen.append(address) or opens)
    explore._tell(door, no_browser)
    out, err = capsys.readouterr()
    assert out == door.address + "\n"
    return seen, err


def test_the_browser_is_opened_where_there_is_one(capsys, monkeypatch):
    door = Door("127.0.0.1", 9, "t")
    seen, err = told(door, capsys, monkeypatch)
    assert seen == ["http://127.0.0.1:9/?token=t"]
    assert "opens in your browser" in err
    assert "network" not in err
    assert told(door, capsys, monkeypatch, no_browser=True)[0] == []
    seen, err = told(door, capsys, monkeypatch, display=False)
    assert seen == []
    assert "No browser" in err
    assert "No browser" in told(door, capsys, monkeypatch, opens=False)[1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is always a display")
def test_a_browser_of_the_terminal_is_not_opened(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not explore._has_display()
    monkeypatch.setenv("DISPLAY", ":0")
    assert explore._has_display()


def test_a_server_that_others_can_reach_says_so(capsys, monkeypatch):
    _, err = told(Door("0.0.0.0", 9, "t"), capsys, monkeypatch, no_browser=True)
    assert "everybody who can reach this machine" in err
