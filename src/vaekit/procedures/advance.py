"""One step of an optimiser, for those who take many small ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer


def advance(optimizer: Optimizer) -> None:
    """`optimizer.step()`, but where that is torch's fused Adam on a CPU, by the operator behind it.

    The arithmetic and the state are the same. What `Adam.step` does around them (for closures, hooks, labels
    of the profiler, several devices, captured graphs) takes as long as a small layer there and back, and a
    game makes many steps. It is done nevertheless as long as there is no state, and where somebody would miss
    it: with hooks on the optimiser, or where its `step` has been replaced, as torch's schedulers do.
    """
    if not _plain(optimizer):
        optimizer.step()
        return
    group = optimizer.param_groups[0]
    moving: list[Tensor] = []
    slopes: list[Tensor] = []
    states: list[dict[str, Any]] = []
    for parameter in group["params"]:
        if (slope := parameter.grad) is not None:
            moving.append(parameter)
            slopes.append(slope)
            states.append(optimizer.state.get(parameter, {}))
    if not moving or not all(states) or not all(p.is_cpu and p.dtype is moving[0].dtype for p in moving):
        optimizer.step()
        return
    steps = [state["step"] for state in states]
    beta1, beta2 = group["betas"]
    with torch.no_grad():
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            moving,
            slopes,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            steps,
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=group["maximize"],
        )


_OTHERWISE = ("amsgrad", "decoupled_weight_decay", "capturable", "differentiable")


def _plain(optimizer: Optimizer) -> bool:
    """Whether it is a fused Adam like any other, on which nobody keeps an eye."""
    if type(optimizer) is not Adam or len(optimizer.param_groups) > 1 or "step" in vars(optimizer):
        return False
    if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
        return False
    group = optimizer.param_groups[0]
    return group["fused"] is True and not any(group[name] for name in _OTHERWISE)
