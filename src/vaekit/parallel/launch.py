"""Whether this process is one of several, and what they need before they can talk."""

from __future__ import annotations

import atexit
import os

import torch

from vaekit.errors import UserError
from vaekit.parallel.team import Team

_NEEDED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def rank_here() -> int:
    """Number of this process among those that were started together, 0 if it is alone."""
    return int(os.environ["RANK"]) if launched() > 1 else 0


def launched() -> int:
    """Number of processes that `torchrun` started together with this one, 1 if none."""
    return int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in _NEEDED) else 1


def team_here(device: str = "auto") -> Team | None:
    """The processes that were started with this one by `torchrun`, or None if it is alone.

    Args:
        device: cpu, cuda, or auto for the fastest that is there; every process takes a GPU of its own.

    Raises:
        UserError: if the package that lets them talk is missing, or the device is none for several processes.
    """
    if launched() == 1:
        return None
    try:
        from accelerate import PartialState
    except Exception as error:  # a broken installation is as good as none
        raise UserError(
            f"{launched()} processes were started, and training them together needs accelerate "
            f"({error}): pip install 'vaekit[distributed]', or start one process"
        ) from error
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(
            f"`device` is {device!r}; several processes take auto, cpu or cuda, each a GPU of its own"
        )
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    if on_cpu and device == "cuda":
        raise UserError("`device` is 'cuda', but there is no GPU here: take cpu or auto")
    fresh = not torch.distributed.is_initialized()
    state = PartialState(cpu=on_cpu)
    if fresh:
        atexit.register(state.destroy_process_group)
    where = torch.device("cpu") if on_cpu else state.device
    return Team(state.process_index, state.num_processes, where)
