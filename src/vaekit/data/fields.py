"""DARCY as data: pressure and velocity in porous ground, with the factors theta behind each field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from vaekit.checks import known, whole
from vaekit.data import darcy
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits, shuffled
from vaekit.data.darcy import Law
from vaekit.data.spec import Kind, Spec
from vaekit.errors import UserError

LAWS: dict[str, Law] = {"darcy": "normal", "darcy_bimodal": "bimodal", "darcy_shifted": "shifted"}
"""Name of a set -> law of its factors."""
SIZE, MODES = 33, 2
TRAIN, VALID, TEST = 512, 128, 512
STEP = 2.0**-14
"""What is kept of a field is a multiple of this, so that machines whose sums are rounded otherwise agree."""


def flow_fields(
    size: int = SIZE,
    modes: int = MODES,
    law: Law = "normal",
    *,
    seed: int = 0,
    limit: int | None = None,
    labelled: int | None = None,
    labelled_seed: int = 0,
    standardise: bool = True,
) -> Splits:
    """512 training, 128 validation and 512 test fields: `x` (3, n, n) of p, u1, u2, and `theta` (modes,).

    Values are rounded to multiples of 2^-14, far below what separates neighbouring fields.

    Args:
        size: n, nodes along a side: 17, 33 or 65 (the paper's).
        modes: number of factors; the paper has 2 and 3.
        law: of every factor.
        seed: of the factors.
        limit: only the first so many data of each split.
        labelled: number of training data whose theta is told; that of the others is NaN.
        labelled_seed: which they are.
        standardise: subtract from each channel its training mean and divide by its standard deviation, and
            bring the factors to mean 0 and variance 1 by the moments of their law.

    Raises:
        ValueError: for a size, a law or a number that there is not.
    """
    known("law", law, Law)
    name = next(key for key, value in LAWS.items() if value == law)
    most = TRAIN + TEST if limit is None else whole("limit", limit)
    counts = [min(most, count) for count in (TRAIN, VALID, TEST)]
    if labelled is not None and whole("labelled", labelled, least=0) > counts[0]:
        raise ValueError(f"`labelled` is {labelled}; expected at most {counts[0]}, the training data")
    theta = darcy.draw_factors(TRAIN + VALID + TEST, whole("modes", modes), law, seed)
    parts = [part[:count] for part, count in zip(theta.split((TRAIN, VALID, TEST)), counts, strict=True)]
    x = darcy.fields(torch.cat(parts), darcy.checked_size(size)).split(counts)
    notes = [
        f"p, u1, u2 of a Darcy flow on {size} x {size} nodes, {modes} factors of log K, theta {law}, by seed "
        f"{seed}; rounded to multiples of 2^-14"
    ]
    if darcy.cuts_pair(size, modes):
        notes.append(
            "the last factor is one of a pair with equal eigenvalues, odd in x; its partner is left out"
        )
    offset = scale = None
    if standardise:
        deviation, mean = torch.std_mean(x[0], (0, 2, 3), correction=0)
        offset, scale = (tuple(round(v, 6) + 0.0 for v in row.tolist()) for row in (mean, deviation))
        notes.append("standardised: channels by training mean and deviation, theta by the moments of its law")
    if labelled is not None:
        notes.append(f"theta of {labelled} training data known, by seed {labelled_seed}")
    if limit is not None:
        notes.append(f"at most {limit} data of each split")
    spec = Spec(
        name,
        (3, size, size),
        "real",
        counts[0],
        offset=offset,
        scale=scale,
        theta=tuple(f"theta{k + 1}" for k in range(modes)),
        labelled=labelled,
        note="; ".join(notes),
    )
    made = [_data(spec, fields, factors, law) for fields, factors in zip(x, parts, strict=True)]
    if labelled is not None:
        rows = torch.from_numpy(shuffled(counts[0], labelled_seed)[:labelled].astype(np.int64))
        told = torch.full_like(parts[0], torch.nan)
        told[rows] = parts[0][rows]
        made[0] = _data(spec, x[0], told, law)
    return Splits(*made)


def _data(spec: Spec, x: Tensor, theta: Tensor, law: Law) -> ArrayData:
    """Fields (N, 3, n, n) and factors (N, modes), standardised as the spec says."""
    if spec.offset is not None and spec.scale is not None:
        x = (x - x.new_tensor(spec.offset).view(-1, 1, 1)) / x.new_tensor(spec.scale).view(-1, 1, 1)
        mean, deviation = darcy.MOMENTS[law]
        theta = (theta - mean) / deviation
    return ArrayData(spec, (x / STEP).round().mul(STEP).float(), theta=theta.float())


def load_fields(
    name: str,
    size: int | None,
    channels: int | None,
    context: str,
    seed: int,
    limit: int | None,
    kind: Kind | None,
    labels: str | ArrayLike | None,
    binarise: str,
    labelled: int | None,
    labelled_seed: int,
    standardise: bool,
) -> Splits:
    """The fields as a named set; see `vaekit.data.load`.

    Raises:
        UserError: for an option that these fields do not have.
    """
    strange = [
        f"`{option}` = {value!r}"
        for option, value, fits in (
            ("channels", channels, (None, 3)),
            ("context", context, ("none",)),
            ("kind", kind, (None, "real")),
            ("binarise", binarise, ("auto", "none")),
        )
        if value not in fits
    ]
    if labels is not None:
        strange.append("`labels`")
    if strange:
        raise UserError(
            f"{name} holds real fields of 3 channels and no classes; got {strange[0]}: leave it out"
        )
    try:
        return flow_fields(
            SIZE if size is None else size,
            law=LAWS[name],
            seed=seed,
            limit=limit,
            labelled=labelled,
            labelled_seed=labelled_seed,
            standardise=standardise,
        )
    except (ValueError, TypeError) as error:
        raise UserError(f"{name}: {error}") from None


def fields_like(name: str, spec: Spec, limit: int | None) -> ArrayData:
    """The test fields of a named set, treated as those of a known spec were.

    Raises:
        UserError: if that spec is of other data.
    """
    if spec.theta is None or spec.shape[0] != 3 or spec.shape[1:] not in [(n, n) for n in darcy.SIZES]:
        raise UserError(
            f"{name} holds real fields of shape (3, n, n); expected {spec.shape}, as in {spec.name}"
        )
    raw = flow_fields(spec.shape[1], len(spec.theta), LAWS[name], limit=limit, standardise=False).test
    batch = raw.take(range(len(raw)))
    told = replace(spec, name=name, size=len(raw), labelled=None)
    return _data(told, batch["x"].double(), batch["theta"].double(), LAWS.get(spec.name, "normal"))
