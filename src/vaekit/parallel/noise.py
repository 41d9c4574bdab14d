"""The noise of a share of a batch: every process draws that of the whole batch and takes its rows.

All processes hold the same random stream and move it by the same amount, so the streams stay equal, one of
them is enough to go on from, and the noise of a datum does not depend on the number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class _Plan(NamedTuple):
    """How a draw of a share is a part of a larger one.

    Args:
        asked: shape of the draw, (*shape).
        parts: the same elements with the batch as an axis of its own.
        axis: of the batch in `parts`.
        total, start, rows: size of that axis in the larger draw, and which of its rows are taken.
    """

    asked: tuple[int, ...]
    parts: tuple[int, ...]
    axis: int
    total: int
    start: int
    rows: int

    @property
    def whole(self) -> tuple[int, ...]:
        """Shape of the larger draw, with as many axes as were asked for (or one more, see `Rows._plan`)."""
        shape = list(self.parts)
        shape[self.axis] = self.total
        if self.axis == 1 and len(self.parts) == len(self.asked) + 1:
            shape[:2] = [shape[0] * shape[1]]
        return tuple(shape)

    def mine(self, drawn: Tensor) -> Tensor:
        """The part of the larger draw, (*asked, ...)."""
        shape = list(self.parts)
        shape[self.axis] = self.total
        rest = drawn.shape[len(self.whole) :]
        part = drawn.reshape(*shape, *rest).narrow(self.axis, self.start, self.rows)
        return part.reshape(*self.asked, *rest)

    def spread(self, values: Tensor) -> Tensor:
        """Parameters of a draw, (*asked, ...), at their places in the larger one; other rows hold any."""
        rest = values.shape[len(self.asked) :]
        places = (torch.arange(self.total, device=values.device) - self.start).clamp(0, self.rows - 1)
        return values.reshape(*self.parts, *rest).index_select(self.axis, places).reshape(*self.whole, *rest)


class Rows(TorchFunctionMode):
    """Inside, a random draw for the rows of a share is the part of one for the whole batch.

    The batch is the first axis of a draw, or the second, after samples or enumerated labels, or the third,
    after both, or the inner part of the first, where both are one. A draw without such an axis is made once
    for every process, and each takes its own. Samplers whose need of random numbers depends on what they draw
    (rejection) move the streams of the processes apart; `Team.align` brings them together at the end of an
    epoch.

    Args:
        total: number of data in the whole batch.
        start: number of the first datum of this share.
        rows: number of data in it.
        samples: number of draws per datum, if the procedure has a sample axis.
        labels: number of classes that the model enumerates, if it does.
        rank: number of this process.
        size: number of processes.
    """

    def __init__(
        self,
        total: int,
        start: int,
        rows: int,
        samples: int | None,
        labels: int | None,
        rank: int,
        size: int,
    ) -> None:
        super().__init__()
        self.total, self.start, self.rows = total, start, rows
        self.samples, self.labels, self.rank, self.size = samples, labels, rank, size

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        draw = _DRAWS.get(func)
        if draw is None or (kwargs and kwargs.get("generator") is not None):
            return func(*args, **(kwargs or {}))
        return draw(self, func, args, kwargs or {})

    def _plan(self, shape: Sequence[int]) -> _Plan:
        asked, n = tuple(shape), self.rows
        place = (self.total, self.start, n)
        # labels first: there may be as many of them as there are rows
        for lead in ((self.labels,), (self.samples, self.labels)):
            if None not in lead and len(asked) > len(lead) + 1 and asked[: len(lead) + 1] == (*lead, n):
                return _Plan(asked, asked, len(lead), *place)
        if asked and asked[0] == n and not (len(asked) > 2 and asked[1] == n == self.samples):
            return _Plan(asked, asked, 0, *place)
        if len(asked) > 1 and asked[1] == n:
            return _Plan(asked, asked, 1, *place)
        if asked and asked[0] and asked[0] % n == 0:
            return _Plan(asked, (asked[0] // n, n, *asked[1:]), 1, *place)
        return _Plan(asked, (1, *asked), 0, self.size, self.rank, 1)

    # -- the kinds of draws ---------------------------------------------------------------------------------

    def _sized(self, func: Callable[..., Tensor], args: tuple[Any, ...], kwargs: Any) -> Tensor:
        """torch.randn(*shape), torch.rand(*shape)."""
        kwargs = dict(kwargs)
        size = kwargs.pop("size", None) or (args[0] if args and not isinstance(args[0], int) else args)
        plan = self._plan(size)
        return plan.mine(func(plan.whole, **kwargs))

    def _bounded(self, func: Callable[..., Tensor], args: tuple[Any, ...], kwargs: Any) -> Tensor:
        """torch.randint([low, ]high, shape), torch.normal(mean, std, shape)."""
        kwargs = dict(kwargs)
        *bounds, size = (*args, kwargs.pop("size")) if "size" in kwargs else args
        plan = self._plan(size)
        return plan.mine(func(*bounds, plan.whole, **kwargs))

    def _alike(self, func: Callable[..., Tensor], args: tuple[Any, ...], kwargs: Any) -> Tensor:
        """torch.randn_like(values), and what depends on values: torch.bernoulli(p), functional.dropout(x)."""
        first = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        if first is None:  # torch.normal(0.0, 1.0, shape)
            return self._bounded(func, args, kwargs)
        classes = func in (
            torch.multinomial,
            torch.Tensor.multinomial,
        )  # their probabilities have an axis more
        plan = self._plan(first.shape[:-1] if classes else first.shape)
        wide = [self._wide(value, plan) for value in args]
        return plan.mine(func(*wide, **{name: self._wide(value, plan) for name, value in kwargs.items()}))

    def _in_place(self, func: Callable[..., Tensor], args: tuple[Any, ...], kwargs: Any) -> Tensor:
        """values.exponential_(), values.uniform_() and the like."""
        values: Tensor = args[0]
        plan = self._plan(values.shape)
        drawn = func(values.new_empty(plan.whole), *(self._wide(value, plan) for value in args[1:]), **kwargs)
        return values.copy_(plan.mine(drawn))

    @staticmethod
    def _wide(value: Any, plan: _Plan) -> Any:
        return plan.spread(value) if isinstance(value, Tensor) and value.dim() else value


_DRAWS: dict[Any, Callable[..., Tensor]] = {
    torch.randn: Rows._sized,
    torch.rand: Rows._sized,
    torch.randint: Rows._bounded,
    **dict.fromkeys(
        (
            torch.randn_like, torch.rand_like, torch.normal, torch.bernoulli, torch.Tensor.bernoulli,
            torch.multinomial, torch.Tensor.multinomial, torch.poisson, torch._standard_gamma,
            torch._sample_dirichlet, functional.gumbel_softmax, functional.rrelu, functional.dropout,
            functional.dropout1d, functional.dropout2d, functional.dropout3d, functional.alpha_dropout,
            functional.feature_alpha_dropout,
        ),
        Rows._alike,
    ),
    **dict.fromkeys(
        (
            torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.exponential_, torch.Tensor.bernoulli_,
            torch.Tensor.log_normal_, torch.Tensor.cauchy_, torch.Tensor.geometric_,
        ),
        Rows._in_place,
    ),
}  # fmt: skip


@contextmanager
def common_noise() -> Iterator[None]:
    """Inside, draws are the same on every process: what is drawn is for the whole batch."""
    with torch._C.DisableTorchFunction():
        yield
