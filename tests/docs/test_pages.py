"""Pages and tables that are made from the code are up to date, and say what the code says."""

from __future__ import annotations

import inspect
import re

import api_pages
import pytest
import recipe_pages

from vaekit import recipes
from vaekit.reproductions import get, names, results, status, table


def test_the_page_of_reproductions_is_made_from_the_record(root):
    assert (root / "docs" / "reproductions.md").read_text() == table.page()


def test_the_readme_lists_every_recipe_with_its_status(root):
    assert table.recipes() in (root / "README.md").read_text()


def test_every_reproduction_is_complete_and_every_record_has_its_experiment():
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


def test_every_recipe_stands_in_one_family():
    listed = [name for family in recipe_pages.FAMILIES.values() for name in family]
    assert sorted(listed) == recipes.names, "put new recipes into FAMILIES of docs/making/recipe_pages.py"
    assert set(recipe_pages.EXAMPLES) <= set(recipes.names)


@pytest.mark.parametrize("name", recipes.names)
def test_the_page_of_a_recipe(name):
    page = recipe_pages.page(name)
    parts = recipe_pages.parts(name)
    assert page.startswith(f"# {name}\n")
    assert f'!!! abstract "{status(name)}"' in page
    # the equation, letter for letter, and every argument with its default
    assert all(line.strip() in page for line in parts["about"][0].splitlines())
    for parameter in list(inspect.signature(getattr(recipes, name)).parameters.values())[1:]:
        assert (
            f"| `{parameter.name}` | `{parameter.default!r}` |" in page
            or f"| `{parameter.name}` | needed |" in page
        )
    assert len(parts["reference"]) > 40
    for link in re.findall(r"\]\((\w+)\.md\)", page):
        assert link in recipes.names


def test_prose_keeps_symbols_and_links_papers():
    made = recipe_pages.prose("z_e and *x*, see `vae` and `sg[z]`, arXiv 1811.12359, https://arxiv.org/abs/1")
    assert made == (
        "z\\_e and \\*x\\*, see [`vae`](vae.md) and `sg[z]`, "
        "[arXiv 1811.12359](https://arxiv.org/abs/1811.12359), <https://arxiv.org/abs/1>"
    )


@pytest.mark.parametrize("package", api_pages.PACKAGES)
def test_every_public_name_has_its_place_and_its_docstring(package):
    from importlib import import_module

    found = api_pages.names(package)
    assert found
    for name in found:
        module, _, attribute = name.rpartition(".")
        value = getattr(import_module(module), attribute)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{name} has no docstring"


def test_every_page_has_its_place_in_the_navigation(page, root):
    docs = root / "docs"
    if page.is_relative_to(docs):
        place = str(page.relative_to(docs))
        assert re.search(
            rf"[-:] {re.escape(place)}$", (root / "mkdocs.yml").read_text(), flags=re.MULTILINE
        ), f"put {place} into the navigation of mkdocs.yml"


def test_nothing_is_left_to_be_said(page, root):
    assert not re.search("TODO|FIXME", page.read_text())


def test_nothing_is_left_to_be_said_in_the_code(root):
    for path in (root / "src").rglob("*.py"):
        assert not re.search("TODO|FIXME", path.read_text()), path


def test_the_snippet_of_the_architecture_page_trains(tmp_path, root):
    import snippets

    import vaekit

    scope: dict = {}
    [block] = [
        block for block in snippets.blocks(root / "docs" / "architecture.md") if block.language == "python"
    ]
    exec(block.code, scope)  # our own page
    run = vaekit.train(scope["my_vae"], "digits", out=tmp_path / "run", epochs=1, gamma=0.5)
    assert run.record["arguments"] == {"latents": 16, "gamma": 0.5}
    again = vaekit.Run.open(tmp_path / "run", recipe=scope["my_vae"])
    assert again.model().names == ("z",)


def test_the_study_of_the_page_is_one(tmp_path, root):
    import snippets

    from vaekit.studies import read

    [block] = [one for one in snippets.blocks(root / "docs" / "studies.md") if one.language == "toml"]
    path = tmp_path / "two.toml"
    path.write_text(block.code)
    study = read(path)
    assert len(study.calls) == 12
    assert study.title == "Two methods on digits"
