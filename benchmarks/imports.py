"""Section `import`: how long a user waits for `import vaekit` and for `vaekit --help`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.timing import Row, row_of

TORCH = "import torch"
STATEMENTS = ("pass", "import vaekit", "import vaekit; vaekit.train")


def run(rounds: int) -> Iterator[Row]:
    """Every command over `import torch`, in seconds of a whole process."""
    commands = {statement: [sys.executable, "-c", statement] for statement in STATEMENTS}
    # the script beside this Python, as its user would call it
    commands["vaekit --help"] = [str(Path(sys.executable).with_name("vaekit")), "--help"]
    broken = {name: why for name, command in commands.items() if (why := complaint(command))}
    working = {name: command for name, command in commands.items() if name not in broken}
    working[TORCH] = [sys.executable, "-c", TORCH]
    times: dict[str, list[float]] = {name: [] for name in working}
    for number in range(rounds + 1):
        for name, command in working.items():
            begin = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            if number:  # the first round fills the caches of the disk
                times[name].append(time.perf_counter() - begin)
    for name in commands:
        if name in broken:
            yield Row("import", name, note=f"unavailable: {broken[name]}")
        else:
            yield row_of("import", name, (name, times[name]), (TORCH, times[TORCH]))


def complaint(command: list[str]) -> str:
    """Why a command does not work; empty if it does."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return f"exit code {done.returncode}, {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
