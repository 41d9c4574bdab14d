"""A logger that writes everything down, and data that train in no time."""

from __future__ import annotations

import pytest
import torch

from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.loggers import Logger

SMALL = {"latents": 2, "hidden": (8,), "batch_size": 16}


class Notes(Logger):
    """Everything that was said, in its order."""

    name = "notes"

    def __init__(self, fails=None):
        self.fails = fails
        self.said = []

    def _say(self, what, *more):
        self.said.append((what, *more))
        if self.fails == what:
            raise OSError("no space left on device")

    def of(self, what):
        return [entry[1:] for entry in self.said if entry[0] == what]

    def started(self, run):
        self._say("started", (run.record.get("loggers") or {}).get(self.name))
        return {"id": "7"}

    def called(self, call):
        self._say("called", call)

    def row(self, values, epoch, stage):
        self._say("row", values, epoch, stage)

    def evaluated(self, values):
        self._say("evaluated", values)

    def finished(self, status):
        self._say("finished", status)


@pytest.fixture
def notes():
    return Notes


@pytest.fixture(scope="module")
def splits() -> Splits:
    generator = torch.Generator().manual_seed(0)
    spec = Spec("toy", (5,), "real", 40)
    return Splits(*(ArrayData(spec, torch.randn(n, 5, generator=generator)) for n in (40, 10, 10)))


@pytest.fixture
def small() -> dict:
    return dict(SMALL)
