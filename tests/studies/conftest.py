"""Tiny studies: digits, a network of four units, two steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vaekit.studies import Study, fixed, product, sweep

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
