"""NashAE makes latents that cannot be predicted from each other, where a plain autoencoder's can."""

from __future__ import annotations

import statistics
from typing import Any

from vaekit.data import load
from vaekit.metrics import reconstruction
from vaekit.reproductions.outcome import Check, Outcome, Reproduction, Say
from vaekit.reproductions.probes import codes_of, predicted
from vaekit.reproductions.training import fit, over_seeds

MEASURES = {
    "linear": "held-out R^2 of a latent from the others, least squares, mean over used latents",
    "network": "held-out R^2 of a latent from the others, fresh networks, mean over used latents",
    "used": "used latents of 10 (range of codes above 0.2)",
    "error": "mean squared error of the reconstruction, per pixel",
}


def run(full: bool, say: Say) -> Outcome:
    """The same autoencoder with the game and without it."""
    seeds = [0, 1, 2]
    steps, batch, share = (4000, 200, 0.008) if full else (2500, 100, 0.02)
    splits = load("dsprites")
    settings: dict[str, Any] = {"steps": steps, "batch_size": batch, "say": say, "architecture": "mlp"}
    settings |= {"latents": 10, "hidden": (1200, 1200) if full else (256,)}
    weights = {"without the game": 0.0, "NashAE": share}
    found: dict[str, dict[str, list[float]]] = {
        name: {measure: [] for measure in MEASURES} for name in weights
    }
    for seed in seeds:
        for name, weight in weights.items():
            model = fit("nash_ae", splits, seed=seed, lambda_covariance=weight, **settings)
            train, test = codes_of(model, splits.train, 20_000), codes_of(model, splits.test, 10_000)
            result = predicted(train, test)
            values = {
                **result._asdict(),
                "error": reconstruction(model, splits.test, limit=5000).squared_error,
            }
            for measure in MEASURES:
                found[name][measure].append(values[measure])
            say(f"{name} seed {seed}: " + ", ".join(f"{key} {value:.4g}" for key, value in values.items()))
    figures = [
        over_seeds(f"{words}: {name}", found[name][measure])
        for measure, words in MEASURES.items()
        for name in weights
    ]
    medians = {
        name: {measure: statistics.median(values) for measure, values in of.items()}
        for name, of in found.items()
    }
    plain, nash = medians["without the game"], medians["NashAE"]
    checks = [
        Check(
            "without the game a latent is predicted with R^2 of at least 0.3 by fresh networks (median)",
            plain["network"] >= 0.3,
        ),
        Check("NashAE: at most a third of that R^2 (medians)", nash["network"] <= plain["network"] / 3),
        Check(
            "NashAE: at most a third of the R^2 by least squares too (medians)",
            nash["linear"] <= plain["linear"] / 3,
        ),
        Check("NashAE still uses 3 latents or more (median)", nash["used"] >= 3),
        Check(
            "its squared error is at most 3 times that without the game (medians)",
            nash["error"] <= 3 * plain["error"],
        ),
    ]
    widths = "1200-1200" if full else "256"
    return Outcome(
        figures, checks, seeds, "generated dSprites, the whole grid for training, 10,000 held-out codes",
        f"MLP 4096-{widths}-10 and its mirror, lambda {share}, {steps} steps of {batch}, 5 moves of the "
        "regressors in each; fresh networks 64-64 on 20,000 codes",
    )  # fmt: skip


reproduction = Reproduction(
    claim="Regressors that predict each latent from the others, and an encoder that makes their covariances "
    "small, leave latents that do not predict each other, in an autoencoder without prior or noise.",
    source="E. Yeats, F. Liu, D. Womble, H. Li, NashAE: Disentangling Representations through Adversarial "
    "Covariance Minimization, ECCV 2022, arXiv 2209.10677, section 3",
    recipes=("nash_ae",),
    run=run,
)
