"""The code on our pages runs, from top to bottom, and prints what the page shows."""

from __future__ import annotations

import ast
import os

import pytest
import snippets


def follow(page, folder, monkeypatch, shortened):
    """Type a page in a folder, after the one that it goes on from; every difference from what it shows."""
    found = []
    before = snippets.continues(page)
    if before is not None:
        follow(before, folder, monkeypatch, shortened)
    monkeypatch.chdir(folder)
    reader = snippets.Reader(shortened)
    for block, shown, got in reader.follow(page):
        if difference := snippets.differs(shown, got, numbers=not shortened):
            found.append(f"{block.where}: {difference}")
    return found


def test_it_runs(page, tmp_path, monkeypatch):
    """In a small budget; words of the output have to be those of the page, numbers may differ."""
    if not any(block.language in ("python", "console") for block in snippets.blocks(page)):
        pytest.skip("no code on this page")
    differences = follow(page, tmp_path, monkeypatch, shortened=True)
    assert not differences, "\n\n".join(differences)


@pytest.mark.slow
def test_it_gives_what_it_shows(page, tmp_path, monkeypatch):
    """The tutorial and the how-to pages as they are written, with their numbers."""
    if page.parent.name not in ("tutorial", "howto"):
        pytest.skip("its examples stand for long runs: they are tried in a small budget alone")
    differences = follow(page, tmp_path, monkeypatch, shortened=False)
    assert not differences, "\n\n".join(differences)


def test_what_is_not_run_says_why_and_can_be_read(page):
    for block in snippets.blocks(page):
        if block.language == "python":
            ast.parse(block.code)
        if block.kind in ("not run", "slow"):
            assert block.mark.partition(":")[2].strip(), f"{block.where}: say why it is {block.kind}"
        elif block.mark and block.language in ("python", "console"):
            assert block.kind == "run", f"{block.where}: `<!-- {block.mark} -->` is no mark of ours"
        block.written(shortened=True)  # every replacement finds its words


def test_the_pages_with_code_are_found(root):
    with_code = [page for page in (root / "docs" / "tutorial").glob("?-*.md") if snippets.blocks(page)]
    assert len(with_code) == 5
    [code] = [block for block in snippets.blocks(root / "README.md") if block.language == "python"]
    assert "vaekit.train" in code.code
    assert os.linesep.join(code.written(shortened=True).splitlines()) != code.code


@pytest.mark.parametrize(
    ("shown", "got", "numbers", "same"),
    [
        ("ELBO  -25.36 +- 0.31", "ELBO -25.37 +- 0.31", True, True),
        ("ELBO  -25.36 +- 0.31", "ELBO -35.36 +- 0.31", True, False),
        ("ELBO  -25.36 +- 0.31", "ELBO -35.36 +- 0.31", False, True),
        ("ELBO  -25.36", "NLL -25.36", False, False),
        ("done in 12 s", "done in 1.5 min", True, True),
        ("first\n...\nlast", "first\none\ntwo\nlast", True, True),
        ("first\nlast", "first\none\nlast", True, False),
        ("first", "first\nlast", True, False),
        ("first\n...", "first\nlast", True, True),
    ],
)
def test_differences_are_seen(shown, got, numbers, same):
    assert (snippets.differs(shown, got, numbers) is None) is same


def test_marks_are_read(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- run: 20 -> 1; a b -> c -->\n```console\n$ vaekit a b \\\n  --n 20  # why\nshown\n"
        "$ vaekit\n```\n<!-- not run: no -->\n```python\nx = 1\n```\n"
    )
    first, second = snippets.blocks(page)
    assert first.commands() == [("vaekit a b --n 20", "shown"), ("vaekit", "")]
    assert first.commands(shortened=True)[0][0] == "vaekit c --n 1"
    assert (second.kind, second.line) == ("not run", 9)
    page.write_text("<!-- run: 30 -> 1 -->\n```python\nx = 20\n```\n")
    with pytest.raises(ValueError, match="replaces nothing"):
        snippets.blocks(page)[0].written(shortened=True)
