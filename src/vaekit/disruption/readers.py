"""What reads factors off pictures: moments of a bright object, or a network trained on ground truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vaekit.checks import whole
from vaekit.data.batch import Data
from vaekit.errors import UnsupportedError
from vaekit.randomness import own_stream

Read = Callable[[Tensor], Mapping[str, Tensor]]
"""Pictures (N, *event) -> factor name -> numbers (N,), or chances of classes (N, C)."""

NOMINAL = ("shape", "object", "object_shape", "object_color", "category", "instance")
"""Factors whose values have no order, by the names that they have in the usual data sets."""

FEATURES = 64
_AT_ONCE = 500


def moments(x: Tensor) -> dict[str, Tensor]:
    """Of one bright object on a dark ground: `scale` = sqrt(mass), and the centre of mass `x` and `y`.

    Mass m = sum of all pixels, centre = sum of (position * pixel) / m, positions across (x) and down (y) in
    0..1. The centre moves with the object, and the root of the mass grows with its size, whatever it looks
    like. A picture without mass has its centre in the middle.

    Args:
        x: (N, channels, height, width), values of at least 0.
    """
    if x.dim() != 4:
        raise ValueError(f"`x` has shape {tuple(x.shape)}; expected pictures, (N, channels, height, width)")
    pixels = x.double().sum(1)
    mass = pixels.sum((1, 2))
    places = [(torch.arange(n, device=x.device, dtype=torch.float64) + 0.5) / n for n in pixels.shape[1:]]
    found = {"scale": mass.clamp_min(0).sqrt()}
    for name, axis, place in (("x", 2, places[1]), ("y", 1, places[0])):
        moment = (pixels.sum(3 - axis) * place).sum(1)
        found[name] = torch.where(mass > 0, moment / mass, 0.5)
    return found


def reading_layers(shape: tuple[int, ...]) -> nn.Sequential:
    """Layers from data to 64 features: two convolutions for pictures of 8x8 or more, else a hidden layer."""
    if len(shape) != 3 or min(shape[1:]) < 8:
        width = math.prod(shape)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(width, 256), nn.ReLU(), nn.Linear(256, FEATURES), nn.ReLU()
        )
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * (height // 4) * (width // 4), FEATURES), nn.ReLU(),
    )  # fmt: skip


@final
class FactorReader(nn.Module):
    """A classifier of every factor on shared features.

    Read off a picture is the expected value of a factor, in 0..1 from its first value to its last, or the
    chances of its values where they have no order.

    Args:
        shape: of a datum.
        factors: name -> number of values; those with a single one are left out.
        nominal: names of the factors without order.

    Raises:
        ValueError: if no factor varies.
    """

    def __init__(
        self, shape: tuple[int, ...], factors: Mapping[str, int], nominal: Collection[str] = NOMINAL
    ) -> None:
        super().__init__()
        self.sizes = {name: size for name, size in factors.items() if size > 1}
        if not self.sizes:
            raise ValueError(f"`factors` is {dict(factors)}; expected one or more with several values")
        self.nominal = set(nominal)
        self.columns = [k for k, size in enumerate(factors.values()) if size > 1]
        self.body = reading_layers(shape)
        self.head = nn.Linear(FEATURES, sum(self.sizes.values()))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Logits of every factor, (N, its values) each."""
        return list(self.head(self.body(x)).split(list(self.sizes.values()), 1))

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """(N, 64)."""
        return torch.cat([self.body(part) for part in x.split(_AT_ONCE)])

    @torch.no_grad()
    def read(self, x: Tensor) -> dict[str, Tensor]:
        """Factor -> numbers (N,), or chances (N, values)."""
        parts = [[logits.softmax(1) for logits in self(part)] for part in x.split(_AT_ONCE)]
        found = {}
        for name, pieces in zip(self.sizes, zip(*parts, strict=True), strict=True):
            chances = torch.cat(pieces)
            grid = torch.linspace(0, 1, chances.shape[1], dtype=chances.dtype, device=chances.device)
            found[name] = chances if name in self.nominal else chances @ grid
        return found

    @torch.no_grad()
    def accuracy(self, x: Tensor, factors: Tensor) -> dict[str, float]:
        """Factor -> share of data whose most probable value is theirs; factors (N, F) in the order given."""
        guesses = [[logits.argmax(1) for logits in self(part)] for part in x.split(_AT_ONCE)]
        columns = zip(self.sizes, self.columns, zip(*guesses, strict=True), strict=True)
        return {name: float((torch.cat(g) == factors[:, k]).double().mean()) for name, k, g in columns}


def train_reader(
    data: Data,
    *,
    seed: int = 0,
    steps: int = 2000,
    batch_size: int = 100,
    nominal: Collection[str] = NOMINAL,
) -> FactorReader:
    """A reader that was trained on data with their factors, in eval mode, frozen, on the CPU.

    Args:
        data: with `factors` in their spec and their batches.
        seed: of weights and order.
        steps: of Adam, at 1e-3 falling to nothing.
        batch_size: data per step.
        nominal: names of the factors without order.

    Raises:
        UnsupportedError: if the data have no factors.
    """
    spec = data.spec
    if spec.factors is None:
        raise UnsupportedError(
            f"{spec.name!r} comes without known factors, so that nothing can be learnt of them: take data "
            "with ground truth, such as dsprites"
        )
    whole("steps", steps)
    with own_stream("cpu", seed):
        reader = FactorReader(spec.shape, spec.factors, nominal)
        optimizer = torch.optim.Adam(reader.parameters(), lr=1e-3)
        done = epoch = 0
        while done < steps:
            for batch in data.batches(batch_size, seed=seed, epoch=epoch):
                for group in optimizer.param_groups:
                    group["lr"] = 1e-3 * (1 - done / steps)
                truth = batch["factors"][:, reader.columns].unbind(1)
                losses = [cross_entropy(a, b) for a, b in zip(reader(batch["x"]), truth, strict=True)]
                optimizer.zero_grad()
                torch.stack(losses).sum().backward()
                optimizer.step()
                done += 1
                if done == steps:
                    break
            epoch += 1
    return reader.eval().requires_grad_(False)
