"""The site is built without a warning, and asks nothing of anybody."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import recipe_pages


@pytest.mark.slow
def test_the_site_is_whole_and_stays_by_itself(root, tmp_path):
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path / "site")],
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    site = tmp_path / "site"
    for name in recipe_pages.recipes.names:
        assert f'<h1 id="{name}">' in (site / "recipes" / f"{name}.html").read_text()
    assert (site / "tutorial" / "5-own.html").exists()
    assert (site / "search" / "search_index.json").stat().st_size > 100_000
    assert not (site / "making").exists()
    for page in site.rglob("*.html"):
        fetched = re.findall(
            r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"?(https?:[^\"\s>]+)", page.read_text()
        )
        assert not fetched, f"{page.name} fetches {fetched[0]}"
