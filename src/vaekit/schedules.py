"""Weights that change while training, by the step or by what a step measured; each may stand for a number."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Varying(nn.Module, ABC):
    """A number that changes while training."""

    @abstractmethod
    def forward(self) -> Tensor:
        """The value now, ()."""


class Schedule(Varying, ABC):
    """A number that depends on the training step.

    The step lives in a buffer on the model's device and moves in `after_step`: reading the value costs no
    synchronisation, and saving and resuming need nothing else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("step", torch.zeros((), dtype=torch.float64))
        self.step: Tensor

    @abstractmethod
    def at(self, step: Tensor) -> Tensor:
        """The value at a step, elementwise."""

    def forward(self) -> Tensor:
        """The value now."""
        return self.at(self.step)

    @torch.no_grad()
    def after_step(self) -> None:
        """One step further."""
        self.step.add_(1)


class Linear(Schedule):
    """`start` for `after` steps, then to `end` in a straight line over `steps` steps, then constant.

    >>> Linear(0.0, 2.0, steps=4).at(torch.tensor([0.0, 1.0, 4.0, 9.0])).tolist()
    [0.0, 0.5, 2.0, 2.0]
    >>> Linear(1.0, 0.0, steps=2, after=3).at(torch.tensor([0.0, 3.0, 4.0, 5.0])).tolist()
    [1.0, 1.0, 0.5, 0.0]
    """

    def __init__(self, start: float, end: float, steps: int, after: int = 0) -> None:
        super().__init__()
        if steps < 1 or after < 0:
            raise ValueError(f"got steps {steps} and after {after}; expected at least 1 and at least 0")
        self.start, self.end, self.steps, self.after = float(start), float(end), steps, after
        # known from the start: a stack of models puts vectors in the place of both ends
        self.rises = start <= end

    def at(self, step: Tensor) -> Tensor:
        """The value at a step."""
        low, high = (self.start, self.end) if self.rises else (self.end, self.start)
        gone = step - self.after if self.after else step
        line = torch.add(gone * ((self.end - self.start) / self.steps), self.start)
        return line.clamp(min=low).clamp(max=high)


class Exponential(Schedule):
    """max(end, start * exp(-rate * step)): as temperatures fall.

    >>> Exponential(1.0, 0.5, rate=0.5).at(torch.tensor([0.0, 1.0, 9.0])).tolist()
    [1.0, 0.6065306663513184, 0.5]
    """

    def __init__(self, start: float, end: float, rate: float) -> None:
        super().__init__()
        if not 0 < end <= start or not 0 <= rate < math.inf:
            raise ValueError(
                f"got start {start}, end {end} and rate {rate}; expected 0 < end <= start and a rate of 0 or "
                "more"
            )
        self.start, self.end, self.rate = start, end, rate

    def at(self, step: Tensor) -> Tensor:
        """The value at a step."""
        return (self.start * torch.exp(-self.rate * step)).clamp_min(self.end)


class Cyclical(Schedule):
    """A linear rise over the first `share` of every `period` steps, then constant until the period ends.

    >>> Cyclical(0.0, 1.0, period=4, share=0.5).at(torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])).tolist()
    [0.0, 0.5, 1.0, 1.0, 0.0]
    """

    def __init__(self, start: float, end: float, period: int, share: float = 0.5) -> None:
        super().__init__()
        if period < 1 or not 0 < share <= 1:
            raise ValueError(
                f"got period {period} and share {share}; expected period >= 1 and 0 < share <= 1"
            )
        self.start, self.end, self.period, self.share = start, end, period, share

    def at(self, step: Tensor) -> Tensor:
        """The value at a step."""
        position = torch.remainder(step, self.period) / (self.period * self.share)
        return self.start + (self.end - self.start) * position.clamp(0, 1)


class Steps(Schedule):
    """A constant for every stage: `values[i]` from step `boundaries[i-1]` on.

    >>> Steps([1.0, 0.5], boundaries=[3]).at(torch.tensor([0.0, 2.0, 3.0])).tolist()
    [1.0, 1.0, 0.5]
    """

    def __init__(self, values: list[float], boundaries: list[int]) -> None:
        super().__init__()
        if len(values) != len(boundaries) + 1 or sorted(boundaries) != list(boundaries):
            raise ValueError(
                f"got {len(values)} values and boundaries {boundaries}; expected one value more than rising "
                "boundaries"
            )
        self.register_buffer("values", torch.tensor(values, dtype=torch.float64), persistent=False)
        self.register_buffer("boundaries", torch.tensor(boundaries, dtype=torch.float64), persistent=False)
        self.values: Tensor
        self.boundaries: Tensor

    def at(self, step: Tensor) -> Tensor:
        """The value at a step."""
        return self.values.take(torch.bucketize(step, self.boundaries, right=True))


class Stairs(Schedule):
    """From `start` to `end` by `rise` after every so many steps, then constant.

    >>> Stairs(0.5, 1.25, rise=0.5, every=3).at(torch.tensor([0.0, 2.0, 3.0, 6.0, 99.0])).tolist()
    [0.5, 0.5, 1.0, 1.25, 1.25]
    """

    def __init__(self, start: float, end: float, rise: float, every: int) -> None:
        super().__init__()
        if not start <= end or not 0 < rise < math.inf or every < 1:
            raise ValueError(
                f"got start {start}, end {end}, rise {rise} and every {every}; expected start <= end, a rise "
                "above 0 and at least 1 step"
            )
        self.start, self.end, self.rise, self.every = float(start), float(end), float(rise), every

    def at(self, step: Tensor) -> Tensor:
        """The value at a step."""
        return (self.start + self.rise * torch.floor(step / self.every)).clamp_max(self.end)

    @property
    def length(self) -> int:
        """Steps until it is constant."""
        return math.ceil((self.end - self.start) / self.rise) * self.every


class Feedback(Varying, ABC):
    """A weight that follows what was measured: a controller, a dual variable.

    Once per step, before `after_step`, it hears the named values of the objective that it stands in: the mean
    of every term over the whole batch before its weight, and the `loss`. Pieces of an accumulated step and
    parts of several processes have been averaged by then, and all processes hear the same. So the weight of a
    step follows from the steps before it, and is one number for the whole batch.

    Whatever it remembers is a buffer: it is saved, and nothing waits for the device.

    Args:
        hears: names of the terms that it listens to, or "loss".
    """

    def __init__(self, *hears: str) -> None:
        super().__init__()
        self.hears = hears

    @abstractmethod
    def hear(self, values: Mapping[str, Tensor]) -> None:
        """Take in the named values of a step, detached; called without gradients."""


Weight = float | Varying


def value_of(weight: Weight) -> float | Tensor:
    """The number that a weight is at this step."""
    return weight() if isinstance(weight, nn.Module) else weight  # unlike `Varying`, no abstract class
