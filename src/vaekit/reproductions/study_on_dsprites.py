"""Seeds and strengths matter more than the method: the study of Locatello et al., reduced, on dSprites."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from vaekit.reproductions.outcome import Check, Figure, Outcome, Reproduction, Say
from vaekit.reproductions.training import over_seeds
from vaekit.studies import Study, points, rows, run
from vaekit.studies.algebra import Points, product, sweep
from vaekit.studies.queue import Progress
from vaekit.studies.reading import scores_of
from vaekit.studies.statistics import numbers, rank_correlation, spread_of, strength, strength_of
from vaekit.studies.table import Row

FILE = "locatello2019_small"
BANDS = {
    "mean/beta_vae": (0.75, 0.90),
    "mean/factor_vae": (0.60, 0.80),
    "mean/mig": (0.05, 0.35),
    "mean/modularity": (0.75, 0.92),
    "mean/sap": (0.01, 0.08),
}
"""Where medians over seeds of models of the whole study lie, by published tables and figures."""
CORRELATION = "gaussian_total_correlation"
INDEPENDENT = ("beta-VAE", "FactorVAE", "DIP-VAE-II", "beta-TCVAE")
"""Methods whose strength presses the dependence of drawn codes."""


def study(full: bool) -> Study:
    """The reduced study that ships; with all strengths, 20,000 steps and five seeds in the long version."""
    said = points(FILE)
    if full:
        said = _longer(said)
    return Study.of(said, scores_of(FILE), title="The study of Locatello et al., reduced")


def _longer(said: Points) -> Points:
    """Each method with six strengths: those of the study, as its own file has them."""
    whole = [point for point in points("locatello2019") if point["data.name"] == "dsprites"]
    grids: dict[str, dict[float, None]] = {}
    names = {"beta-VAE": "beta", "FactorVAE": "gamma", "DIP-VAE-I": "lambda_od", "DIP-VAE-II": "lambda_od",
             "beta-TCVAE": "beta", "AnnealedVAE": "capacity"}  # fmt: skip
    for point in whole:
        name = names[point["method"]]
        grids.setdefault(point["method"], {})[point[f"arguments.{name}"]] = None
    found: Points = []
    for method, name in names.items():
        base = next(dict(point) for point in said if point["method"] == method)
        for path in ("seed", f"arguments.{name}"):
            del base[path]
        base["training.steps"] = 20_000
        if "arguments.ramp" in base:
            base["arguments.ramp"] = 6667
        found += product([base], sweep({f"arguments.{name}": list(grids[method]), "seed": list(range(5))}))
    return found


def outcome(table: Sequence[Row], budget: str) -> Outcome:
    """Claim by claim, from the table of the study.

    Args:
        table: its rows, all finished.
        budget: in words.
    """
    of: dict[str, list[Row]] = {}
    for row in table:
        of.setdefault(row["method"], []).append(row)
    found = [_spread(table), _overlap(of), _dependence(of), _bands(of)]
    mig, factor = numbers(table, "mean/mig"), numbers(table, "mean/factor_vae")
    agreement = Figure("rank correlation of MIG and the FactorVAE score", rank_correlation(mig, factor))
    return Outcome(
        [figure for figures, _ in found for figure in figures] + [agreement],
        [check for _, checks in found for check in checks],
        sorted({row["seed"] for row in table}),
        "generated dSprites, the whole grid of 737,280 images; scores by the preset locatello2019",
        budget,
        "The bands are those of convolutional models trained for 300,000 steps; these are trained for a "
        "small part of it. Ranges are over strengths and seeds. DCI is not measured: its trees take about "
        "as long as the training.",
    )


Part = tuple[list[Figure], list[Check]]


def _spread(table: Sequence[Row]) -> Part:
    figures, checks = [], []
    for name in BANDS:
        found = spread_of(table, name)
        if found is None:
            raise RuntimeError(f"fewer than two runs have {name}")
        parts = f"strengths {found.strengths:.2f}, seeds {found.seeds:.2f}"
        chance = (found.methods_count - 1) / (found.runs - 1)
        beside = f"{chance:.2f} by chance, where methods do not differ"
        figures.append(Figure(f"{name}: share of the variance between methods", found.methods, parts, beside))
        checks.append(Check(f"{name}: methods explain less than half of the variance", found.methods < 0.5))
    return figures, checks


def _overlap(of: Mapping[str, Sequence[Row]]) -> Part:
    figures, checks = [], []
    for name in ("mean/factor_vae", "mean/mig"):
        order = sorted(of, key=lambda method: _median(numbers(of[method], name)))
        best, worst = max(numbers(of[order[0]], name)), min(numbers(of[order[-1]], name))
        what = f"{name}: best run of {order[0]}, whose median is the lowest"
        beside = f"worst run of {order[-1]}, whose median is the highest: {worst:.3g}"
        figures.append(Figure(what, best, "", beside))
        said = f"{name}: the best run of the method with the lowest median beats the worst of the highest"
        checks.append(Check(said, best > worst))
    return figures, checks


def _dependence(of: Mapping[str, Sequence[Row]]) -> Part:
    figures, falls, above = [], [], []
    for method in INDEPENDENT:
        strengths = strength_of(of[method])
        steps = sorted({s for row in of[method] if (s := strength(row, strengths)) is not None})
        weak, strong = (
            [row for row in of[method] if strength(row, strengths) == step] for step in (steps[0], steps[-1])
        )
        draws, means = (
            [_median(numbers(rows_, f"{kind}/{CORRELATION}")) for rows_ in (weak, strong)]
            for kind in ("sampled", "mean")
        )
        beside = f"weakest {draws[0]:.3g}; of means {means[0]:.3g} and {means[1]:.3g}"
        what = f"{method}: Gaussian total correlation of drawn codes at the strongest, nats"
        figures.append(Figure(what, draws[1], "", beside))
        falls.append(draws[1] < draws[0])
        above.append(means[1] > draws[1])
    each = ", ".join(INDEPENDENT)
    fall = f"the total correlation of drawn codes falls from weakest to strongest (medians): {each}"
    gap = f"at the strongest, that of means is above that of draws (medians): {each}"
    return figures, [Check(fall, all(falls)), Check(gap, all(above))]


def _bands(of: Mapping[str, Sequence[Row]]) -> Part:
    figures, checks = [], []
    for name, (low, high) in BANDS.items():
        values = {method: numbers(mine, name) for method, mine in of.items()}
        figures += [over_seeds(f"{method}: {name}", mine) for method, mine in values.items()]
        middle = _median([_median(mine) for mine in values.values()])
        said = f"{name}: the median of the methods' medians is in {low:.2f} to {high:.2f}"
        checks.append(Check(said, low <= middle <= high))
    return figures, checks


def _median(values: Sequence[float]) -> float:
    """NaN of nothing, which no check takes for more or less than anything."""
    return statistics.median(values) if values else math.nan


def carried_out(chosen: Study, say: Say) -> list[Row]:
    """The table of a study, run in a folder that is removed afterwards."""
    said = 0

    def show(at: Progress) -> None:
        nonlocal said
        if 10 * at.done // at.total > said:
            said = 10 * at.done // at.total
            say(f"{at.done} of {at.total} runs, {at.rate or 0:.3f} a second")

    with tempfile.TemporaryDirectory() as place:
        run(chosen, Path(place) / "study", show=show)
        table = rows(chosen, Path(place) / "study")
    for row in table:
        if row["status"] != "finished":
            raise RuntimeError(f"{row['method']}, seed {row['seed']}, failed: {row['error']}")
    return table


def experiment(full: bool, say: Say) -> Outcome:
    """The reduced study, through the engine that runs every study."""
    chosen = study(full)
    table = carried_out(chosen, say)
    spent = sum(row["seconds"] for row in table)
    steps = chosen.calls[0].training["steps"]
    return outcome(
        table,
        f"{len(table)} runs of {steps:,} steps of 64, MLP 128-128 (critic 256-256-256), 10 latents, "
        f"Adam 1e-3; {spent / 60:.0f} minutes of one core in all",
    )


reproduction = Reproduction(
    claim="Over methods, strengths and seeds, the seed and the strength of the regulariser decide more of a "
    "disentanglement score than the choice of the method.",
    source="F. Locatello, S. Bauer, M. Lucic, G. Raetsch, S. Gelly, B. Schoelkopf, O. Bachem, Challenging "
    "Common Assumptions in the Unsupervised Learning of Disentangled Representations, ICML 2019, arXiv "
    "1811.12359, sections 5.1 to 5.3",
    recipes=("beta_vae", "factor_vae", "dip_vae", "beta_tcvae", "annealed_vae"),
    run=experiment,
)
