"""`advance` is `optimizer.step()`, bit for bit, and is it itself where somebody listens."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vaekit.procedures.advance import advance

Make = Callable[[list[nn.Parameter]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, Make] = {
    "fused": lambda p: torch.optim.Adam(p, 1e-2, fused=True),
    "fused, all arguments": lambda p: torch.optim.Adam(
        p, 3e-2, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1, maximize=True, fused=True
    ),
    "amsgrad": lambda p: torch.optim.Adam(p, 1e-2, amsgrad=True, fused=True),
    "decoupled": lambda p: torch.optim.Adam(
        p, 1e-2, weight_decay=0.1, decoupled_weight_decay=True, fused=True
    ),
    "two groups": lambda p: torch.optim.Adam(
        [{"params": p[:1]}, {"params": p[1:], "lr": 1e-3}], 1e-2, fused=True
    ),
    "not fused": lambda p: torch.optim.Adam(p, 1e-2),
    "adamw": lambda p: torch.optim.AdamW(p, 1e-2, fused=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 1e-2),
}


def parameters(*dtypes: torch.dtype) -> list[nn.Parameter]:
    shapes = [(3, 4), (4,), (), (2, 2)]
    kinds = [dtypes[i % len(dtypes)] for i in range(len(shapes))]
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(s, dtype=k)) for s, k in zip(shapes, kinds, strict=True)]


def slopes(moving: list[nn.Parameter], seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(p.shape, dtype=p.dtype, generator=generator) for p in moving]


def course(make: Make, move: Callable[[Any], object], *dtypes: torch.dtype) -> list[Tensor]:
    """Parameters and all that is remembered of them after some steps that are not all alike."""
    moving = parameters(*dtypes)
    optimizer = make(moving)
    for number in range(6):
        for place, (parameter, slope) in enumerate(zip(moving, slopes(moving, number), strict=True)):
            late = place == 3 and number < 2  # joins when the others have moved already
            parameter.grad = None if late or (place == 1 and number == 4) else slope
        if number == 3:
            optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            optimizer.param_groups[0]["lr"] *= 0.5
        move(optimizer)
    for parameter in moving:
        parameter.grad = None
    move(optimizer)  # nothing to follow
    state = [v for p in moving for v in optimizer.state[p].values() if isinstance(v, Tensor)]
    return [*moving, *state]


@pytest.mark.parametrize("dtypes", [(torch.float32,), (torch.float64,), (torch.float32, torch.float64)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameters_and_state_are_those_of_step(name: str, dtypes: tuple[torch.dtype, ...]) -> None:
    make = OPTIMIZERS[name]
    ours = course(make, advance, *dtypes)
    theirs = course(make, lambda optimizer: optimizer.step(), *dtypes)
    assert len(ours) == len(theirs) > 4
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], parameters(*dtypes)[0])


def ready() -> tuple[list[nn.Parameter], torch.optim.Adam]:
    moving = parameters(torch.float32)
    optimizer = torch.optim.Adam(moving, 1e-2, fused=True)
    for parameter, slope in zip(moving, slopes(moving, 0), strict=True):
        parameter.grad = slope
    optimizer.step()
    return moving, optimizer


def test_hooks_are_called() -> None:
    _, optimizer = ready()
    heard: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: heard.append("before"))
    advance(optimizer)
    optimizer.register_step_post_hook(lambda *_: heard.append("after"))
    advance(optimizer)
    assert heard == ["before", "before", "after"]


def test_a_scheduler_of_torch_sees_the_steps() -> None:
    """It warns, and warnings are errors, if its optimiser has not moved before it."""
    _, optimizer = ready()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    advance(optimizer)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(5e-3)


def test_the_usual_step_goes_by_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    moving, optimizer = ready()
    before = moving[0].detach().clone()
    monkeypatch.setattr(torch.optim.Adam, "step", lambda *_: pytest.fail("the long way"))
    advance(optimizer)
    assert not torch.equal(moving[0], before)
