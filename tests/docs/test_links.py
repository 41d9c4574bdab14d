"""Links lead somewhere, and the files that are named are there."""

from __future__ import annotations

import re

import links
import pytest

LINK = re.compile(r"\]\(([^)\s]+)\)")
MADE = ("recipes/", "api/")
"""Folders of the site whose pages are made when it is built."""


def anchors(text: str) -> set[str]:
    """The anchors of the headings of a text."""
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title.strip().lower())) for title in titles}


def test_links_lead_somewhere(page, root):
    from recipe_pages import recipes

    for target in LINK.findall(page.read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        whole = (page.parent / path).resolve() if path else page
        if whole.is_relative_to(root / "docs") and str(whole.relative_to(root / "docs")).startswith(MADE):
            assert whole.stem == "index" or whole.stem in recipes.names, f"{page.name}: {target}"
        else:
            assert whole.exists(), f"{page.name}: {target}"
            if anchor and whole.suffix == ".md":
                assert anchor in anchors(whole.read_text()), f"{page.name}: {target}"


def test_files_that_are_named_are_there(page, root):
    """`data/factors.py`, `tests/cli/`, ...: from the root, or within the package."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    homes = [root, root / "src" / "vaekit", page.parent]
    for span in re.findall(r"`([\w.-]+/[\w./-]*)`", text):
        ours = span.endswith(".py") or any((home / span.split("/")[0]).is_dir() for home in homes)
        if ours and span.split("/")[0] not in ("runs", "studies", "first"):
            assert any((home / span).exists() for home in homes), f"{page.name}: `{span}`"


def test_modules_that_are_named_are_there(page):
    """`vaekit.metrics.ais` and the like: what the text names can be had."""
    from importlib import import_module

    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`(vaekit(?:\.\w+)+)", text):
        found = import_module("vaekit")
        for part in span.split(".")[1:]:
            try:
                found = getattr(found, part)
            except AttributeError:
                found = import_module(f"{found.__name__}.{part}")


@pytest.mark.parametrize(
    ("text", "place", "at", "made"),
    [
        ("[a](../src/x.py)", "docs/a.md", "a.md", "[a](code/src/x.py.md)"),
        ("[a](../../src/vaekit)", "docs/t/a.md", "t/a.md", "[a](../code/src/vaekit/index.md)"),
        ("[a](b.md#c)", "docs/t/a.md", "t/a.md", "[a](b.md#c)"),
        ("[a](docs/b.md)", "CHANGELOG.md", "code/CHANGELOG.md", "[a](../b.md)"),
        ("[a](../src/vaekit/recipes/vae.py)", "docs/a.md", "a.md", "[a](recipes/vae.md)"),
        ("[a](../../README.md)", "docs/t/a.md", "t/a.md", "[a](../index.md)"),
        ("[a](https://b.org/c)", "docs/a.md", "a.md", "[a](https://b.org/c)"),
        ("```\n[a](../b)\n```", "docs/a.md", "a.md", "```\n[a](../b)\n```"),
    ],
)
def test_links_out_of_the_docs_lead_to_pages_of_the_site(text, place, at, made):
    assert links.rewritten(text, place, at) == made
