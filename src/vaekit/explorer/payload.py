"""All that the page knows of a run: one JSON value.

Texts come from data (names of columns, classes, sets) and stay plain texts here: whoever writes them into a
page escapes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from vaekit.data.spec import Spec
from vaekit.explorer.arrays import pack
from vaekit.explorer.directions import directions
from vaekit.explorer.loading import subject_of
from vaekit.explorer.points import colours, plane, sheet, values
from vaekit.explorer.refine import STEPS, refinable
from vaekit.explorer.samples import DRAWN, samples
from vaekit.explorer.subject import SEED, Subject
from vaekit.plain import plain
from vaekit.report.codes import Codes
from vaekit.report.pictures import Pixels
from vaekit.report.walks import REACH
from vaekit.runs import Run

FORMAT = 1


def payload(run: Run) -> dict[str, Any]:
    """What the explorer's page shows of a run; the same run gives the same value every time.

    Args:
        run: a trained one. Where its data are gone there are no points, and a note says so.

    Raises:
        UserError: if the run has no weights yet, or its model has no latents.
    """
    return payload_of(subject_of(run))


def payload_of(subject: Subject) -> dict[str, Any]:
    """The same of what is loaded already."""
    spec, codes = subject.spec, subject.codes
    view = view_of(spec)
    pixels = Pixels.of(subject.run.spec, _shown(subject)) if view in ("image", "sound") else None
    found: dict[str, Any] = {
        "format": FORMAT,
        "title": f"{subject.run.record['recipe']} on {spec.name}",
        "facts": _facts(subject),
        "view": view,
        "shape": list(spec.shape),
        "kind": spec.kind,
        "levels": spec.levels,
        "display": {"low": 0.0, "high": 1.0} if pixels is None else _range(pixels),
        "columns": _listed(spec.columns),
        "offset": _listed(spec.offset),
        "scale": _listed(spec.scale),
        "vocabulary": _listed(spec.vocabulary),
        "sound": None if spec.sound is None else asdict(spec.sound),
        "classes": spec.class_labels() or None,
        "latents": _latents(subject),
        "order": list(range(subject.size)) if codes is None else codes.order,
        "discrete": bool(subject.discrete),
        "points": None if codes is None else _points(subject, codes, pixels),
        "plane": None,
        "directions": [],
        "samplers": samples(subject),
        "start": pack(subject.coded(subject.middle)),
        "encoder": subject.encodes,
        "uncertainty": subject.spreads,
        "context": None,
        "refine": {"steps": STEPS} if refinable(subject) else None,
    }
    if codes is not None and not subject.discrete:
        found["plane"] = plane(codes.means)
        found["directions"] = directions(codes.means, found["points"]["colours"])
    if subject.contexts is not None:
        values, names = subject.contexts
        found["context"] = {"values": pack(values), "names": names}
    made: dict[str, Any] = plain({**found, "notes": subject.notes})
    return made


def view_of(spec: Spec) -> str:
    """How a datum is shown: "image", "values", "sequence" or "sound"."""
    if spec.sound is not None:
        return "sound"
    if spec.vocabulary is not None:
        return "sequence"
    return "image" if spec.is_image else "values"


def _shown(subject: Subject) -> Tensor:
    """Data that tell what is black and what is white, where values have no bounds."""
    if subject.codes is not None:
        return subject.codes.batch["x"]
    drawn = subject.draw("prior", DRAWN, SEED)
    return subject.decode(drawn, subject.given(DRAWN))[0]


def _range(pixels: Pixels) -> dict[str, float]:
    return {"low": pixels.low, "high": pixels.high if pixels.high > pixels.low else pixels.low + 1.0}


def _facts(subject: Subject) -> list[list[str]]:
    record, spec = subject.run.record, subject.spec
    facts = [
        ["recipe", str(record["recipe"])],
        [
            "data",
            f"{spec.name}: {spec.size:,} training data, {' x '.join(map(str, spec.shape))}, {spec.kind}",
        ],
    ]
    if spec.note:
        facts.append(["treatment of the data", spec.note])
    codes = subject.codes
    if codes is None:
        facts.append(["numbers in a code", f"{subject.size:,}"])
    else:
        used = "" if subject.discrete else f", {int(codes.active.sum()):,} in use"
        facts.append(["numbers in a code", f"{subject.size:,}{used}"])
        facts.append(
            ["points", f"{len(codes.means):,} {subject.held} data, which the model never trained on"]
        )
    if codes is not None and codes.rates is not None:
        facts.append(["rate", f"{float(codes.rates.sum()):.4g} nats a datum"])
    facts.append(["seed", str(record["seed"])])
    facts += [[f"{name} version", str(value)] for name, value in (record.get("versions") or {}).items()]
    return facts


def _latents(subject: Subject) -> list[dict[str, Any]]:
    """Every column of a code: how much it carries, and how far its slider goes."""
    aggregate, codes = subject.aggregate, subject.codes
    mean = aggregate.mean(0)
    std = aggregate.std(0) if len(aggregate) > 1 else torch.ones_like(mean)
    low, high = mean - REACH * std, mean + REACH * std
    if subject.labels:  # a share of a class
        low[subject.labels], high[subject.labels] = 0.0, 1.0
    rates = None if codes is None else codes.rates
    used = torch.ones_like(mean, dtype=torch.bool) if codes is None else codes.active
    return [
        {
            "name": name,
            "rate": None if rates is None else float(rates[i]),
            "mean": float(mean[i]),
            "std": float(std[i]),
            "used": bool(used[i]),
            "low": float(low[i]),
            "high": float(high[i]),
        }
        for i, name in enumerate(subject.names)
    ]


def _points(subject: Subject, codes: Codes, pixels: Pixels | None) -> dict[str, Any]:
    x = codes.batch["x"]
    return {
        "codes": pack(subject.coded(codes.means)),
        "pictures": None if pixels is None else sheet(pixels, x, codes.context(slice(None))),
        "values": values(subject.spec, x) if pixels is None else None,
        "colours": colours(subject.spec, codes.batch),
    }


def _listed(values: Sequence[Any] | None) -> list[Any] | None:
    return None if values is None else list(values)
