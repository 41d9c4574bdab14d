"""Two levels of codes reconstruct better than one with as many bits; the upper one holds what is coarse."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vaekit.data.batch import Splits
from vaekit.metrics import code_use
from vaekit.models import Model
from vaekit.reproductions.outcome import Check, Outcome, Reproduction, Say
from vaekit.reproductions.training import fit, over_seeds
from vaekit.terms import Distortion
from vaekit.worlds import sprites16

ONE, TWO = 32, 16
"""Codes of the one level, and of each of two: 16 log2 32 = (16 + 4) log2 16 = 80 bits a picture."""


@torch.no_grad()
def distortion(model: Model, splits: Splits) -> float:
    """-log p(x|z) at the codes of held-out data, nats per datum."""
    return float(Distortion()(model(splits.test.take(range(len(splits.test))))).mean())


def blurred(pictures: Tensor, sigma: float = 1.0) -> Tensor:
    """Gaussian blur of (N, 1, H, W), reflected at the border."""
    reach = math.ceil(3 * sigma)
    places = torch.arange(-reach, reach + 1, dtype=pictures.dtype)
    weights = torch.exp(-0.5 * (places / sigma).square())
    weights = weights / weights.sum()
    padded = functional.pad(pictures, (reach,) * 4, mode="reflect")
    across = functional.conv2d(padded, weights.view(1, 1, 1, -1))
    return functional.conv2d(across, weights.view(1, 1, -1, 1))


@torch.no_grad()
def coarse_share(model: Model, splits: Splits, level: str) -> float:
    """Share of what vanishes with a level that survives a blur: |blur(d)|^2 / |d|^2, d the difference."""
    latents = model(splits.test.take(range(len(splits.test)))).latents
    values = {name: latent.value for name, latent in latents.items()}
    without = {**values, level: torch.zeros_like(values[level])}
    change = model.decode(values).mean - model.decode(without).mean
    return float(blurred(change).square().sum() / change.square().sum())


def run(full: bool, say: Say) -> Outcome:
    """One level of 16 codes against 16 and 4, with as many bits in all."""
    seeds = [0, 1, 2]
    steps = 8000 if full else 2000
    splits = sprites16()
    found: dict[str, list[float]] = {name: [] for name in ("one", "two", "top", "bottom", "perplexity")}
    for seed in seeds:
        settings: dict[str, Any] = {
            "seed": seed, "steps": steps, "batch_size": 100, "say": say, "dims": 16, "hidden": (16, 32),
            "learning_rate": 1e-3,
        }  # fmt: skip
        one = fit("vq_vae", splits, codes=ONE, architecture="conv", **settings)
        two = fit("vq_vae2", splits, codes=TWO, **settings)
        found["one"].append(distortion(one, splits))
        found["two"].append(distortion(two, splits))
        found["top"].append(coarse_share(two, splits, "z2"))
        found["bottom"].append(coarse_share(two, splits, "z1"))
        found["perplexity"].append(min(use.perplexity for use in code_use(two, splits.test).values()))
    better = [b < a for a, b in zip(found["one"], found["two"], strict=True)]
    figures = [
        over_seeds("distortion with one level of 16 codes out of 32, nats", found["one"]),
        over_seeds("distortion with levels of 16 and 4 codes out of 16, nats", found["two"]),
        over_seeds("share of the change that a blur keeps, without the upper level", found["top"]),
        over_seeds("the same without the lower level", found["bottom"]),
        over_seeds(f"smaller perplexity of the two levels, of {TWO}", found["perplexity"]),
    ]
    checks = [
        Check("two levels reconstruct better than one with as many bits, in every seed", all(better)),
        Check(
            "more than 60 % of what vanishes with the upper level survives a blur of one pixel (median)",
            sorted(found["top"])[1] > 0.6,
        ),
        Check(
            "both levels are used: perplexities of at least 0.5 K, in every seed",
            min(found["perplexity"]) >= 0.5 * TWO,
        ),
    ]
    return Outcome(
        figures, checks, seeds, "SPRITES16: 10,000 training and 1,000 test pictures of 16 x 16 binary pixels",
        "convolutional networks of 16 and 32 channels, codes of 16 dimensions, 80 bits a picture, "
        f"{steps} steps of 100, Adam 1e-3",
    )  # fmt: skip


reproduction = Reproduction(
    claim="A hierarchy of codes uses its bits better than one level: the upper level holds what is coarse, "
    "the lower one the detail.",
    source="A. Razavi, A. van den Oord, O. Vinyals, Generating Diverse High-Fidelity Images with VQ-VAE-2, "
    "NeurIPS 2019, arXiv 1906.00446, section 3.1",
    recipes=("vq_vae2", "vq_vae"),
    run=run,
)
