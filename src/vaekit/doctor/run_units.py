"""Units of a network that are always zero."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from vaekit.doctor.finding import Finding
from vaekit.doctor.run_command import again, slower
from vaekit.doctor.run_subject import ROWS, Subject
from vaekit.metrics.passes import evaluating, split_batch
from vaekit.models import without_withheld

DEAD = 0.75
"""Share of a layer's units that are zero for all data, from which the layer is called dead. Wide layers have
a tenth of such units in good health, and half where what reaches them hardly varies."""

_RECTIFIERS = {torch.relu, torch.relu_, functional.relu, functional.relu_, Tensor.relu, Tensor.relu_}


class _Rectified(TorchFunctionMode):
    """Whether each unit behind each ReLU of a pass was ever above zero, in the order of their calls."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: list[Tensor] = []
        self.place = 0
        self.inside = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Iterable[Any] = (), kwargs: Any = None
    ) -> Any:
        nested, self.inside = self.inside, self.inside or func in _RECTIFIERS
        found = func(*args, **(kwargs or {}))
        self.inside = nested
        if func in _RECTIFIERS and not nested:  # functional.relu calls torch.relu in turn
            self._note(found.detach())
        return found

    def _note(self, values: Tensor) -> None:
        above = values > 0
        if values.dim() == 4:  # (batch, channels, height, width): a unit is a channel
            above = above.flatten(2).any(2)
        above = above.flatten(0, -2).any(0)
        if self.place == len(self.alive):
            self.alive.append(above.clone())
        else:
            self.alive[self.place] |= above
        self.place += 1


def dead_units(subject: Subject) -> list[Finding]:
    """Layers behind a ReLU of which more than three quarters of the units are zero for all data."""
    watch = _Rectified()
    batch = without_withheld(subject.model, subject.train.codes.batch)
    with evaluating(subject.model, subject.seed), watch:
        for piece in split_batch(batch, ROWS):
            watch.place = 0
            subject.model(piece)
    shares = [1 - float(alive.double().mean()) for alive in watch.alive]
    bad = [i for i, share in enumerate(shares) if share > DEAD]
    if not bad:
        return []
    worst = max(bad, key=lambda i: shares[i])
    return [
        Finding(
            key="dead_units",
            title=f"{len(bad)} of {len(shares)} layers are mostly dead",
            measured="Of the layers behind a ReLU, in the order in which a datum meets them, number "
            f"{worst + 1} is "
            f"the worst: {100 * shares[worst]:.0f} % of its {len(watch.alive[worst])} units are zero for all "
            f"{len(batch['x'])} training data.",
            meaning="A unit that is never above zero gets no gradient and never comes back: the network is "
            "smaller than it looks. One step that was far too large is enough to kill a layer.",
            change="Lower the learning rate and train again.",
            command=again(subject.run, slower(subject.run) or {"clip": 1.0}),
            severity="warning",
        )
    ]
