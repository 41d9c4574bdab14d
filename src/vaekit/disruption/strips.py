"""Pictures of broken dimensions."""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.checks import whole
from vaekit.data.batch import Data
from vaekit.disruption.measure import drawn
from vaekit.metrics.passes import evaluating
from vaekit.models import Model


def strips(
    model: Model, data: Data, *, datum: int = 0, draws: int = 8, limit: int = 500, seed: int = 0
) -> Tensor:
    """One datum with each dimension of its latents broken in turn.

    Args:
        model: encodes and decodes, as for `disrupt`.
        data: where the datum and the values of others come from.
        datum: its number among those that are looked at.
        draws: values that a dimension takes in its row.
        limit: look at a random subset of this size, larger than `draws`.
        seed: of the subset and the draws.

    Returns:
        (dimensions, 2 + draws, *event): in every row the datum, its decoding G(z), and G(z') for draws of
        the one dimension from q(z_j), from the smallest to the largest. `vaekit.pictures.grid` makes one
        picture of it: `grid(strips.flatten(0, 1), strips.shape[1])`.

    Raises:
        ValueError: if there is no such datum, or there are not as many others as draws.
    """
    whole("draws", draws)
    with evaluating(model, seed):
        x, codes, context = drawn(model, data, seed, limit)
        if not 0 <= datum < len(x) or draws >= len(x):
            raise ValueError(
                f"`datum` is {datum} and `draws` {draws}, of {len(x)} data; expected a number below that of "
                "the data, and fewer draws than data"
            )
        picked = torch.randperm(len(x) - 1, generator=torch.Generator().manual_seed(seed))[:draws]
        lenders = (picked + (picked >= datum)).to(x.device)  # anybody but itself
        own = {name: value[datum : datum + 1] for name, value in codes.items()}
        given = None if context is None else context[datum : datum + 1]
        first = torch.cat([x[datum : datum + 1], model.decode(own, given).mean])
        rows = []
        for name, value in codes.items():
            for j in range(value[0].numel()):
                many = {key: one.expand(draws, *one.shape[1:]) for key, one in own.items()}
                flat = many[name].flatten(1).clone()
                flat[:, j] = value.flatten(1)[lenders, j].sort().values
                many[name] = flat.view(draws, *value.shape[1:])
                spread = None if given is None else given.expand(draws, *given.shape[1:])
                rows.append(torch.cat([first, model.decode(many, spread).mean]))
        made = torch.stack(rows)
    return made.clone()  # of inference mode no longer
