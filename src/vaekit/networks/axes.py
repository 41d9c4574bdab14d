"""What every network does with the axes of its tensors: check events, join inputs, keep leading axes.

A tensor is `(*lead, *event)`: the leading axes (`sample`, `batch`, ...) belong to the trace, the event axes
to the network. Networks compute on events and hand the leading axes on, broadcast against each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Event = tuple[int, ...]
"""The shape of one datum, without leading axes."""


def checked_events(inputs: Sequence[Sequence[int]], output: Sequence[int]) -> tuple[tuple[Event, ...], Event]:
    """The event shapes as tuples of positive integers.

    Raises:
        TypeError: `inputs` is one shape instead of a sequence of shapes, or a size is no integer.
        ValueError: there is no input, or an event has no axis or a size below one.
    """
    if any(isinstance(event, int) for event in inputs):
        raise TypeError(f"`inputs` is {inputs!r}; expected one event shape for each input, such as [(784,)]")
    if not inputs:
        raise ValueError("`inputs` is empty; expected the event shape of at least one input")
    events = tuple(_checked(f"inputs[{i}]", event) for i, event in enumerate(inputs))
    return events, _checked("output", output)


def _checked(name: str, event: Sequence[int]) -> Event:
    if isinstance(event, int) or not all(isinstance(n, int) for n in event):
        raise TypeError(f"`{name}` is {event!r}; expected a tuple of integers, such as (784,) or (1, 28, 28)")
    if not event or any(n < 1 for n in event):
        raise ValueError(f"`{name}` is {tuple(event)}; expected one or more sizes of at least 1")
    return tuple(event)


def checked_widths(name: str, widths: Sequence[int]) -> tuple[int, ...]:
    """The widths of hidden layers as a tuple of positive integers; an empty one is allowed.

    Raises:
        ValueError: a width is below one.
    """
    if any(n < 1 for n in widths):
        raise ValueError(f"`{name}` is {tuple(widths)}; expected widths of at least 1")
    return tuple(widths)


def checked_image(network: str, name: str, event: Event, sizes: tuple[int, ...]) -> tuple[int, int]:
    """Channels and side length of a square image event, if its side is one of `sizes`.

    Raises:
        ValueError: the event is no square image of one of the sizes.
    """
    if len(event) != 3 or event[1] != event[2] or event[1] not in sizes:
        accepted = " or ".join(f"(channels, {n}, {n})" for n in sizes)
        raise ValueError(
            f"`{name}` is {event}, but {network} takes {accepted}; resize the images or take another network"
        )
    return event[0], event[1]


def check_call(given: Sequence[Tensor], events: tuple[Event, ...]) -> None:
    """Compare the tensors of a call with the event shapes of the network.

    Raises:
        ValueError: the number of tensors or a trailing shape differs.
    """
    if len(given) != len(events):
        raise ValueError(f"got {len(given)} inputs; expected {len(events)}, with event shapes {events}")
    for i, (x, event) in enumerate(zip(given, events, strict=True)):
        if x.shape[-len(event) :] != event:
            raise ValueError(
                f"input {i} has shape {tuple(x.shape)}; expected leading axes followed by the event {event}"
            )


def flat(x: Tensor, event: Event) -> Tensor:
    """Merge the event axes: (*lead, *event) -> (*lead, prod(event))."""
    return x if len(event) == 1 else x.flatten(-len(event))


def flattened(given: Sequence[Tensor], events: tuple[Event, ...]) -> list[Tensor]:
    """The tensors of a call, their event axes merged: (*lead_i, prod(event_i)) each.

    Raises:
        ValueError: as `check_call`.
    """
    parts = []
    for x, event in zip(given, events, strict=False):
        axes = len(event)
        if x.shape[-axes:] != event:
            break
        parts.append(x if axes == 1 else x.flatten(-axes))
    if not len(parts) == len(given) == len(events):
        check_call(given, events)  # says what differs
    return parts


def shaped(x: Tensor, event: Event) -> Tensor:
    """Split the last axis into the event axes: (*lead, prod(event)) -> (*lead, *event)."""
    return x if len(event) == 1 else x.reshape(x.shape[:-1] + event)


def fold(x: Tensor, axes: int) -> tuple[Tensor, torch.Size]:
    """Merge the leading axes before the last `axes` ones into one, and return their sizes for `unfold`."""
    lead = x.shape[:-axes]
    if len(lead) == 1:
        return x, lead
    return (x.flatten(0, -axes - 1) if lead else x.unsqueeze(0)), lead


def unfold(x: Tensor, lead: torch.Size) -> Tensor:
    """Split the first axis into the leading axes that `fold` merged."""
    if len(lead) == 1:
        return x
    return x.reshape(lead + x.shape[1:])


def joined(layer: nn.Linear, parts: Sequence[Tensor]) -> Tensor:
    """The linear map of the parts laid side by side: `W [p_1; p_2; ...] + b`, leading axes broadcast.

    Parts with unequal leading axes are multiplied by their own columns of W and the products are added, so
    that a context (B, m) beside samples (S, B, n) is neither copied nor multiplied S times.

    Args:
        layer: a linear layer with as many input features as all parts together.
        parts: tensors (*lead_i, n_i).

    Returns:
        (*lead, features) with the leading axes broadcast.

    Raises:
        ValueError: the leading axes do not broadcast.
    """
    if len(parts) == 1:
        only: Tensor = layer(parts[0])
        return only
    lead = parts[0].shape[:-1]
    if all(part.shape[:-1] == lead for part in parts):
        together: Tensor = layer(torch.cat(tuple(parts), -1))
        return together
    leads = [tuple(part.shape[:-1]) for part in parts]
    try:
        torch.broadcast_shapes(*leads)
    except RuntimeError:
        raise ValueError(
            f"the leading axes {leads} of the inputs do not broadcast; expected equal sizes from the right"
        ) from None
    weight, end = layer.weight, parts[0].shape[-1]
    total = functional.linear(parts[0], weight[:, :end], layer.bias)
    for part in parts[1:]:
        start, end = end, end + part.shape[-1]
        total = total + functional.linear(part, weight[:, start:end])
    return total
