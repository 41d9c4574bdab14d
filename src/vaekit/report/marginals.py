"""The aggregate posterior against the prior, latent by latent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.distributions import StandardNormal
from vaekit.errors import UnsupportedError
from vaekit.models import without_withheld
from vaekit.models.columns import columns_of
from vaekit.report.agreement import agreement
from vaekit.report.codes import Codes
from vaekit.report.look import DATA, MODEL, SOFT, Array, draw, plain_ticks
from vaekit.report.parts import Figure, Key, Picture, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = (5, 20)  # fewest and most: those in use, and idle ones up to the fewest
_BINS = 24
_DRAWS = 4000


@dataclass(frozen=True)
class Marginal:
    """The distribution of one latent, over the data and under the prior.

    Args:
        column: of the codes.
        edges: of the bins, (B + 1,).
        data: share of the draws from the aggregate posterior in every bin, (B,).
        prior: mass of the prior in every bin, (B,).
        mean, std: of the aggregate posterior's draws.
    """

    column: int
    edges: Array
    data: Array
    prior: Array
    mean: float
    std: float


@torch.no_grad()
def marginals(codes: Codes) -> tuple[list[Marginal], bool]:
    """The latents in use one by one, and whether their prior depends on a condition or a level above.

    Raises:
        UnsupportedError: if no latent has a prior to be drawn from.
    """
    priors, given = _priors(codes)
    found = []
    least, most = _PANELS
    columns = [column for column in codes.order if column in priors]
    in_use = sum(bool(codes.active[column]) for column in columns)
    for column in columns[: min(max(least, in_use), most)]:
        values = codes.draws[:, column].double().cpu().numpy()
        prior = priors[column]
        drawn = values if prior is None else np.concatenate([values, prior])
        low, high = float(drawn.min()), float(drawn.max())
        if prior is None:
            low, high = min(low, -3.5), max(high, 3.5)
        if not high > low:
            low, high = low - 0.5, high + 0.5
        edges = np.linspace(low, high, _BINS + 1)
        mass = _normal_mass(edges) if prior is None else _shares(prior, edges)
        found.append(
            Marginal(column, edges, _shares(values, edges), mass, float(values.mean()), float(values.std()))
        )
    if not found:
        raise UnsupportedError(
            "no latent of this model has a prior that can be drawn from beside the aggregate posterior"
        )
    return found, given


def _priors(codes: Codes) -> tuple[dict[int, Array | None], bool]:
    """Column -> draws of its prior, or None where it is N(0, 1); and whether any prior is given something."""
    found: dict[int, Array | None] = {}
    given = False
    count = len(codes.means)
    trace = codes.model(without_withheld(codes.model, codes.batch))
    for name, columns in columns_of(codes.shapes).items():
        latent = trace.latents.get(name)
        if latent is None or name in (*codes.discrete, *codes.model.withheld):
            continue
        p = latent.p
        if isinstance(p, StandardNormal) and not p.batch_shape:
            found |= dict.fromkeys(columns, None)
            continue
        if p.batch_shape not in (torch.Size(), torch.Size((count,))):
            continue  # one for every class: there is no single prior
        times = _DRAWS if not p.batch_shape else max(1, _DRAWS // count)
        try:
            drawn: Tensor = p.sample(torch.Size((times,)))
        except NotImplementedError:
            continue
        given = given or bool(p.batch_shape)
        flat = drawn.reshape(-1, len(columns)).double().cpu().numpy()
        found |= {column: flat[:, i] for i, column in enumerate(columns)}
    return found, given


def _shares(values: Array, edges: Array) -> Array:
    counts, _ = np.histogram(values, edges)
    return np.asarray(counts / max(1, len(values)))


def _normal_mass(edges: Array) -> Array:
    below = np.array([0.5 * (1 + math.erf(edge / math.sqrt(2))) for edge in edges])
    return np.diff(below)


def against_prior(codes: Codes, data: Data, evaluation: Mapping[str, Any], held: str, seed: int) -> Figure:
    """Histograms of all codes against the prior, and what the two differ by in whole.

    Args:
        codes: of held-out data.
        data: the same data, for the measures that take their own draws.
        evaluation: the record of the final evaluation, whose marginal KL is not computed again.
        held: which data they are.
        seed: of the measures.
    """
    found, given = marginals(codes)
    rows, reasons, verdict = agreement(codes, data, evaluation, seed)
    said = " given the condition, or the level above" if given else ""
    every = codes.means.shape[1]
    part = f"The {len(found)} most used of {every} latents; " if len(found) < every else ""
    idle = not all(bool(codes.active[one.column]) for one in found)
    tables = (Table(("measure", "value", "how to read it"), tuple(rows), texts=True),) if rows else ()
    return Figure(
        key="prior",
        title="The codes of all data against the prior",
        how="Samples start from the prior, and the decoder only learnt where codes lie: where the filled "
        "shape leaves the line alone, samples fall into a hole; where it stands outside, data are never "
        "sampled.",
        pictures=tuple(_panel(codes, one) for one in found),
        keys=(
            Key(f"codes of {held} data", "data"),
            *([Key("of a latent not in use", "soft")] if idle else []),
            Key("prior", "model"),
        ),
        caption=f"{part}{len(codes.means)} {held} data, one posterior draw each; the prior{said}. A latent "
        "that is not in use matches its prior by saying nothing." + "".join(f" {text}" for text in reasons),
        tables=tables,
        found=verdict,
    )


def _panel(codes: Codes, one: Marginal) -> Picture:
    name, active = codes.labels[one.column], bool(codes.active[one.column])

    def paint(ax: Axes) -> None:
        colour, alpha = (DATA, 0.4) if active else (SOFT, 0.35)
        ax.stairs(one.data, one.edges, fill=True, color=colour, alpha=alpha, linewidth=0)
        middle = (one.edges[1:] + one.edges[:-1]) / 2
        ax.plot(middle, one.prior, color=MODEL, linewidth=1.5)
        ax.set_ylim(0, 1.1 * max(float(one.data.max()), float(one.prior.max()), 1e-9))
        ax.set_yticks([])
        ax.grid(False)
        ax.spines["left"].set_visible(False)
        plain_ticks(ax.xaxis, 4)

    mean = f"{one.mean:.2f}".replace("-", "\u2212").replace("\u22120.00", "0.00")
    alt = (
        f"Latent {name} over the data: mean {one.mean:.3g}, standard deviation {one.std:.3g}; "
        f"{100 * float(np.abs(one.data - one.prior).sum()) / 2:.0f} % of its mass lies elsewhere than the "
        "prior's."
    )
    key = f"marginal-{one.column}"
    return draw(key, alt, paint, size=(1.64, 1.12), label=f"{name} · {mean} ± {one.std:.2f}")
