"""Latents against the known factors of the data: who carries what, and the scores that were recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from vaekit.data.batch import Data
from vaekit.data.spec import Spec
from vaekit.disentanglement import entropy, mig, spearman
from vaekit.disruption import strips
from vaekit.errors import UnsupportedError
from vaekit.report.codes import Codes
from vaekit.report.heat import heat
from vaekit.report.look import Array, label_text
from vaekit.report.parts import Figure, Table
from vaekit.report.pictures import Pixels

_LATENTS = 20
_BINS = 20
_DRAWS = 8

_SCORES = {
    "beta_vae": ("BetaVAE score", "Which factor two data share, told from their codes by a linear reader."),
    "factor_vae": ("FactorVAE score", "Which factor data share, told from the latent that varies least."),
    "mig": ("MIG", "By how much the best latent of a factor knows it better than the second."),
    "dci_disentanglement": ("DCI disentanglement", "Whether each latent serves one factor."),
    "dci_completeness": ("DCI completeness", "Whether each factor is served by one latent."),
    "dci_informativeness_test": ("DCI informativeness", "How well all latents together tell the factors."),
    "modularity": ("Modularity", "Whether each latent knows one factor and no other."),
    "explicitness": ("Explicitness", "Whether a linear reader tells the factors from the latents."),
    "sap": ("SAP", "By how much one latent alone tells a factor better than the second."),
    "irs": ("IRS", "Whether a latent keeps still while the factors that it does not carry move."),
}


def importance(codes: Codes, spec: Spec, seed: int = 0) -> tuple[Array, list[str], float, float, int]:
    """How much of each factor a latent knows, I(z_j; v_k) / H(v_k), of binned posterior means.

    Returns:
        Shares (K, F); the names of the factors that vary in these data; the largest share where the factors
        are shuffled, which is what chance gives; MIG of the same table; the number of data.

    Raises:
        UnsupportedError: if no factor is known, or none varies.
    """
    values = codes.batch.get("factors")
    if values is None or not spec.factors:
        raise UnsupportedError("the data have no known factors")
    truth = values.cpu().numpy()
    varies = [k for k in range(truth.shape[1]) if (truth[:, k] != truth[0, k]).any()]
    if not varies:
        raise UnsupportedError("no factor varies in these data")
    truth = truth[:, varies]
    names = [list(spec.factors)[k] for k in varies]
    means = codes.means.double().cpu().numpy()
    found = mig(means, truth, bins=_BINS)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(truth))
    chance = mig(means, truth[order], bins=_BINS)
    ground = entropy(np.stack([np.unique(column, return_inverse=True)[1] for column in truth.T], 1))
    shares, floor = (np.asarray(score.details["information"]) / ground for score in (found, chance))
    return shares, names, float(floor.max()), found.value, len(truth)


def factor_map(codes: Codes, spec: Spec, record: Mapping[str, Any], held: str) -> Figure:
    """Latents by factors as a map, and the recorded scores."""
    shares, names, floor, gap, n = importance(codes, spec)
    rows = [i for i in codes.order if bool(codes.active[i])][:_LATENTS] or codes.order[:_LATENTS]
    shown = shares[rows]
    labels = [codes.labels[i] for i in rows]
    i, j = divmod(int(shown.argmax()), len(names))
    alt = (
        f"A map of {len(rows)} latents and {len(names)} factors; the strongest cell is {shown[i, j]:.2f}, of "
        f"{names[j]} by latent {labels[i]}."
    )
    idle = len(codes.labels) - len(rows)
    table = score_table(record)
    best = shares.argmax(0)
    carried = "; ".join(
        f"{label_text(name)} by {codes.labels[best[k]]} ({shares[best[k], k]:.2f})"
        if shares[best[k], k] > 2 * floor
        else f"{label_text(name)} by no latent, more than chance would give"
        for k, name in enumerate(names)
    )
    return Figure(
        key="factors",
        title="Which latent carries which factor",
        how="A cell says how much of what can be known of a factor one latent knows, from 0 to 1: latents "
        "that have each factor to themselves have one strong cell in a row and in a column.",
        pictures=(
            heat(
                "importance", shown, labels, [label_text(name, 16) for name in names], alt,
                text=lambda v: f"{v:.2f}", top=1.0,
            ),
        ),
        tables=() if table is None else (table,),
        caption=f"Mutual information over the entropy of the factor, posterior means of {n} {held} data in "
        f"{_BINS} bins"
        + (f"; {idle} latents that are not in use are left out" if idle else "")
        + f". With the factors shuffled, which is chance, the largest cell is {floor:.2f}. MIG of this table "
        f"is {gap:.3f}"
        + ("." if table is not None else "; `vaekit evaluate RUN --scores modern` measures all scores."),
        found=f"Most is known of {carried}.",
    )  # fmt: skip


def score_table(record: Mapping[str, Any]) -> Table | None:
    """The scores of disentanglement that the run's record holds, one column a set of choices."""
    kept = record.get("disentanglement")
    if not isinstance(kept, Mapping):
        return None
    sets = {
        str(name): dict(one["values"])
        for name, one in kept.items()
        if isinstance(one, Mapping) and isinstance(one.get("values"), Mapping)
    }
    names = list(dict.fromkeys(name for values in sets.values() for name in values if name in _SCORES))
    if not names:
        return None
    rows = []
    for name in names:
        title, how = _SCORES[name]
        rows.append((title, *(_value(values.get(name)) for values in sets.values()), how))
    return Table(
        ("score, 1 is best", *sets, "what it asks"), tuple(rows), label="recorded scores", texts=True
    )


def _value(value: Any) -> str:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return f"{value:.3f}" if known else "none"


def parameter_map(codes: Codes, spec: Spec, held: str) -> Figure:
    """Latents by continuous parameters: rank correlations."""
    theta = codes.batch.get("theta")
    if theta is None or not spec.theta:
        raise UnsupportedError("the data have no known parameters")
    known = ~theta.isnan().any(1)
    if int(known.sum()) < 3:
        raise UnsupportedError("fewer than three held-out data have known parameters")
    rows = codes.order[:_LATENTS]
    values = np.array([
        [_correlation(codes.means[known, i], theta[known, k]) for k in range(theta.shape[1])] for i in rows
    ])  # fmt: skip
    names = [label_text(name, 16) for name in spec.theta]
    labels = [codes.labels[i] for i in rows]
    i, j = divmod(int(np.abs(values).argmax()), len(names))
    alt = (
        f"A map of {len(rows)} latents and {len(names)} parameters; the strongest rank correlation is "
        f"{values[i, j]:+.2f}, of {names[j]} and latent {labels[i]}."
    )
    return Figure(
        key="factors",
        title="Which latent follows which parameter",
        how="A cell is the rank correlation of a latent and a parameter: 1 or \u22121 where one follows the "
        "other, 0 where it says nothing of it.",
        pictures=(
            heat(
                "importance", values, labels, names, alt, top=1.0,
                text=lambda v: f"{v:+.2f}".replace("-", "\u2212"),
            ),
        ),
        caption=f"Spearman's correlation with posterior means, {int(known.sum())} {held} data.",
    )  # fmt: skip


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    constant = bool((a == a[0]).all()) or bool((b == b[0]).all())
    return 0.0 if constant else spearman(a.double(), b.double())


@torch.no_grad()
def broken(pixels: Pixels, codes: Codes, data: Data, seed: int) -> Figure:
    """One datum with each latent in turn taken from other data."""
    made = strips(codes.model, data, draws=min(_DRAWS, len(data) - 1), limit=200, seed=seed)
    most = max(3, min(10, pixels.room() // made.shape[1]))
    pictures = []
    for column in codes.order[:most]:
        row = made[column]
        change = float((row[2:] - row[1]).abs().mean())
        idle = "" if bool(codes.active[column]) else " · not in use"
        alt = (
            f"A datum, its reconstruction, and the same with latent {codes.labels[column]} of {len(row) - 2} "
            f"other data; a pixel changes by {change:.3f} on average."
        )
        pictures.append(
            pixels.grid(pixels.values(row), len(row), alt, label=f"{codes.labels[column]}{idle}", widest=440)
        )
    return Figure(
        key="broken",
        title="What breaks with each latent",
        how="Each strip begins with a datum and its reconstruction; then one latent is taken from other "
        "data: what changes is what this latent carries, over the values that data really have.",
        pictures=tuple(pictures),
        caption=f"The {len(pictures)} most used of {codes.means.shape[1]} latents; values of "
        f"{made.shape[1] - 2} other held-out data, from the smallest to the largest.{pixels.remark}",
    )
