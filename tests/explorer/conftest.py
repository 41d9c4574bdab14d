from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
)


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


@pytest.fixture(scope="session")
def small():
    """The model of small.py, which is no module of the package."""
    spec = importlib.util.spec_from_file_location("small", Path(__file__).with_name("small.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
