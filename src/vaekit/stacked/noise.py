"""The noise of every model of a stack: that of its own training, draw by draw.

Inside a stacked pass nothing can be drawn for one model alone. So the draws of a pass are written down once,
from one model; at every step each stream makes them in that order, and the pass is handed the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from vaekit.errors import UnsupportedError


class Draw(NamedTuple):
    """A draw whose distribution does not depend on the model: standard normal, uniform, whole numbers."""

    function: Callable[..., Tensor]
    bounds: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    def made(self, generator: torch.Generator | None, count: int | None = None) -> Tensor:
        """Draw it, (*shape); or for `count` models at once, (count, *shape)."""
        shape = self.shape if count is None else (count, *self.shape)
        return self.function(*self.bounds, shape, dtype=self.dtype, device=self.device, generator=generator)


_KINDS: dict[Any, Callable[..., Tensor]] = {
    torch.randn: torch.randn,
    torch.rand: torch.rand,
    torch.randint: torch.randint,
    torch.randn_like: torch.randn,
    torch.rand_like: torch.rand,
}


class Recorded(TorchFunctionMode):
    """Inside, draws are written down in `draws`."""

    def __init__(self) -> None:
        super().__init__()
        self.draws: list[Draw] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        value = func(*args, **given)
        kind = _KINDS.get(func)
        if kind is not None and given.get("generator") is None:
            bounds: tuple[int, ...] = ()
            if func is torch.randint:
                named = [given[name] for name in ("low", "high") if name in given]
                bounds = (*(args if "size" in given else args[:-1]), *named)
            self.draws.append(Draw(kind, bounds, tuple(value.shape), value.dtype, value.device))
        return value


class Replayed(TorchFunctionMode):
    """Inside, draws are taken from a list.

    Args:
        values: what the draws of `Recorded` gave, in their order.
    """

    def __init__(self, values: Sequence[Tensor]) -> None:
        super().__init__()
        self.left = list(reversed(values))

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        if func not in _KINDS or given.get("generator") is not None:
            return func(*args, **given)
        if not self.left:
            raise UnsupportedError("a stacked pass draws more than the pass of one model does")
        return self.left.pop()


class Streams:
    """The random streams of M models; those that stand at the same place are one.

    Args:
        states: of the training device's generator when each model was built.
        device: of that generator.
    """

    def __init__(self, states: Sequence[Tensor], device: torch.device) -> None:
        places: dict[bytes, int] = {}
        self.of = [places.setdefault(state.cpu().numpy().tobytes(), len(places)) for state in states]
        first = {number: model for model, number in reversed(list(enumerate(self.of)))}
        self.generators = [torch.Generator(device) for _ in places]
        for number, generator in enumerate(self.generators):
            generator.set_state(states[first[number]])
        alone = len(places) == len(states)
        self._index = None if alone else torch.tensor(self.of, device=device)

    def state(self, model: int) -> Tensor:
        """Where the stream of a model stands."""
        return self.generators[self.of[model]].get_state()

    def draw(self, draws: Sequence[Draw]) -> list[Tensor]:
        """The next draws of all models: each (M, *shape)."""
        made: list[list[Tensor]] = [[] for _ in draws]
        for generator in self.generators:
            for draw, values in zip(draws, made, strict=True):
                values.append(draw.made(generator))
        stacked = [torch.stack(values) for values in made]
        return stacked if self._index is None else [values[self._index] for values in stacked]
