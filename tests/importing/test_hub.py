"""A folder for the hub that vaekit wrote becomes the run that it was made of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from vaekit.errors import UserError
from vaekit.exporting.hub import write_hub
from vaekit.importing import import_folder

TRAINED = Path(__file__).parent / "trained"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A run, and the folder that `vaekit export --hub` writes of it."""
    path = tmp_path_factory.mktemp("hub")
    run = import_folder(TRAINED, path / "run")
    (run.path / "metrics.jsonl").write_text('{"epoch": 1, "valid/loss": 2.0}\n')
    run.update(loggers={"wandb": {"id": "x"}})
    write_hub(run, path / "hub")
    return run, path / "hub"


def test_the_run_comes_back(published, tmp_path):
    run, hub = published
    again = import_folder(hub, tmp_path / "again")
    weights = run.model().state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.model().state_dict().items())
    assert again.spec == run.spec
    assert again.metrics() == run.metrics()
    assert again.record["arguments"] == run.record["arguments"]
    assert again.record["status"] == "imported"
    assert "loggers" not in again.record  # somebody else's tracker
    assert "loggers" not in json.loads((hub / "config.json").read_text())


def test_what_does_not_fit_is_refused_and_leaves_nothing(published, tmp_path):
    _, hub = published
    broken = shutil.copytree(hub, tmp_path / "hub")
    record = json.loads((broken / "config.json").read_text())
    for change, match in (
        ({"arguments": {**record["arguments"], "latents": 5}}, "shape"),
        ({"arguments": {**record["arguments"], "hidden": [10**9]}}, "asks for"),
        ({"library_name": "transformers"}, "is not from vaekit"),
        ({"recipe": "no_such"}, "there is no recipe"),
    ):
        (broken / "config.json").write_text(json.dumps(record | change))
        with pytest.raises(UserError, match=match):
            import_folder(broken, tmp_path / "run")
    (broken / "config.json").write_text(json.dumps(record))
    (broken / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UserError, match="damaged or no safetensors"):
        import_folder(broken, tmp_path / "run")
    with pytest.raises(UserError, match="leave the data out"):
        import_folder(hub, tmp_path / "run", data="digits")
    assert [path.name for path in tmp_path.iterdir()] == ["hub"]
