"""Which elements of a line or a picture stand together: the pattern of a sparse triangular factor."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional


class Neighbourhood:
    """The causal half of a patch of `size` x `size` elements around each one, in raster order.

    Elements are numbered as they lie in memory: (channel, row, column). The neighbours of an element that
    come later in this order are its *later* neighbours: in a line the next r = (size - 1) / 2, in a picture
    those of the patch that lie to the right in its row or in a row below, (size^2 - 1) / 2 of them, and the
    later channels of the same pixel. Channels of different pixels are no neighbours. Steps that leave the
    picture from every element are left out, so that a size of 2 n - 1 joins every pair of pixels.

    Args:
        event: (n,) for a line, (channels, height, width) for pictures.
        size: side of the patch, odd; 1 joins nothing but the channels of a pixel.

    Raises:
        TypeError: if `size` is no whole number.
        ValueError: if it is even or below one, or the event is no line and no picture.
    """

    def __init__(self, event: tuple[int, ...], size: int) -> None:
        if isinstance(size, bool) or not isinstance(size, int):
            raise TypeError(f"`neighbourhood` is {size!r}; expected an odd whole number, such as 3 or 5")
        if size < 1 or size % 2 == 0:
            raise ValueError(f"`neighbourhood` is {size}; expected an odd number of at least 1")
        if len(event) not in (1, 3):
            raise ValueError(
                f"`event` is {event}; expected a line (n,) or a picture (channels, height, width)"
            )
        self.event, self.size = tuple(event), size
        reach = [min(size // 2, n - 1) for n in event[-2:]]
        if len(event) == 1:
            self.offsets: tuple[tuple[int, ...], ...] = tuple((step,) for step in range(1, reach[0] + 1))
            self._pace: tuple[int, ...] = (1,)
        else:
            down, across = reach
            patch = product(range(down + 1), range(-across, across + 1))
            steps = [(0, *step) for step in patch if step > (0, 0)]
            self.offsets = (*steps, *((step, 0, 0) for step in range(1, event[0])))
            self._pace = (1, across + 1, 1)
        self._tables: dict[torch.device, tuple[Tensor, Tensor, list[Tensor]]] = {}

    def __len__(self) -> int:
        """Number of later neighbours, those outside the picture counted."""
        return len(self.offsets)

    def __repr__(self) -> str:
        return f"Neighbourhood(event={self.event}, size={self.size})"

    def later(self, values: Tensor) -> list[Tensor]:
        """The values at every element's later neighbours, zero where there is none.

        (*lead, *event) -> one such tensor for each offset o, with `values[..., j + o]` at element j.
        """
        if not self.offsets:
            return []
        axes = range(len(self.event))
        low = [max(0, -min(offset[a] for offset in self.offsets)) for a in axes]
        high = [max(0, max(offset[a] for offset in self.offsets)) for a in axes]
        sides = [side for a in reversed(axes) for side in (low[a], high[a])]  # `pad` starts at the last axis
        padded = functional.pad(values, sides)
        views = []
        for offset in self.offsets:
            view = padded
            for a in axes:
                view = view.narrow(a - len(self.event), low[a] + offset[a], self.event[a])
            views.append(view)
        return views

    def tables(self, device: torch.device) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Numbers of neighbours, and an order in which a triangular system can be solved.

        Returns:
            later: (K, D), the number of each element's later neighbours, D where there is none.
            earlier: (K, D), the number of the element whose k-th later neighbour this one is, or D.
            fronts: groups of elements, none of them the neighbour of another in its group, and every later
                neighbour in a later group: a picture has width + (reach + 1) (height - 1) of them, not D.
        """
        if device not in self._tables:
            grid = torch.stack(torch.meshgrid(*(torch.arange(n) for n in self.event), indexing="ij"))
            count, numbers = grid[0].numel(), torch.arange(grid[0].numel())
            later = torch.full((len(self), count), count)
            earlier = later.clone()
            limits = torch.tensor(self.event).view(-1, *[1] * len(self.event))
            for row, offset in enumerate(self.offsets):
                moved = grid + torch.tensor(offset).view_as(limits)
                inside = ((moved >= 0) & (moved < limits)).all(0).flatten()
                step = 0
                for size, along in zip(self.event, offset, strict=True):
                    step = step * size + along
                later[row, inside] = numbers[inside] + step
                earlier[row, numbers[inside] + step] = numbers[inside]
            time = sum(axis * pace for axis, pace in zip(grid, self._pace, strict=True)).flatten()
            order = time.argsort(stable=True)
            fronts = [front.to(device) for front in order.split(time.bincount().tolist())]
            self._tables[device] = later.to(device), earlier.to(device), fronts
        return self._tables[device]
