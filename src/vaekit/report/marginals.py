"""The aggregate posterior against the prior: latent by latent, and in whole."""

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
from vaekit.metrics.codes import perplexity
from vaekit.metrics.dependence import Dependence, total_correlation
from vaekit.metrics.latents import mutual_information
from vaekit.metrics.matching import prior_match
from vaekit.models import without_withheld
from vaekit.models.columns import columns_of
from vaekit.report.codes import Codes
from vaekit.report.look import DATA, MODEL, SOFT, Array, draw, plain_ticks
from vaekit.report.parts import Figure, Key, Picture, Table
from vaekit.report.scores import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = (5, 20)  # fewest and most: those in use, and idle ones up to the fewest
_BINS = 24
_DRAWS = 4000
_PAIRS = 800  # data behind the measures that compare all pairs
_FULL = 0.9  # share of ln N at which the information about the datum is at its limit
_KNOWN = 0.01  # p-values below it: the two can be told apart


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
    rows, reasons, verdict = _measures(codes, data, evaluation, seed)
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


def _measures(
    codes: Codes, data: Data, evaluation: Mapping[str, Any], seed: int
) -> tuple[list[tuple[str, ...]], list[str], str]:
    """Rows of the table, reasons for what is missing, and a sentence."""
    rows: list[tuple[str, ...]] = []
    reasons: dict[str, list[str]] = {}
    verdict = ""
    n = min(_PAIRS, len(data))
    if isinstance(known := evaluation.get("marginal_kl"), float):
        found, most = (evaluation.get(f"mutual_information{end}") for end in ("", "_bound"))
        full = isinstance(found, float) and isinstance(most, float) and found > _FULL * most
        rows.append(_marginal_kl(known, evaluation.get("mutual_information_n"), full))
    else:
        try:
            told = mutual_information(codes.model, data, n=n, seed=seed)
            full = told.mutual_information > _FULL * told.bound
            rows.append(_marginal_kl(told.marginal_kl, told.n, full))
        except UnsupportedError as error:
            reasons.setdefault(str(error), []).append("marginal KL")
    try:
        match = prior_match(codes.model, data, n=n, permutations=200, seed=seed)
        size = f"; n = {match.n}, {match.permutations} relabellings"
        p = f"p {'=' if match.p_value > 1.5 / match.permutations else '≤'} {match.p_value:.2g}"
        rows.append((
            "Two-sample test", p,
            "The chance of a difference as large (maximum mean discrepancy) if codes and prior were one "
            f"distribution: below {_KNOWN:g} they can be told apart{size}.",
        ))  # fmt: skip
        apart = match.p_value < _KNOWN
        verdict = (
            f"A two-sample test {'tells' if apart else 'cannot tell'} the codes of {match.n} held-out data "
            f"from draws of the prior ({p})"
            + (": samples come from places that differ from where data lie." if apart else ".")
        )
    except (UnsupportedError, ValueError) as error:
        reasons.setdefault(str(error), []).append("two-sample test")
    try:
        parts = total_correlation(codes.model, data, n=min(2000, len(data)), draws=300, seed=seed)
        value = f"{number(parts.total_correlation, parts.total_correlation_se)} ± "
        rows.append((
            "Total correlation", f"{value}{parts.total_correlation_se:.2g} nats",
            "How much the latents depend on each other over the data, which the panels, one latent each, "
            f"cannot show; 0 is independence. {_of_whom(parts)}",
        ))  # fmt: skip
    except UnsupportedError as error:
        reasons.setdefault(str(error), []).append("total correlation")
    said = [f"No {', no '.join(names)}: {reason}." for reason, names in reasons.items()]
    return rows, said, verdict


def _of_whom(parts: Dependence) -> str:
    """In which direction the number of posteriors pulls the total correlation."""
    if parts.n < parts.size:
        return f"From {parts.n} posteriors of {parts.size}, which makes it too low rather than too high."
    return f"Of exactly these {parts.n} data: fewer data make it larger."


def _marginal_kl(value: float, size: Any, full: bool) -> tuple[str, ...]:
    count = f" N = {size}." if isinstance(size, int) else ""
    most = "at most " if full else ""
    return (
        "Marginal KL", f"{most}{number(value)} nats",
        "How far all codes together are from the prior, 0 if they are distributed like it: the rate less the "
        "information about which datum it was, of which N data can show no more than ln N: what is beyond "
        f"that counts as distance.{count}",
    )  # fmt: skip


@torch.no_grad()
def code_shares(codes: Codes) -> list[tuple[str, Array, float]]:
    """Of every discrete latent: name, how often each code is used, most used first, and perplexity."""
    found = []
    for name, columns in columns_of(codes.shapes).items():
        if name not in codes.discrete:
            continue
        values = codes.means[:, columns.start : columns.stop]
        levels = int(codes.model.get_submodule(f"posteriors.{codes.model.names.index(name)}").codes)  # type: ignore[arg-type]  # nn.Module
        counts = torch.bincount(values.long().flatten().cpu(), minlength=levels).double()
        shares = (counts / counts.sum()).sort(descending=True).values.numpy()
        found.append((name, shares, float(perplexity(values.long().cpu(), levels))))
    return found


def code_use(codes: Codes, held: str) -> Figure:
    """How often each code of a codebook is used."""
    every = code_shares(codes)
    pictures, said = [], []
    for name, shares, spread in every:
        used = int((shares > 0).sum())

        def paint(ax: Axes, shares: Array = shares) -> None:
            ax.stairs(100 * shares, np.arange(len(shares) + 1) + 0.5, fill=True, color=DATA, alpha=0.75)
            ax.axhline(100 / len(shares), color=MODEL, linewidth=1.4, linestyle=(0, (4, 2)))
            ax.set_xlabel("codes, most used first")
            plain_ticks(ax.xaxis, 6, whole=True)
            plain_ticks(ax.yaxis, 4)

        alt = (
            f"Shares of the {len(shares)} codes of {name}, from {100 * shares[0]:.2g} % downwards; {used} "
            f"occur, perplexity {spread:.1f}."
        )
        label = f"{name}: share of every code, %"
        pictures.append(draw(f"codes-{name}", alt, paint, size=(4.3, 2.2), label=label))
        said.append(f"{name}: {used} of {len(shares)} codes occur, as many as {spread:.1f} used alike.")
    return Figure(
        key="prior",
        title="How often each code is used",
        how="A codebook earns its size where all codes are used alike, at the dashed line; codes at the "
        "right end that never occur could be left away.",
        pictures=tuple(pictures),
        keys=(Key(f"codes of {held} data", "data"), Key("uniform prior", "model", dashed=True)),
        caption=f"All positions of {len(codes.means)} {held} data.",
        found=" ".join(said),
    )
