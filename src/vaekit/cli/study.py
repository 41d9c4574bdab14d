"""`vaekit study`."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vaekit.cli.progress import say
from vaekit.cli.words import bold, count, duration, table
from vaekit.errors import UserError
from vaekit.studies.queue import Progress
from vaekit.studies.reading import read, stem_of
from vaekit.studies.runner import Engine, Interrupted, run
from vaekit.studies.store import STUDY, Keep
from vaekit.studies.study import Study
from vaekit.studies.summary import write_summary
from vaekit.studies.table import Row, refuse_without_pyarrow, rows, stacking, write_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_EVERY = 0.25  # seconds between two pictures of a terminal
_LINES = 20  # of a log, in all


def study_command(
    study: str,
    /,
    *,
    out: Path | None = None,
    workers: int | None = None,
    on: Engine = "local",
    keep: Keep = "record",
    table: Literal["parquet", "csv"] = "parquet",
    device: str = "auto",
    stacked: tuple[int, ...] | None = None,
    retry: bool = False,
    only_table: bool = False,
    dry_run: bool = False,
) -> int:
    """Carry out the runs of a study, and write their table and its summary.

    What is finished stays finished: the same command goes on where it was stopped or killed.

    Args:
        study: a study file (TOML), or the name of one that ships; see `vaekit list studies`.
        out: the folder of the study; by default studies/NAME.
        workers: runs at a time; by default one for every core.
        on: local for processes of this machine, ray for a Ray cluster (RAY_ADDRESS).
        keep: what stays of a finished run: its record, also its weights, or all of its run directory.
        table: the format of the table.
        device: cpu, cuda, mps, or auto for the fastest that is there.
        stacked: train runs of one shape together, as one batched model, with the same result: at most so many
            at a time, 64 if no number is said. Runs that cannot be stacked are trained by themselves.
        retry: run again what has failed.
        only_table: run nothing; write table and summary of what is finished.
        dry_run: run and write nothing; say what would be run.
    """
    refuse_without_pyarrow(table)
    if workers is not None and workers < 1:
        raise UserError(f"--workers is {workers}; expected 1 or more")
    found = read(study)
    place = Path("studies") / stem_of(study) if out is None else out
    say(bold(found.title))
    say(f"{_counted(found)}; folder {place}")
    if dry_run:
        print(_described(found))
        return 0
    if only_table:
        if not (place / STUDY).is_file():
            raise UserError(f"{place} holds no study yet: leave --only-table out, or say --out")
        _close(found, place, table)
        return 0
    watch = _Watch()
    again = _command(study, out, stacked)
    try:
        run(
            found, place, workers=workers, on=on, keep=keep, retry=retry, device=device,
            stacked=_most(stacked), show=watch.show,
        )  # fmt: skip
    except Interrupted as stop:
        watch.close()
        raise KeyboardInterrupt(f"stopped; go on with `{again}`") from stop
    finally:
        watch.close()
    failed = _close(found, place, table)
    if failed:
        say(f"{count(failed)} runs failed, see the summary; `{again} --retry` runs them again")
    return 0


def _close(study: Study, place: Path, form: str) -> int:
    """Write table and summary; the number of runs that failed."""
    found = rows(study, place)
    path, page = place / f"table.{form}", place / "summary.html"
    write_table(found, path)
    write_summary(study, found, page)
    print("\n".join([_told(found), *stacking(found)]))
    print(table([("Table", str(path)), ("Summary", str(page))], indent=0))
    return sum(row["status"] == "failed" for row in found)


def _told(found: list[Row]) -> str:
    tally = {name: sum(row["status"] == name for row in found) for name in ("finished", "failed", "open")}
    return ", ".join(f"{count(number)} {name}" for name, number in tally.items() if number) or "no runs"


def _counted(study: Study) -> str:
    runs = f"{count(len(study.calls))} runs"
    return (
        runs if study.said == len(study.calls) else f"{runs} ({count(study.said)} said, equal ones are one)"
    )


def _described(study: Study) -> str:
    """How many runs of which method on which data, and what is measured of them."""
    tally: dict[tuple[str, str], int] = {}
    for call in study.calls:
        pair = call.method, call.data["name"]
        tally[pair] = tally.get(pair, 0) + 1
    lines = [(method, f"{count(number)} runs on {data}") for (method, data), number in tally.items()]
    scores = ", ".join(study.calls[0].scores) or "none"
    return f"{table(lines, indent=0)}\nscores: {scores}\nfirst run: {study.calls[0]}"


def _most(stacked: tuple[int, ...] | None) -> bool | int:
    """Models in a stack at most, as `run` takes it."""
    if stacked is None:
        return False
    if len(stacked) > 1 or any(number < 2 for number in stacked):
        said = " ".join(map(str, stacked))
        raise UserError(f"--stacked is {said}; expected one number, 2 or more, or none")
    return stacked[0] if stacked else True


def _command(study: str, out: Path | None, stacked: tuple[int, ...] | None) -> str:
    words = ["vaekit", "study", study, *([] if out is None else ["--out", str(out)])]
    words += [] if stacked is None else ["--stacked", *map(str, stacked)]
    return shlex.join(words)


class _Watch:
    """Follows a study: a live line on a terminal, else a plain line now and then."""

    def __init__(self) -> None:
        self.drawn, self.said, self.first = 0.0, -1, True
        self.live: Live | None = None

    def show(self, at: Progress) -> None:
        """Called four times a second."""
        if self.first:
            self.first = False
            if at.before:
                say(f"{count(at.done)} are finished and {count(at.failed)} have failed already")
            if at.kept:
                say(f"{count(at.kept)} were kept with their weights: they are scored, not trained")
            if sys.stderr.isatty():
                from rich.console import Console
                from rich.live import Live

                self.live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
                self.live.start()
        if self.live is not None:
            now = time.monotonic()
            if now - self.drawn >= _EVERY:
                self.live.update(self._picture(at), refresh=True)
                self.drawn = now
            return
        came = at.done + at.failed
        step = _LINES * (came - at.before) // max(1, at.total - at.before)
        if step > self.said:
            self.said = step
            say(f"{count(came)}/{count(at.total)}  {_words(at)}")

    def _picture(self, at: Progress) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        line = Table.grid(padding=(0, 2), expand=True)
        for ratio in (None, 1, None):
            line.add_column(ratio=ratio, no_wrap=True)
        came = at.done + at.failed
        bar = ProgressBar(
            total=max(1, at.total), completed=came, complete_style="cyan", finished_style="cyan"
        )
        line.add_row(f"{count(came)}/{count(at.total)}", bar, _words(at))
        return line

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.live is not None:
            self.live.stop()
            self.live = None


def _words(at: Progress) -> str:
    parts = [f"{at.running} running"]
    if at.failed:
        parts.append(f"{count(at.failed)} failed")
    if at.lost:
        parts.append(f"{at.lost} workers lost")
    if at.rate is not None:
        parts.append(f"{3600 * at.rate:,.0f} runs/h" if at.rate < 1 else f"{at.rate:.1f} runs/s")
    if at.left:
        parts.append(f"{duration(at.left)} left")
    return "  ".join(parts)
