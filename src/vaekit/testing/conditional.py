"""What a conditional owes to everything that uses it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.errors import UnsupportedError
from vaekit.testing.words import close, require


def check_conditional(
    conditional: nn.Module, *context: Tensor, event: tuple[int, ...], density: bool = True
) -> None:
    """Check a conditional: shapes, finite values, gradients, saving, float64, batch of one, sample axes.

    The conditional is copied first and stays as it is.

    Args:
        conditional: a module whose call returns a distribution.
        context: its arguments, each (B, ...), B > 1; none for a prior without a condition.
        event: the event shape that its distribution should have.
        density: whether it has a density. A point mass has none, and must then refuse `log_prob`.

    Raises:
        AssertionError: naming the contract that it breaks.
    """
    module = copy.deepcopy(conditional).double()
    given = tuple(c.double() if c.is_floating_point() else c for c in context)
    name = type(conditional).__name__
    with torch.random.fork_rng():
        distribution = module(*given)
        require(
            isinstance(distribution, Distribution),
            f"{name} returned {type(distribution).__name__}; expected a torch Distribution",
        )
        _shapes(name, distribution, given, event)
        _refuses_or_draws(name, module, given, density)
        if density:
            _gradients(name, module, given)
            _saving(name, module, given)
            module.eval()
            if given:
                _one(name, module, given)
                _sample_axes(name, module, given)


def _draw(distribution: Distribution) -> Tensor:
    # the optimal-variance likelihood cannot be drawn from while it trains: its centre serves as a value
    try:
        return distribution.sample().detach()
    except NotImplementedError:
        return distribution.mean.detach() + 0.1


def _shapes(
    name: str, distribution: Distribution, context: tuple[Tensor, ...], event: tuple[int, ...]
) -> None:
    require(
        tuple(distribution.event_shape) == event,
        f"{name} has event shape {tuple(distribution.event_shape)}; expected {event}",
    )
    lead = (len(context[0]),) if context else ()
    batch = tuple(distribution.batch_shape)
    require(batch in (lead, ()), f"{name} has batch shape {batch}; expected {lead}, as its context")
    require(
        tuple(_draw(distribution).shape) == (*batch, *event),
        f"a draw of {name} has shape {tuple(_draw(distribution).shape)}; expected {(*batch, *event)}",
    )
    if distribution.has_rsample and hasattr(distribution, "rsample"):
        try:
            drawn = distribution.rsample(torch.Size((2,)))
        except NotImplementedError:
            return
        require(
            tuple(drawn.shape) == (2, *batch, *event),
            f"two draws of {name} have shape {tuple(drawn.shape)}; expected {(2, *batch, *event)}",
        )


def _refuses_or_draws(name: str, module: nn.Module, context: tuple[Tensor, ...], density: bool) -> None:
    distribution = module(*context)
    value = _draw(distribution)
    require(
        value.dtype == torch.float64, f"a draw of {name} in float64 is {value.dtype}: something is float32"
    )
    if not density:
        try:
            distribution.log_prob(value)
        except UnsupportedError:
            return
        raise AssertionError(f"{name} has no density, but its log_prob returned a number; expected a refusal")
    found = distribution.log_prob(value)
    require(
        found.shape == distribution.batch_shape,
        f"log_prob of {name} has shape {tuple(found.shape)}; expected {tuple(distribution.batch_shape)}: the "
        "event is summed",
    )
    require(bool(found.isfinite().all()), f"log_prob of {name} at its own draw is not finite: {found}")
    require(found.dtype == torch.float64, f"log_prob of {name} in float64 is {found.dtype}")


def _reached(name: str, what: str, module: nn.Module, total: Tensor) -> None:
    parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
    if not parameters:
        return
    require(total.requires_grad, f"{what} of {name} has no gradient at all")
    gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        require(gradient is not None, f"{what} of {name} does not depend on its parameter {parameter!r}")
        require(
            gradient is None or bool(gradient.isfinite().all()),
            f"the gradient of {what} of {name} at {parameter!r} is not finite",
        )
        require(
            gradient is None or bool((gradient != 0).any()),
            f"the gradient of {what} of {name} at {parameter!r} is zero everywhere",
        )


def _gradients(name: str, module: nn.Module, context: tuple[Tensor, ...]) -> None:
    distribution = module(*context)
    # a value that belongs to the same kind of data, but not to the same datum
    value = _draw(distribution)
    value = value.roll(1, 0) if distribution.batch_shape else value
    _reached(name, "log_prob", module, distribution.log_prob(value).sum())
    if distribution.has_rsample:
        fresh = module(*context)
        try:
            drawn = fresh.rsample()
        except NotImplementedError:
            return
        if any(True for _ in module.parameters()):
            _reached(
                name, "rsample", module, (drawn * torch.linspace(1, 2, drawn.numel()).view_as(drawn)).sum()
            )


def _saving(name: str, module: nn.Module, context: tuple[Tensor, ...]) -> None:
    fresh = copy.deepcopy(module)
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.add_(0.3)
    fresh.load_state_dict({key: value.clone() for key, value in module.state_dict().items()})
    distribution = module(*context)
    value = _draw(distribution)
    require(
        close(fresh(*context).log_prob(value), distribution.log_prob(value), 0),
        f"{name} does not come back from its state dict: its log_prob is another one",
    )


def _one(name: str, module: nn.Module, context: tuple[Tensor, ...]) -> None:
    distribution = module(*context)
    if not distribution.batch_shape:
        return
    value = _draw(distribution)
    alone = module(*(c[:1] for c in context)).log_prob(value[:1])
    require(
        close(alone, distribution.log_prob(value)[:1]),
        f"{name} gives a batch of one another log_prob than the same datum among others",
    )


def _sample_axes(name: str, module: nn.Module, context: tuple[Tensor, ...]) -> None:
    rolled = [tuple(c.roll(shift, 0) for c in context) for shift in range(3)]
    stacked = tuple(torch.stack(parts) for parts in zip(*rolled, strict=True))
    distribution = module(*stacked)
    if not distribution.batch_shape:
        return
    lead = (3, len(context[0]))
    require(
        tuple(distribution.batch_shape) == lead,
        f"{name} with a sample axis has batch shape {tuple(distribution.batch_shape)}; expected {lead}",
    )
    value = _draw(module(*context))
    expected = torch.stack([module(*parts).log_prob(value) for parts in rolled])
    require(
        close(distribution.log_prob(value), expected),
        f"log_prob of {name} with a sample axis differs from that of every sample alone",
    )
