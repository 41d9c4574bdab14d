"""The same unit of work on Ray: every run once, workers that are killed, and an interruption."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from vaekit.errors import UserError
from vaekit.studies import rows, run
from vaekit.studies.runner import Interrupted

PARTS = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own warnings are not ours


@pytest.fixture
def ray(monkeypatch):
    """Ray, whose workers are as important as we are: by default they give way to everybody."""
    found = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    yield found
    found.shutdown()


def ours(word: str) -> list[int]:
    """Processes below this one whose command line begins with a word."""
    parents, found = {}, []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            parents[int(path.name)] = int(fields[1])
            if (path / "cmdline").read_text().startswith(word):
                found.append(int(path.name))
        except OSError:
            continue  # it has ended meanwhile

    def below(pid: int) -> bool:
        while pid > 1:
            if pid == os.getpid():
                return True
            pid = parents.get(pid, 0)
        return False

    return [pid for pid in found if below(pid)]


class TestOnRay:
    pytestmark = PARTS

    def test_every_run_once_and_a_killed_worker(self, tiny, tmp_path, ray):
        study = tiny({"seed": list(range(12))})
        killed = []

        def show(at):
            if at.done >= 2 and not killed and (pids := ours("ray::_task")):
                os.kill(pids[0], signal.SIGKILL)
                killed.extend(pids[:1])

        at = run(study, tmp_path / "s", on="ray", workers=2, show=show)
        assert killed
        assert (at.done, at.failed) == (12, 0)
        assert not ray.is_initialized()  # what was started for the study is ended with it
        run(study, tmp_path / "here", workers=0)
        scores = [
            [[v for k, v in row.items() if k.startswith(("evaluation/", "last."))] for row in table]
            for table in (rows(study, tmp_path / "s"), rows(study, tmp_path / "here"))
        ]
        assert scores[0] == scores[1]

    def test_an_interruption_and_a_cluster_that_is_there(self, tiny, tmp_path, ray):
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        study = tiny({"seed": [0, 1]}, **{"training.steps": 100_000}, training={"batch_size": 10})
        work = tmp_path / "s" / "work"

        def show(at):
            if at.running == 2 and sum((path / "run.json").exists() for path in work.iterdir()) == 2:
                raise KeyboardInterrupt

        with pytest.raises(Interrupted):
            run(study, tmp_path / "s", on="ray", show=show)
        assert ray.is_initialized()  # it is not ours
        short = tiny({"seed": [0, 1]})
        assert run(short, tmp_path / "s", on="ray").done == 2


def test_without_ray_it_says_how_to_get_it(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'vaekit\[ray\]'"):
        run(tiny({"seed": [0]}), tmp_path / "s", on="ray")
