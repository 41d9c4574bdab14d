"""Run a reproduction and record what came out."""

from __future__ import annotations

import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from vaekit.files import write_bytes, write_json
from vaekit.reproductions import get, results
from vaekit.reproductions.outcome import Say


def run(name: str, full: bool = False, say: Say = print) -> dict[str, Any]:
    """Run a reproduction.

    Args:
        name: which.
        full: the larger budget, for patience or a GPU.
        say: takes lines of progress.

    Returns:
        The record: claim, figures, checks, verdict, seeds, data, budget, duration, versions, commit.

    Raises:
        UserError: if there is none of that name.
    """
    reproduction = get(name)
    started = time.monotonic()
    cuda = [torch.device("cuda")] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=cuda):
        outcome = reproduction.run(full, say)
    if outcome.picture is not None:
        place = Path(f"{name}.png")
        write_bytes(place, outcome.picture)
        say(f"picture: {place}")
    return {
        "name": name,
        "full": full,
        "claim": reproduction.claim,
        "source": reproduction.source,
        "published": reproduction.published,
        "recipes": list(reproduction.recipes),
        **outcome.to_json(),
        "seconds": round(time.monotonic() - started, 1),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "threads": torch.get_num_threads(),
    }


def describe(result: dict[str, Any]) -> str:
    """Claim, measurement and verdict of a record, for a terminal."""
    lines = [f"claim: {result['claim']}", f"source: {result['source']}", ""]
    width = max(len(figure["what"]) for figure in result["figures"])
    for figure in result["figures"]:
        value = "-" if figure["value"] is None else f"{figure['value']:.4g}"
        extra = "; ".join(part for part in (figure["spread"], figure["beside"]) if part)
        lines.append(f"  {figure['what']:<{width}}  {value:>9}" + (f"   ({extra})" if extra else ""))
    lines.append("")
    lines += [f"  {'holds' if check['holds'] else 'FAILS'}: {check['what']}" for check in result["checks"]]
    if result["published"]:
        lines += ["", f"published: {result['published']}"]
    if result["notes"]:
        lines += ["", f"note: {result['notes']}"]
    seeds = ", ".join(str(seed) for seed in result["seeds"])
    lines += [
        "",
        f"data: {result['data']}",
        f"budget: {result['budget']}; seeds {seeds}; {result['seconds']:.0f} s",
        f"verdict: {result['verdict']}",
    ]
    return "\n".join(lines)


def record(result: dict[str, Any], path: Path | None = None) -> None:
    """Put a result into the table of recorded outcomes, in the place of an older one of the same budget."""
    table = results()
    table[result["name"] + (" --full" if result["full"] else "")] = result
    place = path or Path(__file__).parent / "results.json"
    write_json(place, dict(sorted(table.items())))


def _commit() -> str:
    """The commit of the source tree, if vaekit runs from one; a plus sign marks uncommitted changes."""
    folder = Path(__file__).parent
    try:
        commands = (["git", "rev-parse", "--short=12", "HEAD"], ["git", "status", "--porcelain", "--", "src"])
        top = ["git", "rev-parse", "--show-toplevel"]
        root = subprocess.run(top, cwd=folder, capture_output=True, text=True, check=True, timeout=10)
        head, changes = (
            subprocess.run(
                command, cwd=root.stdout.strip(), capture_output=True, text=True, check=True, timeout=10
            ).stdout.strip()
            for command in commands
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return head + ("+" if changes else "")
