"""What processes that train one system together say to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from vaekit.parallel.gather import gather_trace
from vaekit.parallel.noise import Rows
from vaekit.pooling import Place, pooling
from vaekit.trace import Batch, Trace

T = TypeVar("T")
Named = dict[str, Tensor]

_ASK_EVERY = 8  # steps between two questions that wait for a device other than the CPU


class Part(dict[str, Tensor]):
    """One process's rows of a batch.

    Where a batch has fewer data than there are processes, a row of another process is borrowed, with weight
    0, so that all of them take part in every exchange.

    Args:
        whole: the batch of all processes.
        rank: number of this process.
        size: number of processes.
    """

    def __init__(self, whole: Batch, rank: int, size: int) -> None:
        self.whole, self.rank, self.size = whole, rank, size
        self.total = len(whole["x"])
        counts = [self.total // size + (number < self.total % size) for number in range(size)]
        self.count = counts[rank]
        self.start = sum(counts[:rank]) if self.count else 0
        self.rows = max(1, self.count)
        super().__init__({n: value[self.start : self.start + self.rows] for n, value in whole.items()})

    @contextmanager
    def noise(self, samples: int | None, labels: int | None = None) -> Iterator[None]:
        """Inside, draws are this part's of those for the whole batch, and `pooled` is over processes.

        Args:
            samples: draws per datum, if there is a sample axis.
            labels: classes that the model enumerates, if it does.
        """
        rows = Rows(self.total, self.start, self.rows, samples, labels, self.rank, self.size)
        with pooling(Place(self.start, self.rows, self.count, self.total)), rows:
            yield

    def gather(self, trace: Trace) -> Trace:
        """The trace of the whole batch: batch and latents, with gradient."""
        return gather_trace(trace, self.start, self.count, self.total, self.whole)


class Team:
    """The processes that train one system.

    Args:
        rank: number of this process.
        size: number of processes, two or more.
        device: where this process computes.
    """

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self.device = rank, size, device
        self._asked, self._questions = False, 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and shows."""
        return self.rank == 0

    # -- one step -------------------------------------------------------------------------------------------

    def part(self, batch: Batch) -> Part:
        """This process's rows of a batch that is the same on each."""
        return Part(batch, self.rank, self.size)

    @torch.no_grad()
    def sum(self, parameters: Sequence[nn.Parameter], values: Named) -> Named:
        """Sum gradients and named values over processes, in one message.

        Both are weighted by the processes' parts of the batch already, so that the sums are means.

        Args:
            parameters: of one player; their gradients are replaced.
            values: named values, ().

        Returns:
            The values of the whole batch.
        """
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        parts = [*gradients, *values.values()]
        if not parts:
            return values
        bucket = torch.cat([part.reshape(-1) for part in parts])
        dist.all_reduce(bucket)
        found = bucket.split([part.numel() for part in parts])
        for gradient, part in zip(gradients, found, strict=False):
            gradient.copy_(part.view_as(gradient))
        means = found[len(gradients) :]
        return {
            name: part.view(()).to(value.dtype)
            for (name, value), part in zip(values.items(), means, strict=True)
        }

    @torch.no_grad()
    def total(self, buffers: Sequence[Tensor]) -> None:
        """Replace what was counted over parts, as for a codebook, by its sum over processes."""
        for buffer in buffers:
            dist.all_reduce(buffer)

    def any(self, wish: bool) -> bool:
        """Whether any process wishes so, asked after every step: the answer is the same on all of them.

        On a device other than the CPU, where the answer has to be waited for, it comes some steps later.
        """
        self._asked |= wish
        self._questions += 1
        if self.device.type != "cpu" and self._questions % _ASK_EVERY:
            return False
        found = torch.tensor(float(self._asked), device=self.device)
        dist.all_reduce(found)
        return bool(found)

    # -- now and then ---------------------------------------------------------------------------------------

    @torch.no_grad()
    def align(self, tensors: Sequence[Tensor] = ()) -> None:
        """Give every process the first one's tensors and random stream."""
        for tensor in tensors:
            sent = tensor.contiguous()
            dist.broadcast(sent, 0)
            tensor.copy_(sent)
        streams = [torch.get_rng_state()]
        if self.device.type == "cuda":
            streams.append(torch.cuda.get_rng_state(self.device))
        states = [stream.to(self.device) for stream in streams]
        for state in states:
            dist.broadcast(state, 0)
        torch.set_rng_state(states[0].cpu())
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(states[1].cpu(), self.device)

    def sums(self, values: Named) -> Named:
        """Sum named numbers, or vectors of them, over processes."""
        if not values:
            return values
        bucket = torch.cat([value.detach().reshape(-1) for value in values.values()])
        dist.all_reduce(bucket)
        found = bucket.split([value.numel() for value in values.values()])
        return {name: part.view_as(value) for (name, value), part in zip(values.items(), found, strict=True)}

    def wait(self) -> None:
        """Wait for each other."""
        dist.barrier()

    def once(self, work: Callable[[], T]) -> T:
        """Let the first process do something, and tell all of them what came of it.

        Raises:
            Exception: what the work raised, on every process.
        """
        box: list[Any] = [None, None]
        if self.first:
            try:
                box[0] = work()
            except Exception as error:
                box[1] = error
        dist.broadcast_object_list(box, 0, device=self.device)
        if box[1] is not None:
            raise box[1]
        result: T = box[0]
        return result
