"""VAE/GAN against the VAE on real pictures: sharpness and likeness of samples and reconstructions."""

from __future__ import annotations

from typing import Any

import torch

from vaekit.data import load
from vaekit.models import Model
from vaekit.reproductions.adversarial import Likeness, likeness, play, side_by_side
from vaekit.reproductions.features import classifier
from vaekit.reproductions.outcome import Check, Figure, Outcome, Reproduction, Say
from vaekit.reproductions.training import fit
from vaekit.runs import build_system, find_recipe

NETWORKS: dict[str, Any] = {"latents": 16, "architecture": "mlp", "hidden": (400,)}
GAME: dict[str, Any] = {**NETWORKS, "learning_rate": 5e-4}


def run(full: bool, say: Say) -> Outcome:
    """A VAE of unit variance, one that learns its variance, and VAE/GAN, in the same networks."""
    seed, steps = 0, 60_000 if full else 10_000
    splits = load("fashion_mnist", binarise="none")
    network = classifier(splits, say, seed=seed)
    settings: dict[str, Any] = {"seed": seed, "steps": steps, "batch_size": 64}
    models: dict[str, Model] = {
        name: fit("vae", splits, say=say, device="cpu", likelihood=likelihood, **settings, **NETWORKS)
        for name, likelihood in (
            ("VAE, unit variance", "gaussian_fixed"),
            ("VAE, learned variance", "gaussian"),
        )
    }
    torch.manual_seed(seed)
    system = build_system(find_recipe("vae_gan"), splits.spec, GAME, "cpu")
    models["VAE/GAN"], accuracy = play(system, splits, name="vae_gan", seed=seed, steps=steps, say=say)
    found: dict[str, Likeness] = {}
    for name, model in models.items():
        found[name] = likeness(model.eval(), network, splits, seed)
        say(f"{name}: {found[name]}")
    unit, learned, game = found.values()
    figures = []
    for name, value in found.items():
        floor = f"floor {value.floor:.2f}"
        figures += [
            Figure(f"sharpness of samples over that of data, {name}", value.sharp),
            Figure(f"sharpness of reconstructions, {name}", value.sharp_rebuilt),
            Figure(f"Frechet distance of samples, {name}", value.distance, beside=floor),
            Figure(f"Frechet distance of reconstructions, {name}", value.distance_rebuilt, beside=floor),
        ]
    figures.append(Figure("accuracy of the discriminator, second half", accuracy))
    nearest = min(unit.distance, learned.distance)
    checks = [
        Check("samples of VAE/GAN are as sharp as data, 0.8 to 1.2", 0.8 <= game.sharp <= 1.2),
        Check(
            "they are sharper than those of the VAE with unit variance, which are below 0.8",
            unit.sharp < min(0.8, game.sharp),
        ),
        Check("their Frechet distance is at most 0.8 of that of either VAE", game.distance <= 0.8 * nearest),
        Check(
            "reconstructions of VAE/GAN are nearer the data than those of the VAE with unit variance",
            game.distance_rebuilt < unit.distance_rebuilt,
        ),
    ]
    return Outcome(
        figures, checks, [seed], "Fashion-MNIST, grey levels; 10,000 test images",
        f"one hidden layer of 400 in every network, 16 latents, {steps:,} steps of 64; VAE: Adam 1e-3; "
        "VAE/GAN: RMSProp 5e-4, features of the discriminator's hidden layer, gamma 1",
        "The distance is in the features of a classifier trained here, not the FID; 2,500 pictures against "
        "2,500 others. In the picture, row by row: test images; reconstructions of the VAE with unit "
        "variance, with learned variance, of VAE/GAN; samples of the three.",
        side_by_side(list(models.values()), splits, seed),
    )  # fmt: skip


reproduction = Reproduction(
    claim="With a discriminator's features in place of pixels, samples and reconstructions are as sharp as "
    "the data and nearer to them than those of a VAE in the same networks.",
    source="A. B. L. Larsen, S. K. Sonderby, H. Larochelle, O. Winther, Autoencoding beyond pixels using a "
    "learned similarity metric, ICML 2016, arXiv 1512.09300",
    recipes=("vae_gan",),
    run=run,
)
