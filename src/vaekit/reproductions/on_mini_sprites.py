"""What experiments on MINI_SPRITES share: the data, one network, and what is measured of a trained model."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Batch, Splits
from vaekit.disentanglement import mig
from vaekit.reproductions.outcome import Say
from vaekit.reproductions.training import fit_system
from vaekit.runs import build_system, find_recipe
from vaekit.system import System
from vaekit.terms import Rate
from vaekit.worlds import mini_sprites

BATCH = 64
NETWORK: dict[str, Any] = {
    "latents": 6, "architecture": "mlp", "hidden": (200, 200), "learning_rate": 1e-3,
}  # fmt: skip
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


def crossed_splits() -> Splits:
    """The whole grid, its grey levels taken as probabilities: the likelihood is their cross-entropy.

    A Bernoulli likelihood of grey levels is no density; it is what the studies of disentanglement train with.
    """
    grid = mini_sprites().data
    everything = grid.take(range(len(grid)))
    data = ArrayData(replace(grid.spec, kind="binary"), everything["x"], factors=everything["factors"])
    return Splits(data, data.subset(range(BATCH)), data)


def train(recipe: str, *, seed: int, steps: int, say: Say, **arguments: Any) -> Measured:
    """Train a recipe with the common network, and measure it on the whole grid."""
    started = time.monotonic()
    splits = crossed_splits()
    torch.manual_seed(seed)
    place = "cuda" if torch.cuda.is_available() else "cpu"
    system = build_system(find_recipe(recipe), splits.spec, NETWORK | arguments, place)
    loop = fit_system(system, splits, seed=seed, steps=steps, batch_size=BATCH)
    late = loop.rows[-max(1, len(loop.rows) // 10) :]
    batch = {name: value.to(place) for name, value in splits.test.take(range(len(splits.test))).items()}
    means = {name: sum(row[f"train/{name}"] for row in late) / len(late) for name in ("rate", "distortion")}
    excess, rate, codes = look(system, batch)
    gap = float(mig(codes, batch["factors"].cpu()))
    found = Measured(system, excess, rate, means["rate"], means["distortion"], gap)
    words = ", ".join(f"{name}={value}" for name, value in arguments.items())
    say(
        f"{recipe}({words}) seed {seed}: {time.monotonic() - started:.0f} s, excess {excess:.2f}, rate "
        f"{rate:.2f} (late {found.late:.2f}), MIG {found.mig:.3f}"
    )
    return found


@torch.no_grad()
def look(system: System, batch: Batch) -> tuple[float, float, Tensor]:
    """Excess of the reconstruction, rate, and means of q(z|x), (N, latents)."""
    x = batch["x"]
    trace = system.model(batch)
    means = trace.latents["z"].q.mean
    entropy = -(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).flatten(1).sum(1)
    excess = -system.model.decode({"z": means}).log_prob(x) - entropy
    return float(excess.mean()), float(Rate()(trace).mean()), means.cpu()
