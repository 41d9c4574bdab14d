"""`vaekit doctor`: what is wrong with data before training, and with a run after it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from vaekit.cli.parsing import argument_help, field_of, group, parse
from vaekit.cli.train import changed, data_form
from vaekit.errors import UserError
from vaekit.files import write_json

if TYPE_CHECKING:
    from vaekit.doctor.finding import Finding


def doctor_command(arguments: list[str]) -> int:
    """Parse and carry out `vaekit doctor`."""
    wanted = parse(_form(), arguments, "vaekit doctor")
    return _examine(wanted.target, changed(wanted.data_options), **vars(wanted.telling))


def _form() -> type:
    """The options of `vaekit doctor`: its own, and those of the data."""
    telling: Any = group("Telling", _examine, ("json", "strict", "seed"))
    options: Any = data_form()
    helps = argument_help(_examine)
    made = dataclasses.make_dataclass(
        "Doctor",
        [
            field_of("target", str, helps["target"], dataclasses.MISSING, place=True),
            (
                "telling",
                Annotated[telling, tyro.conf.arg(name="")],
                dataclasses.field(default_factory=telling),
            ),
            (
                "data_options",
                Annotated[options, tyro.conf.arg(name="data")],
                dataclasses.field(default_factory=options),
            ),
        ],
        frozen=True,
    )
    made.__doc__ = (
        "Examine data before training, or a run after it: what was measured, what it means, what to change, "
        "and the command that tries it. Nothing is changed.\n\nThe exit code is 0 whatever is found: that a "
        "doctor finds something is no failure of the command. With --strict it is 1 if there are problems or "
        "warnings, for scripts."
    )
    return made


def _examine(
    target: str,
    options: dict[str, Any],
    *,
    json: Path | None = None,
    strict: bool = False,
    seed: int = 0,
) -> int:
    """Examine, tell, and write.

    Args:
        target: a run directory; or data: the name of a set, or the path of an array, a table or a folder.
        options: of the data.
        json: also write all findings to this file.
        strict: exit code 1 if there are problems or warnings.
        seed: of all that is drawn.
    """
    from rich.console import Console

    from vaekit.doctor.show import record_of, told

    if not 0 <= seed < 2**63:
        raise UserError(f"--seed is {seed}; expected 0 .. 2^63 - 1")
    findings = _findings(target, options, seed)
    if json is not None:
        write_json(json, record_of(target, findings))
    told(Console(highlight=False), findings)
    return int(strict and any(finding.severity != "note" for finding in findings))


def _findings(target: str, options: dict[str, Any], seed: int) -> list[Finding]:
    """A folder with a record is a run, the folder of a published one too; all else is data."""
    from vaekit.doctor import examine_data, examine_run
    from vaekit.runs import PUBLISHED_RECORD, PUBLISHED_WEIGHTS, RECORD

    path = Path(target).expanduser()
    published = all((path / name).is_file() for name in (PUBLISHED_RECORD, PUBLISHED_WEIGHTS))
    if not (path / RECORD).is_file() and not published:
        return examine_data(target, data_options=options, seed=seed)
    if options:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in options)
        raise UserError(f"{target} is a run, which knows its data; got {named}: leave that out")
    return examine_run(path, seed=seed)
