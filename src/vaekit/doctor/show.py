"""Findings on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vaekit.doctor.finding import Finding

if TYPE_CHECKING:
    from rich.console import Console

_COLOURS = {"problem": "bold red", "warning": "bold yellow", "note": "bold cyan"}
_PARTS = (("Measured", "measured"), ("Means", "meaning"), ("Change", "change"))


def plain(text: str) -> str:
    """Text without control characters: names of columns come from strangers, and a terminal obeys some."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def verdict(findings: Sequence[Finding]) -> str:
    """'No problems found.', or how many there are."""
    counts = {name: sum(finding.severity == name for finding in findings) for name in ("problem", "warning")}
    told = [f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count]
    return f"{' and '.join(told)} found." if told else "No problems found."


def told(console: Console, findings: Sequence[Finding]) -> None:
    """Print what `vaekit doctor` shows: the verdict, then each finding.

    Commands are printed on one line however narrow the terminal is, so that they can be copied.
    """
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    healthy = all(finding.severity == "note" for finding in findings)
    console.print(Text(verdict(findings), style="bold green" if healthy else "bold"))
    for finding in findings:
        heading = Text("\n").append(f"{finding.severity}: ", style=_COLOURS[finding.severity])
        console.print(heading.append(plain(finding.title), style="bold"))
        lines = Table.grid(padding=(0, 2))
        lines.add_column(style="dim", no_wrap=True)
        lines.add_column()
        for name, attribute in _PARTS:
            if getattr(finding, attribute):
                lines.add_row(name, Text(plain(getattr(finding, attribute))))
        console.print(Padding(lines, (0, 0, 0, 2)))
        if finding.command:
            console.print(
                Text("  Try       ", style="dim").append(plain(finding.command), style="cyan"), soft_wrap=True
            )


def record_of(target: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """All findings as plain JSON values, as `vaekit doctor --json` writes them."""
    return {
        "format": 1,
        "target": target,
        "verdict": verdict(findings),
        "healthy": all(finding.severity == "note" for finding in findings),
        "findings": [asdict(finding) for finding in findings],
    }
