"""The page: texts, numbers and figures into one HTML file. A pure function of what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from vaekit.report import scores
from vaekit.report.curves import curves
from vaekit.report.parts import Figure
from vaekit.report.render import render

_STRIP = ("elbo", "distortion", "rate", "nll", "bits_per_dim", "active_units", "error")

_CHAPTERS = {
    "How it learnt": ("curves", "history", "stage"),
    "What it makes": ("reconstructions", "samples", "columns", "nearest", "between"),
    "What the latents hold": (
        "traversals", "plane", "map", "classes", "confusion", "factors", "broken", "use", "prior",
    ),
}  # fmt: skip
"""Chapter -> its figures, by key; the stages of a run have numbers behind theirs."""


def report_html(
    title: str,
    record: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    figures: Sequence[Figure],
    evaluation: Mapping[str, Any] | None,
    *,
    notes: Sequence[str] = (),
    commands: Sequence[tuple[str, str]] = (),
) -> str:
    """One self-contained HTML page about a run; nothing in it asks a network for anything.

    Args:
        title: the heading.
        record: of the run, as in run.json; what is missing is left out.
        rows: one mapping an epoch, as in metrics.jsonl.
        figures: in the order of the page; the training curves are made from `rows` and come first.
        evaluation: the final evaluation, or None: then the best epoch's validation stands in its place.
        notes: what the reader has to know first, such as parts that could not be made.
        commands: (command line, what it does), to go on.

    Returns:
        The page. Texts are escaped; the drawings of `figures` stand in it as they are.
    """
    best = _mapping(record.get("best")).get("epoch")
    best = best if isinstance(best, int) and not isinstance(best, bool) else None
    curve = curves(rows, best)
    shown = [*([] if curve is None else [curve]), *figures]
    keys = [figure.key for figure in shown]
    if len(set(keys)) != len(keys):
        raise ValueError(f"the figures' keys are {', '.join(keys)}: expected each of them once")
    epoch: int | None = None
    known = dict(evaluation or {})
    lines = scores.lines(known)
    if not lines:
        known, epoch = scores.fallback(rows, best)
        lines = scores.lines(known)
    by_key = {line.key: line for line in lines}
    return render(
        "run.html",
        kind="vaekit report",
        title=title,
        facts=_facts(record),
        status=str(record.get("status", "")),
        strip=[by_key[key] for key in _STRIP if key in by_key],
        lines=lines,
        others=scores.others(evaluation or {}),
        epoch=epoch,
        summary=_summary(known),
        figures=shown,
        chapters=_chapters(shown, bool(lines), bool(commands)),
        notes=list(notes),
        missing=scores.missing(evaluation or {}),
        groups=_groups(record),
        call=_call(record),
        commands=list(commands),
    )


def _chapters(
    shown: Sequence[Figure], numbers: bool, commands: bool
) -> list[tuple[str, list[tuple[str, str]]]]:
    """The contents of the page: chapter -> (key, title) of its sections; what is empty is left out."""
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in _CHAPTERS}
    last = [
        *([("numbers", "The figures")] if numbers else []),
        ("record", "The record"),
        *([("next", "What to type next")] if commands else []),
    ]
    for figure in shown:
        kind = figure.key.partition("-")[0]
        chapter = next((name for name, keys in _CHAPTERS.items() if kind in keys), "More")
        found.setdefault(chapter, []).append((figure.key, figure.title))
    found["In numbers"] = last
    return [(name, places) for name, places in found.items() if places]


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    spec = _mapping(record.get("spec"))
    size = _mapping(record.get("sizes")).get("train", spec.get("size"))
    found = [
        ("recipe", record.get("recipe")),
        ("data", spec.get("name")),
        ("training data", None if size is None else scores.plain(size)),
        ("trained", _moment(record.get("started"))),
        ("duration", _duration(record.get("seconds"))),
        ("seed", record.get("seed")),
    ]
    return [(name, str(value)) for name, value in found if value is not None]


def _summary(known: Mapping[str, Any]) -> list[str]:
    """What the numbers say together, in words."""
    names = ("elbo", "nll", "nll_se", "active_units", "latents", "nll_samples", "nll_median_ess")
    elbo, nll, error, active, every, draws, size = (scores.finite(known.get(name)) for name in names)
    said = []
    if elbo is not None and nll is not None and -nll > elbo:
        said.append(
            f"The bound lies {scores.number(-nll - elbo, error)} nats below the estimated log-likelihood: "
            "what a better posterior could still gain."
        )
    if nll is not None and draws is not None and draws >= 20 and size is not None and size < 10:
        said.append(
            f"Of {scores.plain(int(draws))} importance samples only about {size:.2g} count: with more "
            "of them the likelihood may come out noticeably better."
        )
    if active is not None and every is not None and every > 1:
        idle = round(every - active)
        if idle > 0:
            verb = "carries" if idle == 1 else "carry"
            said.append(f"{idle} of {every:.0f} latents {verb} nothing: fewer would do as well.")
        else:
            said.append(
                f"All {every:.0f} latents are in use: with more of them the distortion may fall further."
            )
    return said


def _call(record: Mapping[str, Any]) -> str:
    arguments = _mapping(record.get("arguments"))
    if "recipe" not in record:
        return ""
    inside = "".join(f",\n    {name}={_python(value)}" for name, value in arguments.items())
    return f"{record['recipe']}(spec{inside}{',' if arguments else ''}{chr(10) if arguments else ''})"


def _python(value: Any) -> str:
    return repr(tuple(value)) if isinstance(value, list) else repr(value)


def _groups(record: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The record as named groups of (name, value), without what is empty."""
    spec = {
        name: value for name, value in _mapping(record.get("spec")).items() if value not in (None, "", {})
    }
    columns = spec.get("columns")
    if isinstance(columns, list | tuple) and len(columns) > 12:
        spec["columns"] = [*columns[:12], f"and {len(columns) - 12} more"]
    for name in ("offset", "scale"):
        spec.pop(name, None)  # long rows of constants: they are in run.json
    data = dict(_mapping(record.get("data")))
    data |= {f"option {name}": value for name, value in _mapping(data.pop("options", None)).items()}
    sizes = {f"{name} data": value for name, value in _mapping(record.get("sizes")).items()}
    best = {f"best {name}": value for name, value in _mapping(record.get("best")).items()}
    run = {
        name: record[name] for name in ("status", "device", "started", "seconds", "seed") if name in record
    }
    found = [
        ("Data", {**spec, **sizes, **data}),
        ("Training", {**_mapping(record.get("training")), **best}),
        ("Run", {**run, **_mapping(record.get("versions"))}),
    ]
    return [(name, [(_words(k), _plain(v)) for k, v in values.items()]) for name, values in found if values]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {scores.plain(item)}" for name, item in value.items())
    return scores.plain(value)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _moment(value: Any) -> str | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None if value is None else str(value)
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".strip()


def _duration(value: Any) -> str | None:
    if not isinstance(value, int | float) or value <= 0:
        return None
    seconds = round(value)
    if seconds < 1:
        return "under a second"
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"
