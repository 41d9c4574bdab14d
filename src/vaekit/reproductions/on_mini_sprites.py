"""What experiments on MINI_SPRITES share: the data, one network, and what is measured of a trained model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from vaekit.disentanglement import mig
from vaekit.reproductions.grey_sprites import BATCH, NETWORKS, everything, excess, grey_sprites
from vaekit.reproductions.outcome import Say
from vaekit.reproductions.training import fit_system
from vaekit.runs import build_system, find_recipe
from vaekit.system import System
from vaekit.terms import Rate

NETWORK = NETWORKS | {"learning_rate": 1e-3}
DATA = "MINI_SPRITES: 1,440 grey 16x16 pictures, the whole grid for training and measuring"
BUDGET = "6 latents, MLP 256-200-200, Adam 1e-3, steps of 64"
MEASURE = (
    "Reconstruction: cross-entropy of grey levels, decoded from the mean of q(z|x), less their entropy, so "
    "that 0 is perfect. MIG: means of q(z|x) in 20 equal bins, mean over the four factors."
)


@dataclass(frozen=True)
class Measured:
    """A trained system, and what it came to.

    Args:
        system: with the weights at the end.
        excess: reconstruction less the entropy of the data, nats per datum.
        rate: KL(q(z|x) || p(z)), nats per datum, at the end.
        late: the rate of training batches over the last tenth of the steps.
        distortion: that of training batches over the last tenth of the steps, nats per datum.
        mig: mutual information gap, mean over the factors.
    """

    system: System
    excess: float
    rate: float
    late: float
    distortion: float
    mig: float


def train(recipe: str, *, seed: int, steps: int, say: Say, **arguments: Any) -> Measured:
    """Train a recipe with the common network, and measure it on the whole grid."""
    started = time.monotonic()
    splits = grey_sprites(BATCH)
    torch.manual_seed(seed)
    place = "cuda" if torch.cuda.is_available() else "cpu"
    system = build_system(find_recipe(recipe), splits.spec, NETWORK | arguments, place)
    loop = fit_system(system, splits, seed=seed, steps=steps, batch_size=BATCH)
    late = loop.rows[-max(1, len(loop.rows) // 10) :]
    batch = {name: value.to(place) for name, value in everything(splits).items()}
    means = {name: sum(row[f"train/{name}"] for row in late) / len(late) for name in ("rate", "distortion")}
    with torch.no_grad():
        trace = system.model(batch)
        rate = float(Rate()(trace).mean())
    gap = float(mig(trace.latents["z"].q.mean.cpu(), batch["factors"].cpu()))
    lost = excess(system.model, batch)
    found = Measured(system, lost, rate, means["rate"], means["distortion"], gap)
    words = ", ".join(f"{name}={value}" for name, value in arguments.items())
    say(
        f"{recipe}({words}) seed {seed}: {time.monotonic() - started:.0f} s, excess {lost:.2f}, rate "
        f"{rate:.2f} (late {found.late:.2f}), MIG {found.mig:.3f}"
    )
    return found
