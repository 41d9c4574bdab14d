"""Section `trainer`: `vaekit.trainer.Fit` over a hand-written loop over epochs, on the same data.

Both shuffle, cast, step, and look at the held-out set once per epoch; the trainer also averages its named
values, keeps the best weights and packs its state at the start and the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from math import inf

import torch
from torch import Tensor

from benchmarks.loops import LOOPS
from benchmarks.minimal import crossed, divergence, draw, ends
from benchmarks.step import MLP, TARGET, make
from benchmarks.timing import Clock, Row, row_of, side_by_side
from vaekit.data import ArrayData, load
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.errors import UserError
from vaekit.trainer import Fit, Training

TRAIN, VALID = 12_800, 1_280


def pictures() -> tuple[Tensor, str]:
    """Binary 28x28 pictures as bytes, (TRAIN + VALID, 1, 28, 28), and where they come from."""
    count = TRAIN + VALID
    if os.environ.get("VAEKIT_DATA"):
        try:
            train = load("mnist", binarise="threshold").train
            return train.take(range(count))["x"].to(torch.uint8), "MNIST"
        except UserError:
            pass  # a folder without these files: any binary pictures cost the same
    generator = torch.Generator().manual_seed(2)
    centre = torch.rand(count, 2, 1, generator=generator) * 12 + 8
    place = torch.arange(28.0)
    rows, columns = (place - centre[:, 0]).abs(), (place - centre[:, 1]).abs()
    return ((rows[:, :, None] + columns[:, None]) < 7)[:, None].to(torch.uint8), "generated pictures"


def splits_of(x: Tensor) -> Splits:
    """The last VALID pictures are held out."""
    spec = Spec("benchmark", MLP.shape, "binary", size=len(x) - VALID)
    held_out = ArrayData(spec, x[-VALID:])
    return Splits(ArrayData(spec, x[:-VALID]), held_out, held_out)


def minimal_epoch(x: Tensor, batch: int) -> Callable[[], float]:
    """One epoch of the recipe vae by hand: it returns the held-out loss."""
    system = make("vae", MLP)
    step, (encode, decode) = LOOPS["vae"](system), ends(system)
    train, valid = x[:-VALID], x[-VALID:]

    def epoch() -> float:
        for index in torch.randperm(len(train)).split(batch):
            step({"x": train[index].float()})
        total = 0.0
        with torch.no_grad():
            for part in valid.split(batch):
                held_out = part.float()
                z, mean, log_std = draw(encode(held_out))
                loss = crossed(decode(z), held_out) + divergence(mean, log_std)
                total += float(loss) * len(held_out)
        return total / len(valid)

    return epoch


def trainer_epoch(x: Tensor, batch: int) -> Callable[[], None]:
    """One epoch by the trainer."""
    system, splits = make("vae", MLP), splits_of(x)
    training = Training(epochs=1, batch_size=batch, checkpoint_seconds=inf)
    return lambda: Fit(system, splits, training, save=lambda *_: None).run()


def run(seconds: float, clock: Clock) -> Iterator[Row]:
    """One row, in seconds per step."""
    x, source = pictures()
    first, second = side_by_side(
        trainer_epoch(x, MLP.batch), minimal_epoch(x, MLP.batch), seconds, clock, warm_up=1
    )
    steps = TRAIN // MLP.batch
    yield row_of(
        "trainer",
        f"vae, {MLP.name}",
        ("vaekit", [t / steps for t in first]),
        ("minimal", [t / steps for t in second]),
        most=TARGET,
        note=f"{source}, {steps} steps an epoch, validation included",
    )
