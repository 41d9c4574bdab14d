"""Ratios, measured side by side: `python -m benchmarks` from the root of the repository."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks import (
    data,
    imports,
    minimal,
    pythae_games,
    scores,
    stacked,
    step,
    trainer,
    versus_pythae,
)
from benchmarks.timing import CLOCKS, Row, keep_memory, quartiles
from vaekit.disentanglement import NAMES, PRESETS

SECTIONS = ("step", "trainer", "stacked", "data", "pythae", "pythae-games", "nll", "scores", "import")


def likelihood(threads: int) -> Iterator[Row]:
    """`benchmarks/nll.py` in a process of its own: the likelihood over the bare matrix products."""
    script = Path(__file__).with_name("nll.py")
    if not script.exists():
        yield Row("nll", "matrix products", note="unavailable: there is no benchmarks/nll.py")
        return
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        yield Row("nll", "matrix products", note=f"unavailable: {last}")
        return
    found = json.loads(done.stdout)
    low, middle, high = quartiles(found["ratios"])
    note = f"{found['nll_gflops']} of {found['products_gflops']} GFLOP/s, peak {found['peak_memory_mb']} MB"
    name = f"rate over that of the bare products, {found['samples']} samples, network of Burda et al."
    yield Row(
        "nll",
        name,
        middle,
        low,
        high,
        max(found["ratios"]),
        least=0.6,
        rounds=len(found["ratios"]),
        note=note,
    )


def shown(row: Row) -> str:
    """One line, or more where there are times and a note."""
    head = f"{row.section:8} {row.name}"
    if row.ratio is None:
        return f"{head}\n         {row.note}"
    target = f", target <= {row.most:g}" if row.most is not None else ""
    target += f", target >= {row.least:g}" if row.least is not None else ""
    verdict = {None: "", True: ", met", False: ", MISSED"}[row.met]
    line = f"{row.ratio:7.3f} [{row.low:.3f}, {row.high:.3f}], fastest {row.fastest:.3f}{target}{verdict}"
    times = [", ".join(f"{name} {1e3 * value:.3g} ms" for name, value in row.seconds.items())]
    rest = "; ".join(part for part in [*times, f"{row.rounds} rounds", row.note] if part)
    return f"{head}\n  {line}\n         {rest}"


def machine(threads: int) -> dict[str, object]:
    """Where this was measured."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": load,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; default all")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--threads", type=int, help="threads of torch; default its own choice")
    parser.add_argument("--seconds", type=float, default=12.0, help="for each row of `step` and `trainer`")
    parser.add_argument("--rounds", type=int, default=9, help="of processes, for `pythae` and `import`")
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall", help="cpu: with --threads 1 only")
    parser.add_argument(
        "--keep-memory", action="store_true", help="no page faults in `step` and `trainer`: see the README"
    )
    parser.add_argument(
        "--stock-adam", action="store_true", help="the hand-written loops of `step` take torch's default Adam"
    )
    parser.add_argument("--recipes", nargs="*", default=(), help="of `step`; default all")
    parser.add_argument("--settings", nargs="*", default=(), choices=sorted(step.SETTINGS), help="of `step`")
    parser.add_argument(
        "--games", nargs="*", default=(), choices=pythae_games.SYSTEMS, help="of `pythae-games`"
    )
    parser.add_argument(
        "--presets", nargs="*", default=("modern",), choices=sorted(PRESETS), help="of `scores`"
    )
    parser.add_argument("--scores", nargs="*", default=(), choices=NAMES, help="of `scores`; default all")
    parser.add_argument("--models", type=int, help="of `stacked`; default 4 on a CPU and 128 on a GPU")
    parser.add_argument(
        "--methods", nargs="*", default=(), choices=sorted(stacked.METHODS), help="of `stacked`; default all"
    )
    parser.add_argument("--pythae-python", type=Path, help="a Python that has Pythae, instead of a new one")
    parser.add_argument("--cache", type=Path, help="folder for the environment of Pythae")
    asked = parser.parse_args()
    for name in asked.sections:
        if name not in SECTIONS:
            parser.error(f"there is no section {name!r}; expected one of {', '.join(SECTIONS)}")
    if asked.threads:
        torch.set_num_threads(asked.threads)
    threads = torch.get_num_threads()
    if asked.clock == "cpu" and threads > 1:
        parser.error("processor time of several threads says nothing of speed: add --threads 1")
    if asked.keep_memory and not keep_memory():
        parser.error("--keep-memory needs glibc")
    minimal.STOCK_ADAM = asked.stock_adam
    clock = CLOCKS[asked.clock]
    made: dict[str, Callable[[], Iterator[Row]]] = {
        "step": partial(step.run, asked.seconds, clock, asked.recipes, asked.settings),
        "trainer": partial(trainer.run, asked.seconds, clock),
        "stacked": partial(stacked.run, asked.seconds, clock, asked.models, asked.methods),
        "data": partial(data.run, min(asked.seconds, 4.0), clock),
        "pythae": partial(versus_pythae.run, asked.rounds, threads, asked.pythae_python, asked.cache),
        "pythae-games": partial(
            pythae_games.run, asked.rounds, threads, asked.pythae_python, asked.cache, asked.games
        ),
        "nll": partial(likelihood, threads),
        "scores": partial(scores.run, asked.presets, asked.scores),
        "import": partial(imports.run, asked.rounds),
    }
    where = machine(threads)
    print(", ".join(f"{name} {value}" for name, value in where.items()))
    print("ratio [quartiles over rounds], ratio of the fastest rounds")
    rows = []
    for name in asked.sections or SECTIONS:
        for row in made[name]():
            print(shown(row), flush=True)
            rows.append(row)
    if asked.json:
        record = {"machine": where, "clock": asked.clock, "rows": [row.to_json() for row in rows]}
        asked.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
