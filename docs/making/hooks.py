"""What mkdocs runs: pages that are made from the code are added, and links into the code hold on the site."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "src"))  # the pages are of this tree

import api_pages
import links
import recipe_pages


def on_config(config: Any) -> Any:
    """Put the recipes, by family, and the interface into the navigation."""
    systems: list[Any] = ["recipes/index.md"]
    systems += [
        {family: [{name: f"recipes/{name}.md"} for name in names]}
        for family, names in recipe_pages.FAMILIES.items()
    ]
    made = {
        "Systems": systems,
        "Interface": [{title: _api(package)} for package, title in api_pages.PACKAGES.items()],
    }
    config.nav = [{key: made.get(key, value) for key, value in entry.items()} for entry in config.nav]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of recipes and of the interface, and what the texts link to outside `docs/`."""
    _add(files, config, "recipes/index.md", recipe_pages.index())
    for name in recipe_pages.recipes.names:
        _add(files, config, f"recipes/{name}.md", recipe_pages.page(name))
    for package in api_pages.PACKAGES:
        _add(files, config, _api(package), api_pages.page(package))
    wanted = [
        path
        for file in files.documentation_pages()
        if file.abs_src_path is not None
        for path in links.outside(Path(file.abs_src_path).read_text(encoding="utf-8"), f"docs/{file.src_uri}")
    ]
    added = set()
    while wanted:
        path = wanted.pop()
        if path not in added:
            added.add(path)
            _add(files, config, links.page_of(path), links.content_of(path))
            if path.endswith(".md"):
                wanted += links.outside((links.ROOT / path).read_text(encoding="utf-8"), path)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links of our own texts; pages that are made have theirs right."""
    if page.file.generated_by is not None:
        return markdown
    return links.rewritten(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def _api(package: str) -> str:
    return f"api/{package}.md"


def _add(files: Files, config: Any, place: str, content: str) -> None:
    files.append(File.generated(config, place, content=content))
