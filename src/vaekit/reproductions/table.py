"""Make docs/reproductions.md and the README's table of systems from the recorded outcomes.

`python -m vaekit.reproductions.table` writes both, in the source tree that it is run from.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from vaekit.reproductions import names, results, status

_HEAD = """# Reproductions

Each row is a small experiment whose outcome would differ if the method were wrong. `vaekit reproduce NAME`
runs it again and prints claim, measurement and verdict; the default budget of each is at most 15 minutes on
two cores, `--full` is a larger one. The conditions were set before the measurement. A claim that fails stays
in the table. Durations were taken on a machine that did other work at the same time.

This page is made from `src/vaekit/reproductions/results.json` by `python -m vaekit.reproductions.table`.
"""


def page() -> str:
    """The whole page, in Markdown."""
    recorded = results()
    lines = [_HEAD, "| name | verdict | in one line |", "| --- | --- | --- |"]
    for name, title in names():
        for key in (name, f"{name} --full"):
            if key in recorded:
                lines.append(f"| [`{key}`](#{_anchor(key)}) | **{recorded[key]['verdict']}** | {title} |")
        if name not in recorded:
            lines.append(f"| `{name}` | not recorded yet | {title} |")
    for key in sorted(recorded):
        lines += ["", *_section(key, recorded[key])]
    return "\n".join(lines) + "\n"


def _section(key: str, record: dict[str, Any]) -> list[str]:
    lines = [
        f"## {key}",
        "",
        f"**Claim.** {record['claim']} ({record['source']})",
        "",
        f"**Verdict: {record['verdict']}.**",
        "",
        "| measured | value | spread | beside |",
        "| --- | ---: | --- | --- |",
    ]
    for figure in record["figures"]:
        value = "" if figure["value"] is None else f"{figure['value']:.4g}"
        lines.append(f"| {figure['what']} | {value} | {figure['spread']} | {figure['beside']} |")
    lines += ["", "Conditions:", ""]
    lines += [
        f"- {'holds' if check['holds'] else '**fails**'}: {check['what']}" for check in record["checks"]
    ]
    if record["published"]:
        lines += ["", f"Published: {record['published']}"]
    if record["notes"]:
        lines += ["", record["notes"]]
    seeds = ", ".join(str(seed) for seed in record["seeds"])
    lines += [
        "",
        f"Data: {record['data']}. Budget: {record['budget']}. Seeds: {seeds}. Duration: "
        f"{record['seconds']:.0f} s with {record['threads']} threads, torch {record['versions']['torch']}, "
        f"commit {record['commit']}, {record['date']}.",
    ]
    return lines


def _anchor(key: str) -> str:
    return key.lower().replace(" ", "-")


def recipes() -> str:
    """The rows of the README's table of systems: recipe, first line of its page, status."""
    folder = Path(__file__).parent.parent / "recipes"
    rows = []
    for path in sorted(folder.glob("*.py")):
        if path.stem != "__init__":
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            first = text.partition("\n")[0].rstrip(".")
            link = f"[`{path.stem}`](src/vaekit/recipes/{path.name})"
            rows.append(f"| {link} | {first} | {status(path.stem)} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Write both tables."""
    Path("docs/reproductions.md").write_text(page(), encoding="utf-8")
    readme = Path("README.md")
    text = readme.read_text(encoding="utf-8")
    head = "| recipe | what it is | status |\n| --- | --- | --- |\n"
    before, _, after = text.partition(head)
    rest = re.sub(r"\A(\|.*\n|<!--.*\n)*", "", after)
    readme.write_text(before + head + recipes() + rest, encoding="utf-8")


if __name__ == "__main__":
    main()
