"""Folders and files that leave: what is in them runs, and they are there whole or not at all."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import pytest
import torch

import vaekit
from vaekit import recipes
from vaekit.cli import main
from vaekit.data.spec import Spec
from vaekit.errors import UserError
from vaekit.exporting import Graphs, about, folders
from vaekit.exporting.about import facts, readme
from vaekit.exporting.parts import halve
from vaekit.runs import Run

SNIPPET = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """Exports that cost nothing, for tests of what is done with them; the precisions that were asked for."""
    asked: list[str] = []

    def fake(model, spec, *, precision="float32"):
        asked.append(precision)
        return Graphs(b"decoder", b"encoder", 1e-7, {"decoder mean": 1e-7}, ("z 1",), precision)

    monkeypatch.setattr(folders, "export_graphs", fake)
    return asked


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def programs(path, tmp_path_factory):
    """What `vaekit export RUN --torch DIR` leaves."""
    folder = tmp_path_factory.mktemp("torch") / "programs"
    assert main(["export", str(path), "--torch", str(folder)]) == 0
    return folder


def test_programs_run_where_vaekit_is_not(programs, run):
    folder, tmp_path = programs, programs.parent
    assert sorted(part.name for part in folder.iterdir()) == [
        "README.md", "decoder.pt2", "encoder.pt2", "export.json",
    ]  # fmt: skip
    z, x = torch.randn(2, 3), torch.rand(2, 1, 8, 8).round()
    torch.save([z, x], tmp_path / "given.pt")
    [code] = SNIPPET.findall((folder / "README.md").read_text())
    alone = (
        "import sys; sys.modules['vaekit'] = None\n"  # any import of it would fail
        f"{code}\n"
        "z, x = torch.load('../given.pt')\n"
        "found = [*decoder(z), *encoder(x)]\n"
        "torch.save([part.detach() for part in found], '../found.pt')\n"
    )
    done = subprocess.run([sys.executable, "-c", alone], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "torch.Size([4, 1, 8, 8])\ntorch.Size([4, 3])\n"
    mean, stddev, codes, spread = torch.load(tmp_path / "found.pt")
    with torch.no_grad():
        p, q = run.model().decode({"z": z}), run.model().posterior({"x": x})["z"]
        for found, expected in ((mean, p.mean), (stddev, p.stddev), (codes, q.mean), (spread, q.stddev)):
            assert torch.allclose(found, expected, atol=1e-6)


def test_a_program_holds_its_own_weights_alone_and_no_paths(programs, run):
    archive = ZipFile(programs / "decoder.pt2")
    inside = b"".join(archive.read(name) for name in archive.namelist())
    assert str(Path(vaekit.__file__).parent).encode() not in inside
    stored = sum(archive.getinfo(name).file_size for name in archive.namelist() if "/weight_" in name)
    used = list(run.model().likelihood.parameters())
    assert stored == 4 * sum(part.numel() for part in used)


@pytest.mark.parametrize(("part", "content"), [("decoder", b"decoder"), ("encoder", b"encoder")])
def test_a_file_gets_one_half(run, tmp_path, made, part, content):
    [line] = folders.write_onnx(run, tmp_path / "one.onnx", part=part, precision="int8")
    assert tree(tmp_path) == {"one.onnx": content}
    assert part in line
    assert made == ["int8"]


def test_what_stands_there_stays_unless_it_is_said(run, tmp_path, made):
    (tmp_path / "one.onnx").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "letter.txt").write_text("mine")
    before = tree(tmp_path)
    for target in ("one.onnx", "folder"):
        with pytest.raises(UserError, match="exists already"):
            folders.write_onnx(run, tmp_path / target)
    with pytest.raises(UserError, match=r"holds no export\.json"):
        folders.write_onnx(run, tmp_path / "folder", overwrite=True)
    assert tree(tmp_path) == before
    assert made == []  # and nothing was computed for it
    folders.write_onnx(run, tmp_path / "one.onnx", overwrite=True)
    assert (tmp_path / "one.onnx").read_bytes() == b"decoder"


def test_an_export_is_replaced_whole(run, tmp_path, made):
    target = tmp_path / "graphs"
    folders.write_onnx(run, target)
    (target / "old.txt").write_text("of an older version")
    folders.write_onnx(run, target, overwrite=True)
    assert sorted(path.name for path in target.iterdir()) == [
        "README.md", "decoder.onnx", "encoder.onnx", "export.json",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["graphs"]


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_is_written_whole_or_not_at_all(run, tmp_path, made, monkeypatch, there):
    if there:
        folders.write_onnx(run, tmp_path / "graphs")
    before = tree(tmp_path)

    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, "write_text", full)
    with pytest.raises(UserError, match="No space left"):
        folders.write_onnx(run, tmp_path / "graphs", overwrite=there)
    assert tree(tmp_path) == before
    assert not [path for path in tmp_path.iterdir() if path.name.endswith((".part", ".former"))]


@pytest.mark.parametrize(
    ("name", "arguments", "changes", "columns"),
    [
        ("vae", {"latents": 3, "hidden": (8,)}, {}, 3),
        ("vq_vae", {"codes": 8, "dims": 3, "hidden": (8,)}, {}, 16),
        ("cvae", {"latents": 3, "hidden": (8,)}, {"context": (3,)}, 3),
        ("m2", {"latents": 3, "hidden": (8,)}, {"classes": 3, "labelled": 6}, 6),
    ],
)
def test_pages_fit_every_kind_of_latents(run, monkeypatch, capsys, name, arguments, changes, columns):
    """The snippet, run on the model itself: what is exported takes and gives the same."""
    spec = Spec("toy", (1, 4, 4), "binary", 20, **changes)
    halves = halve(getattr(recipes, name)(spec, **arguments).model, spec)
    other = Run(run.path, {**run.record, "recipe": name, "spec": spec.to_json()}, run.recipe)
    files = {"decoder": "decoder.pt2", "encoder": "encoder.pt2"}
    said = facts(other, halves, files, {"decoder mean": 0.0}, "float32")
    assert said["latents"][-1]["columns"][1] == columns
    assert [part["name"] for part in said["decoder"]["inputs"]] == ["z", "c"][: 1 + (name == "cvae")]
    assert (said["decoder"]["inputs"][0]["type"] == "int64") == (name == "vq_vae")

    parts = {"decoder.pt2": halves.decoder, "encoder.pt2": halves.encoder}
    monkeypatch.setattr(torch.export, "load", lambda file: SimpleNamespace(module=lambda: parts[file]))
    [code] = SNIPPET.findall(readme(other, json.loads(json.dumps(said)), halves))
    with torch.no_grad():
        exec(code, {})  # our own page
    assert capsys.readouterr().out == f"torch.Size([4, 1, 4, 4])\ntorch.Size([4, {columns}])\n"
    onnx = facts(other, halves, {"decoder": "decoder.onnx"}, {"decoder mean": 0.0}, "int8")
    [code] = SNIPPET.findall(readme(other, onnx, halves))
    given = {"vq_vae": "draw.integers(8, size=(4, 16))"}.get(name, "draw.standard_normal((4, ")
    assert given in code
    assert "encoder" not in code


def test_the_page_says_what_the_numbers_are():
    table = Spec("t", (2,), "real", 9, columns=("a", "b"), offset=(1.0, 2.0), scale=(1.0, 3.0))
    assert "original = stored * scale + offset" in about.how_scaled(table)
    assert "grey levels over 255" in about.how_scaled(Spec("p", (1, 4, 4), "unit", 9, levels=256))
    assert "from 0 to 6" in about.how_scaled(Spec("p", (4,), "categorical", 9, levels=7))


@pytest.mark.slow
def test_the_snippet_of_the_page_runs(path, tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    page = Path(__file__).parents[2] / "docs" / "export.md"
    [code] = SNIPPET.findall(page.read_text())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").symlink_to(path)
    exec(code, {})  # our own page
    assert "('z 1', 'z 2', 'z 3')" in capsys.readouterr().out
