"""What the documents say is so: tables come from the code, snippets run, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vaekit.reproductions import get, names, results, table

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


def snippets(path, language="python"):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), flags=re.DOTALL)


def test_the_page_of_reproductions_is_made_from_the_record():
    assert (ROOT / "docs" / "reproductions.md").read_text() == table.page()


def test_the_readme_lists_every_recipe_with_its_status():
    assert table.recipes() in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_reproduction_is_complete_and_every_record_has_its_experiment():
    from vaekit import recipes

    known = {name for name, _ in names()}
    assert len(known) >= 8
    for name, title in names():
        found = get(name)
        assert title.endswith(".")
        assert found.claim.endswith(".")
        assert set(found.recipes) <= set(recipes.names)
    for record in results().values():
        assert record["name"] in known
        assert record["figures"]
        assert record["checks"]
        assert record["seeds"]


def test_the_snippet_of_the_architecture_page_trains(tmp_path, data_root):
    import vaekit

    scope: dict = {}
    [code] = snippets(ROOT / "docs" / "architecture.md")
    exec(code, scope)  # our own page
    run = vaekit.train(scope["my_vae"], "digits", out=tmp_path / "run", epochs=1, gamma=0.5)
    assert run.record["arguments"] == {"latents": 16, "gamma": 0.5}
    again = vaekit.Run.open(tmp_path / "run", recipe=scope["my_vae"])
    assert again.model().names == ("z",)


def test_the_snippet_of_the_readme_runs(tmp_path, monkeypatch):
    from sklearn.datasets import load_iris

    monkeypatch.chdir(tmp_path)
    [code] = snippets(ROOT / "README.md")
    scope = {"X": load_iris().data}
    exec(code.replace("epochs=20", "epochs=1").replace("VAE(latents=2)", "VAE(latents=2, epochs=1)"), scope)
    assert scope["pictures"].shape == (64, 1, 8, 8)
    assert scope["codes"].shape == (150, 2)


def test_nothing_is_left_to_be_said():
    for path in [*PAGES, *(ROOT / "src").rglob("*.py")]:
        text = path.read_text()
        assert "TODO" not in text, path
        assert "FIXME" not in text, path
