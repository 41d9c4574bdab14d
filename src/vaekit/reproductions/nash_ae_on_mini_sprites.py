"""NashAE on a small grid of pictures: latents that the others do not predict, and fewer of them."""

from __future__ import annotations

from statistics import mean
from typing import Any

from vaekit.metrics import reconstruction
from vaekit.reproductions.outcome import Check, Figure, Outcome, Reproduction, Say
from vaekit.reproductions.probes import codes_of, predicted
from vaekit.reproductions.training import fit, over_seeds
from vaekit.worlds import mini_sprites

LATENTS, SHARE = 8, 0.05


def run(full: bool, say: Say) -> Outcome:
    """The same autoencoder with the game and without it, for three seeds."""
    seeds = [0, 1, 2]
    steps = 20_000 if full else 2000
    splits = mini_sprites().splits()
    count = len(splits.train)
    settings: dict[str, Any] = {"steps": steps, "batch_size": 100, "say": say, "architecture": "mlp"}
    settings |= {"latents": LATENTS, "hidden": (200, 200)}
    used: dict[float, list[float]] = {0.0: [], SHARE: []}
    linear: dict[float, list[float]] = {0.0: [], SHARE: []}
    fresh: dict[float, list[float]] = {0.0: [], SHARE: []}
    errors: dict[float, list[float]] = {0.0: [], SHARE: []}
    for seed in seeds:
        for share in used:
            model = fit("nash_ae", splits, seed=seed, lambda_covariance=share, **settings)
            codes = codes_of(model, splits.train, count)
            found = predicted(codes, codes)
            values = (
                float(found.used),
                found.linear,
                found.network,
                reconstruction(model, splits.train).squared_error,
            )
            for kept, value in zip((used, linear, fresh, errors), values, strict=True):
                kept[share].append(value)
            say(f"lambda {share} seed {seed}: {found}, squared error {values[-1]:.4g}")
    figures: list[Figure] = []
    for share, name in ((0.0, "without the game"), (SHARE, "NashAE")):
        figures += [
            over_seeds(f"used latents of {LATENTS} (range of codes above 0.2), {name}", used[share]),
            over_seeds(f"R^2 of a used latent from the others, least squares, {name}", linear[share]),
            over_seeds(f"the same, fresh networks, {name}", fresh[share]),
            over_seeds(f"squared error of the reconstruction, per pixel, {name}", errors[share]),
        ]
    worst = max(b / a for a, b in zip(errors[0.0], errors[SHARE], strict=True))
    checks = [
        Check("without the game all latents are used, in every seed", min(used[0.0]) == LATENTS),
        Check("and are predicted with R^2 of 0.5 or more by least squares (mean)", mean(linear[0.0]) >= 0.5),
        Check("NashAE uses 3 to 5 latents, in every seed", all(3 <= n <= 5 for n in used[SHARE])),
        Check("they are predicted with R^2 of at most 0.05 (mean)", mean(linear[SHARE]) <= 0.05),
        Check("the squared error is at most 3 times that without the game, in every seed", worst <= 3),
    ]
    return Outcome(
        figures, checks, seeds, f"MINI_SPRITES, all {count:,} pictures",
        f"MLP 256-200-200-{LATENTS} and its mirror, lambda {SHARE}, {steps:,} steps of 100, 5 moves of the "
        "regressors in each",
        "Codes are judged on the pictures that they were trained on: there are no others. The bars are by "
        "least squares; what networks of our own can still predict stands beside.",
    )  # fmt: skip


reproduction = Reproduction(
    claim="The game of NashAE switches latents off that are not needed, and leaves those that remain "
    "linearly unpredictable from each other.",
    source="E. Yeats, F. Liu, D. Womble, H. Li, NashAE: Disentangling Representations through Adversarial "
    "Covariance Minimization, ECCV 2022, arXiv 2209.10677, section 3",
    recipes=("nash_ae",),
    run=run,
)
