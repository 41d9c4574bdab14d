"""A step whose inputs lie at fixed places, so that a device can record it once and repeat it as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from vaekit.trace import Batch

Body = Callable[[Batch, Sequence[Tensor]], None]
"""One step from a batch and its noise; all that it leaves, it leaves in place, in tensors made before."""


class Recorder(Protocol):
    """What can record work and repeat it."""

    def aside(self, work: Callable[[], None]) -> None:
        """Do it once, where a record may follow."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record it without doing it: what is handed back does it."""


class Graphs:
    """Work on an NVIDIA device, recorded as a CUDA graph: one launch for all of its kernels."""

    def __init__(self) -> None:
        self.stream: torch.cuda.Stream | None = None

    def aside(self, work: Callable[[], None]) -> None:
        """On a stream of its own, as a recording asks of what comes before it."""
        if self.stream is None:  # one for all: each keeps the memory that it used
            self.stream = torch.cuda.Stream()
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            work()
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """A graph; memory that it uses stays its own as long as it lives."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        return graph.replay


class Steps:
    """Steps of batches of one size, recorded after the first few; those of another size are made as they are.

    The first steps are steps like any other: optimisers make their moments in them, libraries choose how they
    multiply.

    Args:
        body: the step.
        size: rows of the batches that are recorded.
        rows: the axis of the batch in its tensors.
        recorder: of the device, or None to record nothing.
    """

    WARM_UP = 3

    def __init__(self, body: Body, size: int, rows: int, recorder: Recorder | None) -> None:
        self.body, self.size, self.rows, self.recorder = body, size, rows, recorder
        self.made = 0
        self.replay: Callable[[], None] | None = None
        self.batch: Batch = {}
        self.noise: list[Tensor] = []

    def __call__(self, batch: Batch, noise: Sequence[Tensor]) -> None:
        """One step."""
        if self.recorder is None or batch["x"].shape[self.rows] != self.size:
            self.body(batch, noise)
            return
        if self.made < self.WARM_UP:
            self.made += 1
            self.recorder.aside(lambda: self.body(batch, noise))
            return
        if self.replay is None:
            self.batch = {name: value.clone() for name, value in batch.items()}
            self.noise = [value.clone() for value in noise]
            self.replay = self.recorder.record(lambda: self.body(self.batch, self.noise))
        for name, value in batch.items():
            self.batch[name].copy_(value)
        for place, drawn in zip(self.noise, noise, strict=True):
            place.copy_(drawn)
        self.replay()
