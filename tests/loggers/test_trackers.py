"""Every tracker is read back: TensorBoard and MLflow by their own readers, W&B through a stand-in."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

import vaekit
from vaekit.cli import main
from vaekit.runs import Run


def plain(run: Run) -> list[dict[str, float]]:
    """Rows as loggers are told them: the rate of each latent by a name of its own."""
    rows = []
    for row in run.metrics():
        rates = row.pop("valid/rates")
        rows.append(row | {f"valid/rates/{latent}": rate for latent, rate in rates.items()})
    return rows


ARGUMENTS = ["train", "vae", "digits", "--limit", "30", "--epochs", "2", "--hidden", "8", "--latents", "3",
             "--nll-samples", "5", "--no-report"]  # fmt: skip


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A run of the command line with two loggers, trained further afterwards."""
    pytest.importorskip("tensorboard")
    pytest.importorskip("mlflow")
    path = tmp_path_factory.mktemp("logged") / "run"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
            patch.delenv(name, raising=False)
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        assert main([*ARGUMENTS, "--out", str(path), "--log", "tensorboard", "mlflow"]) == 0
        # nothing is said about loggers: those of the run go on
        assert main(["resume", str(path), "--epochs", "4", "--nll-samples", "5", "--no-report"]) == 0
        yield Run.open(path)


def test_tensorboard_holds_every_row_once_the_call_and_the_evaluation(logged):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    found = EventAccumulator(str(logged.path / "tensorboard"))
    found.Reload()
    rows = plain(logged)
    for name in set(rows[0]) - {"epoch"}:
        points = found.Scalars(name)
        assert [point.step for point in points] == [1, 2, 3, 4]
        assert [point.value for point in points] == pytest.approx([row[name] for row in rows], rel=1e-6)
    assert "train/distortion" in found.Tags()["scalars"]
    told = found.Scalars("evaluation/elbo")[-1].value
    assert told == pytest.approx(logged.record["evaluation"]["elbo"], rel=1e-6)
    content = found.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    call = metadata.parse_session_start_info_plugin_data(content).hparams
    assert call["latents"].number_value == 3
    assert call["recipe"].string_value == "vae"


def test_mlflow_holds_every_row_once_the_call_the_evaluation_and_the_status(logged):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=(logged.path / "mlruns").as_uri())
    kept = logged.record["loggers"]["mlflow"]
    assert kept["epoch"] == 4
    run = client.get_run(kept["id"])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == logged.path.name
    experiment = client.get_experiment_by_name("vaekit")
    assert len(client.search_runs([experiment.experiment_id])) == 1  # resumed in the same run
    rows = plain(logged)
    for name in set(rows[0]) - {"epoch"}:
        points = client.get_metric_history(kept["id"], name)
        assert [point.step for point in points] == [1, 2, 3, 4]
        assert [point.value for point in points] == pytest.approx([row[name] for row in rows])
    assert run.data.params["latents"] == "3"
    assert run.data.params["data"] == "digits"
    assert run.data.params["data.limit"] == "30"
    assert run.data.metrics["evaluation/elbo"] == pytest.approx(logged.record["evaluation"]["elbo"])


def test_a_server_that_is_not_there_costs_one_warning(splits, small, tmp_path, monkeypatch, caplog):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    run = vaekit.train("vae", splits, out=tmp_path / "run", epochs=2, loggers=["mlflow"], **small)
    assert run.record["status"] == "finished"
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("vaekit")]
    assert len(ours) == 1
    assert ours[0].startswith("the logger mlflow is off from here on")


class StandIn:
    """What vaekit uses of the module wandb."""

    def __init__(self, key: bool) -> None:
        self.key, self.runs = key, []

    def login(self, *, prompt):
        assert prompt is False  # it never asks
        return self.key

    def Settings(self, **settings):
        return settings

    def init(self, **arguments):
        run = SimpleNamespace(arguments=arguments, id=arguments["id"] or "abc", call={}, summary={}, rows=[])
        run.axes, run.code = {}, None
        run.config = SimpleNamespace(update=lambda call, allow_val_change: run.call.update(call))
        run.define_metric = lambda name, step_metric: run.axes.update({name: step_metric})
        run.log = run.rows.append
        run.finish = lambda exit_code: setattr(run, "code", exit_code)
        self.runs.append(run)
        return run


@pytest.fixture
def wandb(monkeypatch):
    def put(key: bool) -> StandIn:
        module = StandIn(key)
        monkeypatch.setitem(sys.modules, "wandb", module)
        monkeypatch.delitem(sys.modules, "vaekit.loggers.wandb", raising=False)
        return module

    for name in ("WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    yield put
    sys.modules.pop("vaekit.loggers.wandb", None)


def test_wandb_gets_every_row_once_in_one_run(splits, small, tmp_path, wandb):
    module = wandb(key=False)
    vaekit.train("vae", splits, out=tmp_path / "run", epochs=2, loggers=["wandb"], **small)
    run = vaekit.resume(tmp_path / "run", data=splits, epochs=3)
    first, second = module.runs
    assert first.arguments["mode"] == "offline"
    assert first.arguments["dir"] == str(tmp_path / "run")
    assert first.arguments["id"] is None
    assert (second.arguments["id"], second.arguments["resume"]) == ("abc", "allow")
    assert [row["epoch"] for row in first.rows + second.rows] == [1, 2, 3]
    assert first.rows[0] == {name: pytest.approx(value) for name, value in plain(run)[0].items()}
    assert set(first.axes.values()) == {"epoch"}
    assert first.call["latents"] == 2
    assert (first.code, first.summary["status"]) == (0, "finished")


@pytest.mark.parametrize(("key", "said", "mode"), [(True, None, "online"), (False, "disabled", None)])
def test_wandb_goes_online_with_a_key_and_honours_its_mode(
    splits, small, tmp_path, wandb, monkeypatch, key, said, mode
):
    module = wandb(key)
    if said:
        monkeypatch.setenv("WANDB_MODE", said)
    vaekit.train("vae", splits, out=tmp_path / "run", epochs=1, loggers=["wandb"], **small)
    assert module.runs[0].arguments["mode"] == mode


@pytest.mark.slow
def test_wandb_itself_offline(splits, small, tmp_path, monkeypatch, caplog):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    vaekit.train("vae", splits, out=tmp_path / "run", epochs=2, loggers=["wandb"], **small)
    vaekit.resume(tmp_path / "run", data=splits, epochs=3)
    assert not [record for record in caplog.records if record.name.startswith("vaekit")]
    kept = Run.open(tmp_path / "run").record["loggers"]["wandb"]
    written = sorted((tmp_path / "run" / "wandb").glob(f"offline-run-*/run-{kept['id']}.wandb"))
    assert len(written) == 2
    told = b"".join(path.read_bytes() for path in written)
    assert told.count(b"valid/distortion") >= 3
    assert kept["epoch"] == 3
