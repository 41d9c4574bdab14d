"""What every metric shares: a quiet pass over data, leaving the model and the random stream alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.errors import UnsupportedError
from vaekit.models import Model, without_withheld
from vaekit.plain import plain
from vaekit.randomness import quiet
from vaekit.trace import Batch, Trace

LOAD = 500
"""Number of data in a loaded batch. It is the same everywhere, so that metrics with one seed see the same
data where these are binarised anew in every batch."""

Progress = Callable[[int, int], None]
"""Called with the number of data that are done, and of all."""

_NARROW = 512  # hidden layers are rarely narrower, however small the datum
_ELEMENTS = {"cpu": 2**21, "cuda": 2**27}


def home_of(model: Model) -> tuple[torch.device, torch.dtype]:
    """Device and floating type of the model's parameters and buffers."""
    for tensor in chain(model.parameters(), model.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.get_default_dtype()


@contextmanager
def evaluating(model: Model, seed: int, gradients: bool = False) -> Iterator[None]:
    """Eval mode and seeded noise; afterwards the mode of every module and the random streams are as before.

    Args:
        model: is put into eval mode.
        seed: of the noise, on the CPU and on the model's device.
        gradients: whether parts of the body ask for gradients (`torch.enable_grad`); otherwise the body runs
            in inference mode.
    """
    device, _ = home_of(model)
    with quiet(model, device, seed), torch.no_grad() if gradients else torch.inference_mode():
        yield


def filled(parts: Iterable[Tensor], count: int) -> Tensor:
    """One table of `count` rows, filled by parts as they are made: (count, ...).

    Parts that were kept until the end would lie between the large tensors that they were computed from, whose
    memory could then not be used again: the codes of dSprites' grid, 30 MB, held 12 GB in that way.
    """
    table, done = None, 0
    for part in parts:
        if table is None:
            table = part.new_empty((count, *part.shape[1:]))
        table[done : done + len(part)] = part
        done += len(part)
    if table is None or done != count:
        raise ValueError(f"{done} rows came; expected {count}, one or more")
    return table


def loaded(
    data: Data, model: Model, *, seed: int, limit: int | None, size: int = LOAD, labels: bool = False
) -> Iterator[tuple[Batch, int]]:
    """Batches on the model's device and in its floating type, each with the number of all data.

    Args:
        data: all of it, in its own order; or, with a smaller `limit`, a random subset drawn by the seed.
        model: says where to, and in which type.
        seed: of the subset, and of the randomness in the data.
        limit: largest number of data.
        size: number of data in a batch.
        labels: keep what the model is to infer, to compare with it; by default it is withheld.

    Raises:
        ValueError: for a limit or size below 1, or an empty set.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"`limit` is {limit}; expected 1 or more data, or None for all")
    if size < 1:
        raise ValueError(f"`batch_size` is {size}; expected 1 or more")
    total = len(data) if limit is None else min(limit, len(data))
    if not total:
        raise ValueError("there are no data to evaluate; expected at least one datum")
    device, dtype = home_of(model)
    done = 0
    for batch in data.batches(size, seed=seed, shuffle=total < len(data), device=device):
        kept = min(len(batch["x"]), total - done)
        if kept < 1:
            break
        done += kept
        shown = batch if labels else without_withheld(model, batch)
        yield {k: _cast(v[:kept], dtype) for k, v in shown.items()}, total


def _cast(values: Tensor, dtype: torch.dtype) -> Tensor:
    return values.to(dtype) if values.is_floating_point() else values


def coordinates(model: Model, batch: Batch, sample: bool = False) -> Tensor:
    """All latents side by side, (B, d): posterior means, or one draw each.

    Raises:
        UnsupportedError: if there are none, or they are code numbers.
    """
    found = model.encode(batch, sample=sample)
    if not found:
        raise UnsupportedError("the model has no latents, so that there are no codes to score")
    for name, value in found.items():
        if not value.is_floating_point():
            raise UnsupportedError(
                f"latent {name!r} is encoded as code numbers, which have no order: scores of "
                "disentanglement are for codes that are coordinates"
            )
    return torch.cat([value.flatten(1) for value in found.values()], 1)


def split_batch(batch: Batch, rows: int) -> Iterator[Batch]:
    """Consecutive pieces of at most `rows` data."""
    for begin in range(0, len(batch["x"]), rows):
        yield {name: values[begin : begin + rows] for name, values in batch.items()}


def keep_freed_memory() -> None:
    """Have glibc keep freed blocks of megabytes for the next pass, not ask for fresh pages every time.

    A freed mapped block raises the allocator's limits to its own size (32 MiB at most; see `mallopt`,
    M_MMAP_THRESHOLD). The block is never touched, so it costs nothing; elsewhere this does nothing. Without
    it a chunk of an importance-sampled likelihood takes thousands of page faults.
    """
    torch.empty(30 * 2**20, dtype=torch.uint8)


def fitting(
    batch: Batch, draws: int, chunk: int | None = None, rows: int | None = None, passes: int = 1
) -> tuple[int, int]:
    """How many data and how many draws of each go in one pass, so that its temporaries stay small.

    A tensor of one pass, (draws, data, D), has about two million elements on a CPU, so that it stays in
    the cache, and a hundred million on a GPU. Many draws of few data are preferred: they cost one encoding.

    Args:
        batch: tells D, the number of data and the device.
        draws: number of draws of every datum that are wanted.
        chunk: largest number of draws in a pass, if the caller has chosen it.
        rows: number of data in a pass, if the caller has chosen it.
        passes: of the model for every draw; see `Model.passes`.

    Returns:
        rows, chunk.
    """
    for name, value in (("samples", draws), ("chunk", chunk), ("batch_size", rows)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` is {value}; expected 1 or more")
    x = batch["x"]
    elements = _ELEMENTS.get(x.device.type, _ELEMENTS["cpu"])
    room = max(1, elements // (max(x[0].numel(), _NARROW) * passes))  # draws x data
    if rows is None:
        rows = room // (draws if chunk is None else min(chunk, draws))
    rows = min(max(rows, 1), len(x))
    if chunk is None:
        passes = math.ceil(draws / max(1, room // rows))
        chunk = math.ceil(draws / passes)  # of equal size, rather than full ones and a small rest
    return rows, min(chunk, draws)


def with_samples(trace: Trace) -> Trace:
    """The trace, if its latents are (sample, batch, ...) or, with enumerated labels, (sample, y, batch, ...).

    Raises:
        UnsupportedError: if it has other axes.
    """
    if trace.axes not in (("sample", "batch"), ("sample", "y", "batch")):
        raise UnsupportedError(
            "importance sampling needs draws with the axes ('sample', 'batch'), perhaps with labels 'y' "
            f"between; the model's trace has {trace.axes}"
        )
    return trace


def with_density(trace: Trace) -> Trace:
    """The trace, if what was observed has a probability.

    Raises:
        UnsupportedError: if the likelihood is a mean of log-probabilities over pixels drawn by grey levels:
            it says how probable such pixels are, and not how probable the levels are.
    """
    if any(getattr(observed.p, "grey", False) for observed in trace.observed.values()):
        raise UnsupportedError(
            "the likelihood 'cross_entropy' is no density of grey levels, so that there is a bound and no "
            "log-likelihood to estimate: train with likelihood continuous_bernoulli for one"
        )
    return trace


@dataclass(frozen=True)
class Result:
    """What metrics return: frozen dataclasses, each with its own fields, that turn into JSON values."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; None for numbers that are not finite."""
        record: dict[str, Any] = plain(asdict(self))
        return record
