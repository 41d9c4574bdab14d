"""Shared fixtures: float64 worlds, the folder of real data, a fixed seed for every test."""

from __future__ import annotations

import os
from pathlib import Path

# tensors are small here: threads would wait for each other, above all on a busy machine
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


@pytest.fixture
def double():
    """Everything in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with real data sets; absent data skips, or fails where it is required."""
    root = os.environ.get("VAEKIT_DATA")
    if root and Path(root).is_dir():
        return Path(root)
    reason = f"VAEKIT_DATA is {root!r}: set it to the folder with the real data sets"
    if os.environ.get("VAEKIT_DATA_REQUIRED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
