"""ControlVAE and GCVAE bring the rate to their set points; GCVAE's controllers need their memory for it."""

from __future__ import annotations

import statistics
from typing import Any

from vaekit.reproductions.on_mini_sprites import BUDGET, DATA, MEASURE, Measured, train
from vaekit.reproductions.outcome import Check, Figure, Outcome, Reproduction, Say
from vaekit.reproductions.training import over_seeds
from vaekit.schedules import value_of

CAPACITY, HIGHER = 4.0, 8.0
GAINS: dict[str, float] = {"kp": 0.01, "ki": 0.001}
SHORT = 3000
SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "ControlVAE": ("control_vae", {"capacity": CAPACITY, "start": None, **GAINS}),
    "beta-VAE": ("beta_vae", {"beta": 4.0}),
    "GCVAE": ("gcvae", {"alpha": 0.0, "gamma": 1.0, "rate_target": HIGHER, **GAINS}),
    "GCVAE without memory": (
        "gcvae", {"alpha": 0.0, "gamma": 1.0, "rate_target": HIGHER, **GAINS, "stateful": False},
    ),
}  # fmt: skip


def weight_of_rate(measured: Measured) -> float:
    """The last weight of the rate."""
    return float(value_of(measured.system.procedure.players[0].objective.terms["rate"][0]))


def run(full: bool, say: Say) -> Outcome:
    """Four systems with one network; rates over the last tenth of the steps."""
    seeds = [0, 1, 2, 3, 4] if full else [0, 1, 2]
    steps = 4000
    found: dict[str, list[Measured]] = {name: [] for name in SYSTEMS}
    for seed in seeds:
        for name, (recipe, arguments) in SYSTEMS.items():
            made = train(recipe, seed=seed, steps=SHORT if "GCVAE" in name else steps, say=say, **arguments)
            found[name].append(made)
    figures: list[Figure] = []
    targets = {"ControlVAE": f"{CAPACITY:g}", "GCVAE": f"{HIGHER:g}", "GCVAE without memory": f"{HIGHER:g}"}
    for name, of in found.items():
        beside = f"set point {targets[name]}" if name in targets else "has no set point"
        figures += [
            over_seeds(f"{name}: rate, nats", [one.late for one in of], beside),
            over_seeds(f"{name}: excess reconstruction, nats", [one.excess for one in of]),
            over_seeds(f"{name}: last weight of the rate", [weight_of_rate(one) for one in of]),
            over_seeds(f"{name}: MIG", [one.mig for one in of]),
        ]
    control, beta, kept, memoryless = found.values()
    misses = [abs(one.late - CAPACITY) for one in control]
    near, far = ([abs(one.late - HIGHER) for one in of] for of in (kept, memoryless))
    spent = (statistics.median(one.excess for one in of) for of in (control, beta))
    checks = [
        Check("ControlVAE: the rate is within 0.2 nats of 4, every seed", max(misses) <= 0.2),
        Check(
            "and the excess reconstruction is no more than that of beta-VAE, beta = 4 (medians)",
            next(spent) <= next(spent),
        ),
        Check("GCVAE with memory: the rate is within 0.3 nats of 8, every seed", max(near) <= 0.3),
        Check(
            "GCVAE without memory misses 8 by ten times as much, every seed",
            all(miss >= 10 * close for miss, close in zip(far, near, strict=True)),
        ),
    ]
    return Outcome(
        figures, checks, seeds, DATA,
        f"{BUDGET}: {steps}, GCVAE {SHORT}; kp 0.01, ki 0.001; GCVAE with alpha 0, gamma 1, discrepancy",
        f"{MEASURE} Rates: of training batches, over the last tenth of the steps.",
    )  # fmt: skip


reproduction = Reproduction(
    claim="A controller of its weight holds the rate at a set point, below that of a VAE (ControlVAE) and "
    "above it (GCVAE), which a controller that is made anew at every step does not.",
    source="H. Shao et al., ControlVAE: Controllable Variational Autoencoder, ICML 2020, arXiv 2004.05988, "
    "section 3.2; K. Ezukwoke et al., GCVAE: Generalized-Controllable Variational AutoEncoder, 2022, arXiv "
    "2206.04225",
    recipes=("control_vae", "gcvae"),
    run=run,
)
