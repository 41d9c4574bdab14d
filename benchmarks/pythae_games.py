"""Section `pythae-games`: games and coupled systems beside Pythae, from the same weights and data.

Of every system: the gradient that reaches each network in one step of either library, beside the one that the
losses of the paper give by hand on the same weights, data and noise (cosine, and ratio of lengths: 1 and 1
where it is right; the weights of the losses are each library's own); the time of a training step; and the
squared error of held-out reconstructions after the same number of epochs.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.timing import Row, row_of
from benchmarks.trainer import pictures
from benchmarks.versus_pythae import PYTHAE, Peer, UnavailableError, environment

SECTION = "pythae-games"
SYSTEMS = ("factor_vae", "vae_gan", "aae", "wae_mmd", "vamp", "vq_vae")
SIZES: dict[str, Any] = {
    "latents": 16, "hidden": [256, 256], "rate": 3e-4, "critic": [1000, 1000, 1000, 1000, 1000],
    "judge": [256, 256], "gamma": 6.0, "lambda": 200.0, "components": 50, "codes": 64,
}  # fmt: skip
TRAIN, VALID, BATCH = 6_400, 1_280, 64
REMARKS = {
    "factor_vae": "; Pythae's VAE learns from half of every batch, vaekit's from all of it",
    "vae_gan": "; Pythae's decoder has half the weight on either loss",
    "aae": "; Pythae makes one move where vaekit alternates three",
}
"""What a reader of the times and errors has to know."""


def layers(*widths: int) -> list[np.ndarray]:
    """Weights and biases of fully connected layers, as torch starts them."""
    made = [nn.Linear(n, m) for n, m in pairwise(widths)]
    return [part.detach().numpy() for layer in made for part in layer.parameters()]


def write_data(path: Path) -> str:
    """What both sides read; returns where the pictures come from."""
    x, source = pictures()
    arrays: dict[str, Any] = {"train": x[:TRAIN].numpy(), "valid": x[-VALID:].numpy()}
    arrays["sizes"] = json.dumps(SIZES)
    torch.manual_seed(0)
    n, hidden, pixels = SIZES["latents"], SIZES["hidden"], x[0].numel()
    for name in SYSTEMS:
        head = n if name in ("aae", "wae_mmd", "vq_vae") else 2 * n
        found = {"encoder": layers(pixels, *hidden, head), "decoder": layers(n, *hidden[::-1], pixels)}
        if name == "factor_vae":
            found["critic"] = layers(n, *SIZES["critic"], 2)
        if name == "vae_gan":
            found["critic"] = layers(pixels, *hidden, 1)
        if name == "aae":
            found["critic"] = layers(n, *SIZES["judge"], 1)
        if name == "vamp":
            found["pseudo-inputs"] = [0.1 + 0.8 * torch.rand(SIZES["components"], *x.shape[1:]).numpy()]
        if name == "vq_vae":
            found["codebook"] = [0.1 * torch.randn(SIZES["codes"], n).numpy()]
        for network, parts in found.items():
            arrays |= {f"{name}.{network}.{i}": part for i, part in enumerate(parts)}
    np.savez(path, **arrays)
    return source


def run(
    rounds: int,
    threads: int,
    python: Path | None = None,
    cache: Path | None = None,
    names: Iterable[str] = (),
    epochs: int = 2,
) -> Iterator[Row]:
    """Rows of gradients, then of trainings, of all systems or of those named."""
    try:
        where = python or environment(cache)
        with ExitStack() as stack:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data.npz"
            source = write_data(data)
            ours = stack.enter_context(Peer(sys.executable, "games_vaekit.py", data, threads))
            theirs = stack.enter_context(Peer(str(where), "games_pythae.py", data, threads))
            for name in names or SYSTEMS:
                for label, peer in (("vaekit", ours), (f"Pythae {theirs.version}", theirs)):
                    yield gradient_row(name, label, peer)
            for name in names or SYSTEMS:
                yield training_row(name, ours, theirs, rounds, epochs, source)
    except (UnavailableError, OSError) as error:
        yield Row(SECTION, f"Pythae {PYTHAE}", note=f"unavailable: {error}")


def gradient_row(name: str, label: str, peer: Peer) -> Row:
    """What reaches each network, beside what should."""
    found = peer.do(do="gradients", system=name, batch=BATCH)
    parts = (f"{net} {way['cosine']:+.4f} x {way['length']:.4g}" for net, way in found.items())
    return Row(SECTION, f"{name}, gradient in {label} against the paper's", note=", ".join(parts))


def training_row(name: str, ours: Peer, theirs: Peer, rounds: int, epochs: int, source: str) -> Row:
    """Time of a step, and what the same number of epochs ends in."""
    times: tuple[list[float], list[float]] = ([], [])
    errors = [0.0, 0.0]
    for number in range(rounds + 1):
        order = ((0, ours), (1, theirs)) if number % 2 else ((1, theirs), (0, ours))
        for side, peer in order:
            found = peer.do(do="fit", system=name, epochs=epochs)
            errors[side] = found["error"]
            if number:  # the first round warms up
                times[side].append(found["seconds"] / (epochs * TRAIN / 128))
    note = (
        f"Pythae with batches by index; {source}, {epochs} epochs, squared error of held-out reconstructions "
        f"{errors[0]:.2f} and {errors[1]:.2f}{REMARKS.get(name, '')}"
    )
    return row_of(
        SECTION, f"{name}, training", ("vaekit", times[0]), ("pythae", times[1]), most=1.0, note=note
    )
