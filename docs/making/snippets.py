"""The code on our pages: found, and run from top to bottom in an empty folder.

Python stands in ```python blocks. Commands stand in ```console blocks, behind `$ `, with what they print
below them; a line `...` stands for lines that are left out. A ```text block behind a comment
`<!-- output -->` is what the Python above it prints. A comment on the line before a block says how the tests
treat it:

    <!-- run -->                      commands: carried out, not only parsed
    <!-- run: --epochs 20 -> --epochs 1; 500 -> 5 -->
                                      the same with these words replaced, except in the slow tests
    <!-- slow: why -->                carried out in the slow tests alone
    <!-- not run: why -->             Python: read, and not carried out

Python is always run, with `<!-- run: ... -->` where words are to be replaced. `<!-- continues: PAGE -->`
anywhere on a page says that it goes on in the folder that PAGE leaves.

`python docs/making/snippets.py PAGE ...` runs pages as they are written and prints what their blocks print.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import runpy
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n+)?(?P<indent> *)```(?P<language>\w*)[^\n]*\n"
    r"(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
_TIME = re.compile(r"\b\d+(?:\.\d+)? (?:ms|s|min|h)\b")


@dataclass(frozen=True)
class Block:
    """One block of code on a page.

    Args:
        page: where it stands.
        line: its first line.
        language: python, console, text, toml, or nothing.
        code: what stands in it.
        mark: the comment before it, if any.
    """

    page: Path
    line: int
    language: str
    code: str
    mark: str

    @property
    def where(self) -> str:
        """Page and line, for messages."""
        return f"{self.page.name}:{self.line}"

    @property
    def kind(self) -> str:
        """The first word of the mark, or two: run, slow, not run, output."""
        return self.mark.partition(":")[0].strip()

    def written(self, shortened: bool) -> str:
        """Its code, with the words of `run: A -> B` replaced if it is to be short.

        Raises:
            ValueError: if a word that is to be replaced does not stand there.
        """
        code = self.code
        if not shortened or self.kind != "run":
            return code
        for pair in filter(None, self.mark.partition(":")[2].split(";")):
            old, arrow, new = (part.strip() for part in pair.partition("->"))
            if not arrow or old not in code:
                raise ValueError(f"{self.where}: {pair.strip()!r} replaces nothing; expected `old -> new`")
            code = code.replace(old, new)
        return code

    def commands(self, shortened: bool = False) -> list[tuple[str, str]]:
        """Every command of a console block with what is shown below it."""
        found: list[tuple[str, list[str]]] = []
        lines = iter(self.written(shortened).splitlines())
        for line in lines:
            if line.startswith("$ "):
                while line.endswith("\\"):
                    line = line[:-1] + next(lines, "").strip()
                found.append((re.sub(r"\s+# .*$", "", line[2:]), []))
            elif found:
                found[-1][1].append(line)
        return [(command, "\n".join(shown).strip()) for command, shown in found]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        code = re.sub(f"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        line = text.count("\n", 0, match.start("code"))
        found.append(Block(page, line, match["language"], code, match["mark"] or ""))
    return found


def continues(page: Path) -> Path | None:
    """The page whose folder this one goes on in."""
    said = re.search(r"<!-- continues: (\S+) -->", page.read_text(encoding="utf-8"))
    return page.parent / said[1] if said else None


class Reader:
    """Somebody who types a page, block by block, in the folder where they are.

    Args:
        shortened: with the words replaced that make it quick, and without what is slow.
    """

    def __init__(self, shortened: bool) -> None:
        self.shortened = shortened
        self.names: dict[str, Any] = {"__name__": "__page__"}

    def follow(self, page: Path) -> Iterator[tuple[Block, str, str]]:
        """Every block that is carried out, what the page shows, and what it printed.

        Raises:
            RuntimeError: if a command fails; a Python block raises what it raises.
        """
        here = blocks(page)
        for block, after in itertools.zip_longest(here, here[1:]):
            if block.kind == "slow" and self.shortened:
                continue
            if block.language == "python" and block.kind != "not run":
                shown = after.code.strip() if after is not None and after.kind == "output" else None
                got = self._python(block)
                if shown is not None:
                    yield block, shown, got
            elif block.language == "console" and block.kind in ("run", "slow"):
                for command, shown in block.commands(self.shortened):
                    yield block, shown, self._command(block, command)

    def _python(self, block: Block) -> str:
        code = compile(block.written(self.shortened), f"{block.where}", "exec", dont_inherit=True)
        with _heard() as heard:
            exec(code, self.names)  # our own page
        return heard.getvalue().strip()

    def _command(self, block: Block, command: str) -> str:
        words = shlex.split(command)
        with _heard() as heard:
            if words[0] == "vaekit":
                from vaekit.cli import main

                status = main(words[1:])
            elif words[:2] == ["python", "-m"]:
                status = 0
                runpy.run_module(words[2], run_name="__main__")
            else:
                raise RuntimeError(f"{block.where}: cannot carry out {command!r}: not a command of vaekit")
        if status:
            raise RuntimeError(f"{block.where}: {command!r} ends with {status}: {heard.getvalue()}")
        return heard.getvalue().strip()


@contextlib.contextmanager
def _heard() -> Iterator[io.StringIO]:
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
        yield heard


def differs(shown: str, got: str, numbers: bool, tolerance: float = 0.05) -> str | None:
    """Why what a page shows is not what it gave, or None.

    Args:
        shown: on the page; a line `...` stands for any lines.
        got: what was printed.
        numbers: whether numbers have to agree, to `tolerance` of their value or 0.05; times never have to. If
            not, neighbouring lines of the same words count as one.
        tolerance: see there.
    """
    if not shown:
        return None
    lines, wanted = ([line.rstrip() for line in text.splitlines()] for text in (got, shown))
    if not numbers:  # a loop that is cut short prints fewer lines of the same words
        lines, wanted = _once(lines), _once(wanted)
    at, free = 0, False
    for line in wanted:
        if line == "...":
            free = True
            continue
        candidates = range(at, len(lines)) if free else range(at, min(at + 1, len(lines)))
        place = next((i for i in candidates if _alike(line, lines[i], numbers, tolerance)), None)
        if place is None:
            there = "\n".join(lines[at : at + 12]) or "(nothing)"
            return f"the page shows\n  {line}\nand there came\n{there}"
        at, free = place + 1, False
    return None if free or at == len(lines) else "there came more:\n" + "\n".join(lines[at : at + 12])


def _alike(shown: str, got: str, numbers: bool, tolerance: float) -> bool:
    shown, got = _TIME.sub("a while", shown), _TIME.sub("a while", got)
    if _words(shown) != _words(got):
        return False
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(got), strict=True)
    return not numbers or all(_near(_value(a), _value(b), tolerance) for a, b in pairs)


def _words(text: str) -> str:
    return " ".join(_NUMBER.sub("#", text).replace("+-", "").split())


def _once(lines: list[str]) -> list[str]:
    """Of neighbouring lines of the same words, the first."""
    return [line for i, line in enumerate(lines) if i == 0 or _words(line) != _words(lines[i - 1])]


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _near(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= max(0.05, tolerance * max(abs(a), abs(b)))


def main(pages: list[Path]) -> None:
    """Run pages as they are written, one folder for all, and print what their blocks print."""
    whole = [page.resolve() for page in pages]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for page in whole:
            print(f"# {page.name}")
            for block, shown, got in Reader(shortened=False).follow(page):
                print(
                    f"## {block.where}  {differs(shown, got, numbers=True) or 'as shown'}\n{got}\n",
                    flush=True,
                )


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:]])
