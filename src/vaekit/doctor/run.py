"""`examine_run`: everything that the doctor has to say about a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vaekit.checkpoint import Tensors, load_weights
from vaekit.data.batch import Splits
from vaekit.doctor.finding import Finding
from vaekit.doctor.run_amortisation import amortisation
from vaekit.doctor.run_codes import codebook
from vaekit.doctor.run_finite import extreme_weights, weights_of, where_it_began
from vaekit.doctor.run_games import games
from vaekit.doctor.run_latents import collapse, decoder_ignores, heavy_rate
from vaekit.doctor.run_likelihood import kind, neighbours, saturated, scales, tails, variance
from vaekit.doctor.run_outliers import outliers
from vaekit.doctor.run_overfit import overfitting, undertrained, worse_than_constant
from vaekit.doctor.run_prior import holes
from vaekit.doctor.run_subject import Subject, see
from vaekit.doctor.run_units import dead_units
from vaekit.doctor.words import listed, several
from vaekit.errors import UserError
from vaekit.runs import STATE, Run
from vaekit.system import System

CHECKS: tuple[Callable[[Subject], list[Finding]], ...] = (
    worse_than_constant, collapse, decoder_ignores, heavy_rate, codebook, variance, kind, tails, scales,
    neighbours, saturated, overfitting, undertrained, amortisation, holes, dead_units, outliers,
)  # fmt: skip
"""What is looked at once the weights are known to be numbers. Those that are tests compare at four standard
errors, 1/30,000 each: a false alarm of any of them on a run where nothing is wrong is rarer than 1/1,000."""

_ORDER = {"problem": 0, "warning": 1, "note": 2}


def examine_run(
    run: Run | str | Path, *, seed: int = 0, most: int | None = None, data: Splits | None = None
) -> list[Finding]:
    """Look at a trained run for all that commonly goes wrong; the worst findings come first.

    Nothing in the run directory is changed, and neither is the caller's random stream. A run whose training
    failed or was interrupted is judged by its record and its last checkpoint.

    Args:
        run: a run, or its directory.
        seed: of everything that is drawn: the same seed finds the same.
        most: largest number of data of a split that are looked at; by default 1,000, or 400 of data with more
            than 1,024 elements, whose networks are dear.
        data: the data, where the run was trained on data in memory.

    Raises:
        UserError: if it is no run directory, or damaged.
        ValueError: for fewer than two data, or a seed that is none.
    """
    if most is not None and most < 2:
        raise ValueError(f"`most` is {most}; expected 2 or more data")
    if not 0 <= seed < 2**63:
        raise ValueError(f"`seed` is {seed}; expected 0 .. 2^63 - 1")
    opened = run if isinstance(run, Run) else Run.open(run, data=data)
    found, unchecked = _examined(opened, seed, most)
    return sorted([*found, *_unchecked(unchecked)], key=lambda finding: _ORDER[finding.severity])


Examined = tuple[list[Finding], dict[str, str]]
"""What was found, and what could not be looked at: check -> why."""


def _examined(run: Run, seed: int, most: int | None) -> Examined:
    """A run and its stages."""
    found = where_it_began(run)
    count = most or (400 if run.spec.dimensions > 1024 else 1000)
    weights = weights_of(run)
    extreme = extreme_weights(run, weights)
    found += extreme
    system = _restored(run, weights)
    found += games(run, system)
    unchecked: dict[str, str] = {}
    if not any(finding.key == "not_finite" for finding in found):
        seen, unchecked = _looked_at(run, system, seed, count, not extreme)
        found += seen
    for part in run.record.get("stages") or []:
        if (run.path / "stages" / part["name"]).is_dir():
            inner, missing = _examined(run.stage(part["name"]), seed, most)
            found += [replace(finding, title=f"Stage {part['name']}: {finding.title}") for finding in inner]
            unchecked |= {f"{check} (stage {part['name']})": why for check, why in missing.items()}
    return found, unchecked


def _looked_at(run: Run, system: System, seed: int, most: int, sound: bool) -> Examined:
    """What model and data say; of one that has diverged, only what has died."""
    found = []
    if run.record.get("status") not in ("finished", "imported"):
        found.append(_unfinished(run))
    try:
        splits = run.data()
    except UserError as error:
        return [*found, _without_data(error)], {}
    if not run.metrics() and not run.record.get("best") and run.record.get("status") != "imported":
        return found, {}  # nothing has been learnt yet
    model = system.model.eval()
    subject = Subject(
        run,
        system,
        splits,
        see(model, splits.test, most, seed),
        see(model, splits.train, most, seed),
        seed,
        most,
    )
    for check in CHECKS if sound else (decoder_ignores, dead_units):
        found += check(subject)
    return found, subject.unchecked


def _restored(run: Run, weights: Tensors) -> System:
    """The system with the weights that are handed out, and what its objectives came to."""
    system = run.system()
    load_weights(system.model, weights, run.path)
    if (run.path / STATE).is_file():
        state, _ = run.state()
        for name, module in system.modules().items():
            own = {k.removeprefix(f"{name}/"): v for k, v in state.items() if k.startswith(f"{name}/")}
            if name != "model" and own:
                load_weights(module, own, run.path / STATE)
    system.model.eval()
    return system


def _unfinished(run: Run) -> Finding:
    status = run.record.get("status")
    return Finding(
        key="unfinished",
        title="The training is not finished",
        measured=f"The run's status is {status!r}, after {len(run.metrics())} of "
        f"{run.record['training'].get('epochs')} epochs on record.",
        meaning="What follows is about the last checkpoint.",
        change="Go on with it.",
        command=f"vaekit resume {run.path}",
        severity="note",
    )


def _unchecked(unchecked: dict[str, str]) -> list[Finding]:
    """One note on all checks that a run of this kind does not allow, by their reasons."""
    if not unchecked:
        return []
    reasons: dict[str, list[str]] = {}
    for check, why in unchecked.items():
        reasons.setdefault(why, []).append(check)
    told = [f"{listed(checks, most=12)}: {why}" for why, checks in reasons.items()]
    count = len(unchecked)
    return [
        Finding(
            key="not_checked",
            title=f"{several(count, 'check', 'checks')} could not be made of a run of this kind",
            measured=f"Left out: {'; '.join(told)}.",
            meaning="That nothing is said of these does not mean that nothing is wrong with them.",
            change="Nothing has to change.",
            command="",
            severity="note",
        )
    ]


def _without_data(error: UserError) -> Finding:
    return Finding(
        key="no_data",
        title="The data of this run are not to be had",
        measured=str(error),
        meaning="Only its record and its weights could be looked at.",
        change="Put the data back where they were; of data in memory, pass them: examine_run(run, data=...).",
        command="",
        severity="note",
    )
