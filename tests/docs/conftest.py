"""The pages, and the modules that read and make them (`docs/making`, which is no package)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs" / "making"))


@pytest.fixture
def root() -> Path:
    return ROOT


def pages() -> list[Path]:
    """Every text of ours: what stands at the root, in docs/ and beside the benchmarks."""
    docs = (ROOT / "docs").rglob("*.md")
    return sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *docs])


def pytest_generate_tests(metafunc):
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", pages(), ids=lambda path: str(path.relative_to(ROOT)))
