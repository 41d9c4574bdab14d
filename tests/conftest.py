"""Shared fixtures: float64 worlds, the folder of real data, a browser, a fixed seed for every test."""

from __future__ import annotations

import os
from pathlib import Path

# tensors are small here: threads would wait for each other, above all on a busy machine
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
)


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


@pytest.fixture(scope="module")
def browser():
    """One headless Chromium for the tests of a file."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing = "playwright is not installed"
    else:
        missing = "" if Path(CHROMIUM).exists() else f"there is no {CHROMIUM}"
    if missing:
        if os.environ.get("VAEKIT_BROWSER_REQUIRED") == "1":
            pytest.fail(f"a browser is required, but {missing}")
        pytest.skip(missing)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        yield started
        started.close()
