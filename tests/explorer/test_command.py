"""`vaekit explore`, as it is typed."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
import torch

from vaekit.cli import explore, main
from vaekit.errors import UserError
from vaekit.explorer.arrays import pack, unpack
from vaekit.explorer.guard import Door
from vaekit.explorer.serving import PORT, listen


def failing(capsys, *arguments):
    """The one line of a command that was refused."""
    assert main(["explore", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    return line


@pytest.fixture
def served(digits_run):
    """The server as a process of its own, on a free port: the process and the address it printed."""
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "vaekit", "explore", str(digits_run.path), "--port", "0", "--no-browser"]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield started, started.stdout.readline().strip()
    finally:
        started.kill()
        started.communicate()


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


def test_the_export_is_one_file(digits_run, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "page.html"
    assert main(["explore", str(digits_run.path), "--export", str(path)]) == 0
    said = capsys.readouterr().out
    assert f"{path}: {path.stat().st_size / 1e6:.1f} MB, weights in float32" in said
    text = path.read_text(encoding="utf-8")
    assert "connect-src 'none'" in text
    assert '"token"' not in text
    assert list(tmp_path.iterdir()) == [path]


def test_a_large_page_stores_half_the_digits_unless_told(digits_run, tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnxruntime")
    from vaekit.explorer import export

    monkeypatch.setattr(export, "LARGE", 1000)
    for options, said in (
        ([], "float16"),
        (["--precision", "float32"], "float32"),
        (["--precision", "int8"], "int8"),
    ):
        path = tmp_path / f"{said}.html"
        assert main(["explore", str(digits_run.path), "--export", str(path), *options]) == 0
        assert f"weights in {said}" in capsys.readouterr().out


def test_the_export_needs_no_server(digits_run, tmp_path):
    pytest.importorskip("onnxruntime")
    code = (
        "import sys; sys.modules['starlette'] = sys.modules['uvicorn'] = None\n"
        "from vaekit.cli import main\n"
        f"first = main(['explore', {str(digits_run.path)!r}, '--export', {str(tmp_path / 'page.html')!r}])\n"
        f"sys.exit(10 * first + main(['explore', {str(digits_run.path)!r}, '--no-browser']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert (tmp_path / "page.html").exists()
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("vaekit: the explorer's server needs the package starlette")
    )
    assert "pip install 'vaekit[explore]'" in done.stderr


def test_what_cannot_be_written_leaves_what_was_there(digits_run, tmp_path, capsys, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("before")

    def refused(*given, **more):
        raise UserError("this model cannot leave")

    monkeypatch.setattr("vaekit.exporting.export_graphs", refused)
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
