"""A folder for the hub opens as the run it was made of, and its card says what is known and no more."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch

import vaekit
from vaekit.data.spec import Spec
from vaekit.errors import UserError
from vaekit.exporting import hub
from vaekit.exporting.card import card, described, text
from vaekit.exporting.hub import published, push, write_hub
from vaekit.runs import Run


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    target = tmp_path_factory.mktemp("hub") / "model"
    write_hub(run, target)
    return target


def header(page):
    """The YAML header: every value in it is JSON."""
    lines = page.split("---\n")[1].splitlines()
    return {name: json.loads(value) for name, _, value in (line.partition(": ") for line in lines)}


def test_the_folder_opens_as_the_run(folder, run):
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "metrics.jsonl", "model.safetensors",
        "reconstructions.png", "samples.png",
    ]  # fmt: skip
    again = Run.open(folder)
    z = torch.randn(3, 3)
    with torch.no_grad():
        assert torch.equal(again.model().decode({"z": z}).mean, run.model().decode({"z": z}).mean)
    assert again.spec == run.spec
    assert again.metrics() == run.metrics()
    assert len(again.data().test) == len(run.data().test)  # a set that vaekit knows by name


def test_the_folder_serves_the_commands_of_a_run(folder, tmp_path):
    from vaekit.cli import main

    out = tmp_path / "drawn.npy"
    assert main(["sample", str(folder), "-n", "3", "--out", str(out)]) == 0
    assert np.load(out).shape == (3, 1, 8, 8)


def test_the_snippet_of_the_card_runs(folder, monkeypatch):
    [code] = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(folder)
    scope: dict = {}
    exec(code, scope)  # our own page
    assert scope["new"].shape == (16, 1, 8, 8)


def test_the_header_is_yaml_that_the_hub_reads(folder):
    yaml = pytest.importorskip("yaml")
    page = (folder / "README.md").read_text()
    assert yaml.safe_load(page.split("---\n")[1]) == header(page)
    assert header(page)["library_name"] == "vaekit"
    assert header(page)["license"] == "unknown"


def test_a_card_without_measurements_says_so(run):
    assert "evaluation" not in run.record
    page = card(run, pictures={}, graphs=False)
    assert "Nothing was measured yet" in page
    assert "model-index" not in header(page)
    assert "ELBO |" not in page


def test_a_card_has_the_figures_of_the_record(run):
    measured = {"elbo": -25.3593, "elbo_se": 0.3093, "n": 180, "of": 180, "split": "test",
                "active_units": 2, "latents": 3, "notes": {"nll": "left out: no samples"}}  # fmt: skip
    page = card(Run(run.path, {**run.record, "evaluation": measured}, run.recipe), pictures={}, graphs=False)
    assert "| ELBO | \u221225.36 | 0.31 | nats per datum | 180 test data |" in page
    assert "1 of 3 latents carry nothing" in page
    assert "No Negative log-likelihood: left out: no samples" in page
    [result] = header(page)["model-index"][0]["results"]
    assert result["metrics"] == [
        {"type": "elbo", "name": "ELBO", "value": -25.3593, "args": {"standard_error": 0.3093}},
        {"type": "active_units", "name": "Active latents", "value": 2},
    ]


def test_no_name_breaks_out_of_the_header(run):
    yaml = pytest.importorskip("yaml")
    for name in ('a"\n---\n# b', "x: [", "\U0001f600 'z'", "tab\tand \x85 \u2028"):
        record = {**run.record, "spec": {**run.record["spec"], "name": name}, "evaluation": {"elbo": -1.0}}
        page = card(Run(run.path, record, run.recipe), pictures={}, graphs=False)
        found = yaml.safe_load(page.split("---\n")[1])
        assert found["model-index"][0]["results"][0]["dataset"]["name"] == "".join(
            letter for letter in name if letter.isprintable()
        )
        assert page.count("\n---\n") == 1


def test_a_card_shows_the_equation_and_the_reference_of_every_recipe():
    from vaekit import recipes

    for name in recipes.names:
        assert all(described(getattr(recipes, name))), name
    title, equation, reference = described(recipes.vae)
    assert title == "Variational autoencoder"
    assert "KL(q(z|x) || p(z))" in equation[0]
    assert reference.endswith("https://arxiv.org/abs/1312.6114")


def test_own_data_stay_where_they_are(tmp_path):
    secret = tmp_path / "secret place"
    secret.mkdir()
    rows = np.random.default_rng(0).normal(size=(60, 2))
    table = secret / "a|b <i>.csv"
    table.write_text("x,y\n" + "".join(f"{a},{b}\n" for a, b in rows))
    made = vaekit.train("vae", str(table), out=tmp_path / "run", latents=2, hidden=(4,), epochs=1)
    target = tmp_path / "hub"
    write_hub(made, target)
    for path in target.rglob("*"):
        assert b"secret place" not in path.read_bytes(), path
    assert not list(target.glob("*.png"))
    page = (target / "README.md").read_text()
    assert "<i>" not in page.split("---\n")[2]
    record = json.loads((target / "config.json").read_text())
    assert record["data"]["source"] is None
    assert Run.open(target).model().names == ("z",)
    with pytest.raises(UserError, match="data in memory"):
        Run.open(target).data()


def test_stages_come_along(tmp_path):
    made = vaekit.train(
        "two_stage_vae", "digits", out=tmp_path / "run", latents=2, hidden=(4,), second_hidden=(4,),
        epochs=1, second_epochs=1, data_options={"limit": 60, "binarise": "none"},
    )  # fmt: skip
    target = tmp_path / "hub"
    write_hub(made, target)
    again = Run.open(target)
    assert again.samplers() == made.samplers()
    torch.manual_seed(0)
    first = made.generator().generate(3).mean
    torch.manual_seed(0)
    assert torch.equal(again.generator().generate(3).mean, first)


def test_a_published_record_names_public_data_alone(run):
    assert published(run.record)["data"]["source"] == "digits"
    private = {**run.record, "data": {**run.record["data"], "source": "/home/me/x.npy", "options": {"a": 1}}}
    assert published(private)["data"] | {"fingerprint": ""} == {
        "source": None, "options": {}, "fingerprint": "",
    }  # fmt: skip
    assert private["data"]["source"] == "/home/me/x.npy"


def test_a_folder_of_another_library_is_no_run(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UserError, match="not from vaekit"):
        Run.open(tmp_path)


def test_a_folder_that_was_changed_is_refused(folder, tmp_path):
    import shutil

    changed = shutil.copytree(folder, tmp_path / "changed")
    record = json.loads((changed / "config.json").read_text())
    record["arguments"]["hidden"] = [100_000]
    (changed / "config.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"does not fit together|expects"):
        Run.open(changed).model()


def test_words_from_data_are_no_markdown():
    assert text("a|b <i> [x](y)\n# z") == r"a\|b \<i\> \[x\](y) \# z"


class Hub:
    """Stands in for `huggingface_hub.HfApi`: no test talks to the real one."""

    def __init__(self, fail: Exception | None = None) -> None:
        self.calls: list[tuple[str, dict]] = []
        self.fail = fail

    def create_repo(self, repository, **options):
        self.calls.append((repository, options))
        return f"https://hub.example/{repository}"

    def upload_folder(self, **options):
        if self.fail is not None:
            raise self.fail
        self.calls.append((options["repo_id"], options))


@pytest.fixture
def hugging(monkeypatch):
    """The client's package, with a token and a stand-in for the hub."""
    client = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(client, "get_token", lambda: "hf_x")
    stand_in = Hub()
    monkeypatch.setattr(client, "HfApi", lambda: stand_in)
    return stand_in


@pytest.mark.parametrize("public", [False, True])
def test_pushing_makes_a_repository_and_uploads_the_folder(hugging, folder, public):
    assert push(folder, "me/model", public=public) == "https://hub.example/me/model"
    (name, options), (_, uploaded) = hugging.calls
    assert name == "me/model"
    assert options == {"private": not public, "exist_ok": True}
    assert uploaded["folder_path"] == str(folder)


def test_what_stops_a_push_is_one_line(hugging, folder, monkeypatch):
    import huggingface_hub

    hugging.fail = ConnectionError("no route to host")
    with pytest.raises(
        UserError, match=r"cannot push to me/model: no route to host: the folder .* is whole; "
    ):
        push(folder, "me/model")
    hugging.fail = RuntimeError("a bug of ours")
    with pytest.raises(RuntimeError):
        push(folder, "me/model")
    with pytest.raises(UserError, match="expected OWNER/NAME"):
        push(folder, "model")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(UserError, match="HF_TOKEN"):
        push(folder, "me/model")
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"vaekit\[hub\]"):
        push(folder, "me/model")


def test_nothing_is_left_where_a_picture_fails(run, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub, "write_bytes", broken)
    with pytest.raises(UserError, match="No space left"):
        write_hub(run, tmp_path / "hub")
    assert not list(tmp_path.iterdir())


def test_graphs_go_along_where_they_are_asked_for(run, tmp_path, monkeypatch):
    def fake(run, path, *, precision):
        path.mkdir()
        (path / "export.json").write_text(precision)
        return [f"{path}: written"]

    monkeypatch.setattr(hub, "write_onnx", fake)
    said = write_hub(run, tmp_path / "hub", graphs=True, precision="int8")
    assert (tmp_path / "hub" / "onnx" / "export.json").read_text() == "int8"
    assert said[1] == f"{tmp_path / 'hub' / 'onnx'}: written"
    assert "onnx" in header((tmp_path / "hub" / "README.md").read_text())["tags"]


def test_sounds_and_conditions_are_no_unconditional_pictures(run):
    spec = Spec("s", (1, 4, 4), "binary", 9, context=(2,))
    page = card(Run(run.path, {**run.record, "spec": spec.to_json()}, run.recipe), pictures={}, graphs=False)
    assert "pipeline_tag" not in header(page)
    assert ".generate(" not in page
