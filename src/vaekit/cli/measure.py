"""`vaekit evaluate` and `vaekit report`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Literal

from vaekit.cli.progress import say
from vaekit.cli.summary import effort, figures
from vaekit.cli.words import count
from vaekit.data.batch import Data
from vaekit.errors import UserError
from vaekit.metrics.evaluate import evaluate
from vaekit.runs import Run


def evaluate_command(
    run: Path,
    /,
    *,
    samples: int = 5000,
    limit: int | None = None,
    seed: int = 0,
    split: Literal["test", "valid"] = "test",
    data: str | None = None,
    scores: Literal["modern", "locatello2019"] | None = None,
    only: tuple[str, ...] = (),
    representation: Literal["mean", "sampled"] = "mean",
    merge: bool = False,
    partners: tuple[Path, ...] = (),
) -> int:
    """Measure a trained model on held-out data: ELBO, likelihood by importance sampling, use of the latents.

    Args:
        run: the run directory.
        samples: importance samples per datum for the likelihood; 0 leaves it out.
        limit: evaluate a random subset of this size; by default all data.
        seed: of the subset and of all noise.
        split: which data; figures of the test data are kept in run.json.
        data: other data, by name or path, treated as those of the run were; their figures are not kept.
        scores: instead, the scores of disentanglement, where the data have known factors, by this set of
            choices; kept in run.json.
        only: some of the scores, such as mig dci; they are not kept. One more is exact_mig, the gap of the
            posteriors, not of their means: it needs no bins, and --limit takes a subset of the grid.
        representation: what is scored: means of the posterior, or draws from it.
        merge: count values of a factor whose pictures are the same as one, such as orientations 0 and 39 of
            dsprites.
        partners: instead, the unsupervised disentanglement ranking (UDR) of the run and these, which differ
            in their seeds: how well the others find its latents again, on held-out data (1,000, or --limit).
            It asks for no factors.
    """
    opened = Run.open(run)
    if data is not None and split != "test":
        raise UserError(f"--split is {split}, which is a part of the run's own data: leave out --data, or it")
    if partners:
        if scores is not None or split != "test" or data is not None:
            raise UserError(
                "--partners are compared on the test data of the run: leave out --scores, --split and --data"
            )
        from vaekit.cli.scores import rank_runs

        print(rank_runs(opened, partners, limit=limit, seed=seed))
        return 0
    if scores is not None:
        if (limit is not None and only != ("exact_mig",)) or split != "test" or data is not None:
            raise UserError(
                "--scores are of the whole grid of factors: leave out --limit, --split and --data (only "
                "exact_mig takes a --limit)"
            )
        from vaekit.cli.scores import score_run

        how: dict[str, Any] = {"representation": representation, "merge": merge, "limit": limit}
        print(score_run(opened, scores, only=only, seed=seed, **how))
        return 0
    if only or merge or representation != "mean":
        raise UserError("--only, --representation and --merge belong to --scores, which was not given")
    settings: dict[str, Any] = {"samples": samples, "limit": limit, "seed": seed, "whole": True}
    if data is not None:
        from vaekit.data import load_like

        print(figures(measure(opened, split=data, data=load_like(data, opened.spec), **settings), data))
        return 0
    record = measure(opened, split=split, **settings)
    if split == "test":
        opened.update(evaluation=record)
    print(figures(record, split))
    return 0


def report_command(run: Path, /) -> int:
    """Write the report of a run again.

    Args:
        run: the run directory.
    """
    print(write_page(Run.open(run)))
    return 0


def measure(
    run: Run,
    *,
    split: str,
    samples: int | None,
    limit: int | None,
    seed: int,
    whole: bool = False,
    data: Data | None = None,
) -> dict[str, Any]:
    """The evaluation record of a run.

    Args:
        run: a finished one.
        split: test or valid.
        samples: importance samples; by default what takes some seconds.
        limit: number of data; by default all of them if `whole`, else what takes some seconds.
        seed: of the subset and of all noise.
        whole: whether a limit that is not given means all data.
        data: other data; `split` is then their name.

    Raises:
        UserError: for numbers that cannot be used.
    """
    for name, value, least in (("samples", samples, 0), ("limit", limit, 1)):
        if value is not None and value < least:
            raise UserError(f"--{name} is {value}; expected {least} or more")
    if not 0 <= seed < 2**63:
        raise UserError(f"--seed is {seed}; expected 0 .. 2^63 - 1")
    model = run.model()
    data = getattr(run.data(), split) if data is None else data
    size, draws = effort(run.spec, len(data))
    draws = draws if samples is None else samples
    chosen = limit if whole or limit is not None else size
    used = len(data) if chosen is None else min(chosen, len(data))
    say(f"Evaluating {count(used)} of {count(len(data))} {split} data, {count(draws)} samples each")
    record = evaluate(
        model,
        data,
        samples=draws,
        limit=chosen,
        seed=seed,
        progress=_counter(),
        classifier=run.classifier(),
    )
    return {**record, "of": len(data), "split": split}


def _counter() -> Any:
    """On a terminal, the number of data that the likelihood has done; it takes the longest."""
    if not sys.stderr.isatty():
        return None
    last = 0.0

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total:
            sys.stderr.write("\r\033[K")
        elif now - last > 0.25:
            sys.stderr.write(f"\rlikelihood of {done:,} of {total:,}")
            last = now
        sys.stderr.flush()

    return show


def write_page(run: Run) -> Path:
    """Write report.html; returns its path."""
    from vaekit.report import write_report

    say("Writing the report")
    return Path(write_report(run))
