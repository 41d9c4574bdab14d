"""Links that leave `docs/`: what they lead to becomes a page of the site, which then needs no network."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CODE = "code"
"""The folder of the site where files from outside `docs/` lie."""

_LINK = re.compile(r"(?<!\\)(\]\()([^)\s#]*)(#[^)\s]*)?(\))")
_FENCE = re.compile(r"^( *)(`{3,}).*?^\1\2 *$", re.MULTILINE | re.DOTALL)


def outside(markdown: str, place: str) -> Iterator[str]:
    """Paths from the root of the repository that a text links to, outside `docs/`, and that want a page."""
    for target in _targets(markdown):
        path = _path(target, place)
        if path is not None and not path.startswith("docs/") and page_of(path).startswith(f"{CODE}/"):
            yield path


def rewritten(markdown: str, place: str, page: str) -> str:
    """The same text with links that hold on the site.

    Args:
        markdown: the text.
        place: where it lies in the repository, such as docs/data.md.
        page: where its page lies on the site, such as data.md.
    """

    def replace(match: re.Match[str]) -> str:
        path = _path(match[2], place)
        if path is None:
            return match[0]
        target = path.removeprefix("docs/") if path.startswith("docs/") else page_of(path)
        return f"](%s{match[3] or ''})" % posixpath.relpath(target, posixpath.dirname(page) or ".")

    return "".join(part if code else _LINK.sub(replace, part) for code, part in _parts(markdown))


def page_of(path: str) -> str:
    """The page of a file or folder of the repository that is not in `docs/`; some have one without this."""
    recipe = re.fullmatch(r"src/vaekit/recipes/(\w+)\.py", path)
    if path == "README.md" or recipe or path == "src/vaekit/recipes":
        return "index.md" if path == "README.md" else f"recipes/{recipe[1] if recipe else 'index'}.md"
    if path.endswith(".md"):
        return f"{CODE}/{path}"
    return f"{CODE}/{path}/index.md" if (ROOT / path).is_dir() else f"{CODE}/{path}.md"


def content_of(path: str) -> str:
    """What stands on that page: a text, a file of code, or the list of a folder."""
    whole = ROOT / path
    if whole.is_dir():
        rows = [f"| `{file.name}` | {_first_line(file)} |" for file in sorted(whole.glob("*.py"))]
        return "\n".join([f"# {path}", "", "| file | what it is |", "| --- | --- |", *rows]) + "\n"
    text = whole.read_text(encoding="utf-8")
    if path.endswith(".md"):
        return rewritten(text, path, page_of(path))
    language = {".py": "python", ".toml": "toml", ".json": "json"}.get(whole.suffix, "text")
    return f"# {path}\n\n````{language}\n{text}\n````\n"


def _first_line(file: Path) -> str:
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    line = text.partition("\n")[0].replace("|", "\\|")
    return re.sub(r"([*_<\[\]])", r"\\\1", line)


def _targets(markdown: str) -> Iterator[str]:
    for code, part in _parts(markdown):
        if not code:
            yield from (match[2] for match in _LINK.finditer(part))


def _parts(markdown: str) -> Iterator[tuple[bool, str]]:
    """The text in pieces, each with whether it is a block of code."""
    end = 0
    for match in _FENCE.finditer(markdown):
        yield False, markdown[end : match.start()]
        yield True, match[0]
        end = match.end()
    yield False, markdown[end:]


def _path(target: str, place: str) -> str | None:
    """From the root of the repository; None for addresses, anchors and what lies beyond the root."""
    if not target or ":" in target:
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(place), target))
    return None if path.startswith("..") else path
