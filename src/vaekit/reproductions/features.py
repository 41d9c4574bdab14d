"""A classifier of labelled images, whose features say how alike two sets of pictures are."""

from __future__ import annotations

import time
from typing import final

import torch
from torch import Tensor, nn

from vaekit.data.batch import Splits
from vaekit.disruption.readers import FEATURES, reading_layers
from vaekit.randomness import own_stream
from vaekit.reproductions.outcome import Say

_AT_ONCE = 500


@final
class Classifier(nn.Module):
    """Two convolutions and two dense layers; the features are the output of the first dense layer.

    Args:
        shape: of an image, (channels, height, width), height and width of at least 8.
        classes: number of classes.
    """

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        if len(shape) != 3 or min(shape[1:]) < 8:
            raise ValueError(f"`shape` is {shape}; expected images of at least 8 x 8 pixels")
        self.body = reading_layers(shape)
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, *shape) with values in [0, 1]."""
        return self.head(self.body(x))  # type: ignore[no-any-return]  # nn.Module returns Any

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """(N, F)."""
        return torch.cat([self.body(part) for part in x.split(_AT_ONCE)])

    @torch.no_grad()
    def probabilities(self, x: Tensor) -> Tensor:
        """p(class|x), (N, classes)."""
        return torch.cat([self(part).softmax(1) for part in x.split(_AT_ONCE)])

    def predict(self, x: Tensor) -> Tensor:
        """The most probable class, (N,)."""
        return self.probabilities(x).argmax(1)

    def accuracy(self, x: Tensor, y: Tensor) -> float:
        """Share of images whose most probable class is theirs."""
        return float((self.predict(x) == y).float().mean())


def classifier(
    splits: Splits, say: Say, *, seed: int = 0, steps: int = 1500, batch_size: int = 100
) -> Classifier:
    """A classifier trained on the training set, in eval mode.

    Args:
        splits: labelled images.
        say: takes a line when it is done.
        seed: of weights and order.
        steps: training steps of Adam at 1e-3.
        batch_size: images per step.

    Raises:
        ValueError: if the data have no labels.
    """
    spec = splits.spec
    if spec.classes is None:
        raise ValueError(f"{spec.name!r} has no labels; expected labelled images")
    started = time.monotonic()
    with own_stream("cpu", seed):
        network = Classifier(spec.shape, spec.classes)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        done = epoch = 0
        while done < steps:
            for batch in splits.train.batches(batch_size, seed=seed, epoch=epoch):
                loss = nn.functional.cross_entropy(network(batch["x"]), batch["y"])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                done += 1
                if done == steps:
                    break
            epoch += 1
    network.eval()
    held_out = next(iter(splits.test.batches(min(2000, len(splits.test)), seed=seed, shuffle=False)))
    right, took = network.accuracy(held_out["x"], held_out["y"]), time.monotonic() - started
    say(f"classifier: {steps} steps in {took:.0f} s, {right:.1%} of {len(held_out['x'])} right")
    return network
