"""What experiments with few labels share: the labelled data, and a network trained on them alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.data.batch import Splits
from vaekit.networks import MLP, Activation
from vaekit.reproductions.outcome import Say
from vaekit.validation import EVALUATION_SEED


def labelled_rows(splits: Splits) -> Tensor:
    """Numbers of the training data whose label is known."""
    y = torch.cat([batch["y"] for batch in splits.train.batches(5000, seed=0, shuffle=False)])
    return (y >= 0).nonzero().squeeze(1)


def supervised(
    splits: Splits, hidden: tuple[int, ...], activation: Activation, *, seed: int, steps: int, say: Say
) -> float:
    """Error on the test set of a network that is trained on the labelled data alone, all of them at once.

    It is the network q(y|x) of M2 with the same optimiser, and sees what M2 sees: where pixels are drawn,
    they are drawn anew at every step.
    """
    torch.manual_seed(seed)
    spec, rows = splits.spec, labelled_rows(splits)
    network: nn.Module = MLP([spec.shape], (spec.classes or 1,), hidden, activation)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for step in range(steps):
        batch = splits.train.take(rows, seed=step)
        loss = nn.functional.cross_entropy(network(batch["x"]), batch["y"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wrong, count = 0, 0
    with torch.no_grad():
        for batch in splits.test.batches(1000, seed=EVALUATION_SEED, shuffle=False):
            wrong += int((network(batch["x"]).argmax(1) != batch["y"]).sum())
            count += len(batch["y"])
    say(f"network on {len(rows)} labels, seed {seed}: error {100 * wrong / count:.2f} %")
    return wrong / count
