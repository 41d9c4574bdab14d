"""Tiny studies: digits, a network of four units, two steps; and workers that are killed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vaekit.studies import Progress, Study, fixed, product, rows, run, sweep
from vaekit.studies.local import Local
from vaekit.studies.table import Row

TINY: dict[str, Any] = {
    "recipe": "beta_vae",
    "data": "digits",
    "data.limit": 20,
    "arguments": {"latents": 2, "hidden": [4]},
    "training": {"steps": 2, "batch_size": 10},
}


@pytest.fixture
def tiny() -> Callable[..., Study]:
    """A study of tiny runs: sweeps of settings, and scores."""

    def make(
        values: dict[str, Any], scores: dict[str, dict[str, Any]] | None = None, **changes: Any
    ) -> Study:
        points = product(fixed(TINY | changes), sweep(values) if values else [{}])
        return Study.of(points, {"evaluation": {"limit": 5}} if scores is None else scores, title="Tiny runs")

    return make


class Killer:
    """Kills a worker at random moments, after so many runs each, while it is at a run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: list[int]) -> None:
        self.after, self.random, self.killed = after, random.Random(0), 0
        self.pools: list[Local] = []
        killer = self

        def make(*arguments: Any) -> Local:
            killer.pools.append(Local(*arguments))
            return killer.pools[-1]

        monkeypatch.setattr("vaekit.studies.local.Local", make)

    def __call__(self, at: Progress) -> None:
        if not self.pools or self.killed == len(self.after) or at.done < self.after[self.killed]:
            return
        time.sleep(self.random.uniform(0.0, 0.2))
        pids = [w.process.pid for w in self.pools[0].workers if w.left and w.ready]
        if pids:
            os.kill(self.random.choice(pids), signal.SIGKILL)
            self.killed += 1


@pytest.fixture
def killed_study(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Row]]:
    """The rows of a study on two workers, one of which is killed after so many runs each."""

    def carry_out(study: Study, place: Path, after: list[int], **settings: Any) -> list[Row]:
        killer = Killer(monkeypatch, after)
        at = run(study, place, **{"workers": 2, "show": killer, **settings})
        assert killer.killed == at.lost == len(after)
        assert (at.done, at.failed) == (len(study.calls), 0)
        found = rows(study, place)
        assert len(found) == len(study.calls) == len({row["hash"] for row in found})
        assert {row["status"] for row in found} == {"finished"}
        records = [path.name for path in (place / "records").iterdir()]
        assert sorted(records) == sorted(f"{call.hash}.json" for call in study.calls)
        assert not any((place / "work").iterdir())
        return found

    return carry_out
