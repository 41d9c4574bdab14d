"""Every recipe as a hand-written training step: plain torch, nothing of vaekit but the layers themselves.

`LOOPS[name](system)` takes the layers and the settings of Adam from a system and returns `step(batch)`, which
makes one update and returns the losses of the players, detached. On the same seed it draws the same noise as
the recipe, so that the losses can be compared: see `disagreement` in `benchmarks.step`.

A file here holds the loops of one family, in a dictionary `LOOPS`, and `CASES`, recipe ->
`benchmarks.cases.Case`, where its recipes need other arguments or data than most.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module

from benchmarks.cases import Case
from benchmarks.minimal import Step
from vaekit.system import System

LOOPS: dict[str, Callable[[System], Step]] = {}
"""Recipe -> hand-written loop."""

CASES: dict[str, Case] = {}
"""Recipe -> how it is called, where that differs from `Case()`."""

for _file in pkgutil.iter_modules(__path__):
    _family = import_module(f"{__name__}.{_file.name}")
    LOOPS |= _family.LOOPS
    CASES |= getattr(_family, "CASES", {})
