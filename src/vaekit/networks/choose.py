"""Networks by the name of their architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from torch import nn

from vaekit.networks.axes import Event, checked_events
from vaekit.networks.conv28 import Conv28Decoder, Conv28Encoder
from vaekit.networks.conv64 import StudyDecoder, StudyEncoder
from vaekit.networks.dense_blocks import SIDES, DenseBlockDecoder, DenseBlockEncoder
from vaekit.networks.gated import GatedMLP
from vaekit.networks.mlp import MLP, Activation, Init
from vaekit.networks.resnet import SIZES, ResidualDecoder, ResidualEncoder

Architecture = Literal["auto", "mlp", "gated", "conv", "resnet", "dense_blocks"]
"""auto: conv at 64x64 pixels, resnet at 32x32 and 128x128, mlp for everything else.
mlp: fully connected. gated: fully connected with gates. conv: the convolutional pair for 28x28 or 64x64
images. resnet: residual blocks for images of 32, 64 or 128 pixels. dense_blocks: densely connected
convolutions for fields of 17, 33 or 65 nodes, with batch normalisation."""

Chosen = Literal["mlp", "gated", "conv", "resnet", "dense_blocks"]

_FITTING: dict[Chosen, tuple[int, ...]] = {"conv": (28, 64), "resnet": SIZES, "dense_blocks": SIDES}


def resolve(architecture: Architecture, event: Sequence[int]) -> Chosen:
    """The architecture that `auto` means for an event, or the named one if it fits.

    Args:
        architecture: a name, or auto.
        event: event shape of the datum: the first input of an encoder, the output of a decoder.

    Raises:
        ValueError: there is no such architecture, or it does not take such a shape.

    Example:
        >>> resolve("auto", (1, 64, 64)), resolve("auto", (3, 32, 32)), resolve("auto", (1, 28, 28))
        ('conv', 'resnet', 'mlp')
    """
    shape: Event = tuple(event)
    side = shape[1] if len(shape) == 3 and shape[1] == shape[2] else None
    if architecture == "auto":
        return "conv" if side == 64 else "resnet" if side in SIZES else "mlp"
    if architecture not in get_args(Architecture):
        raise ValueError(
            f"`architecture` is {architecture!r}; expected one of {', '.join(get_args(Architecture))}"
        )
    sizes = _FITTING.get(architecture)
    if sizes is not None and side not in sizes:
        accepted = ", ".join(f"(channels, {n}, {n})" for n in sizes)
        raise ValueError(
            f"`architecture` {architecture!r} takes images {accepted}; got {shape}: "
            "take 'mlp', or resize the images"
        )
    return architecture


def make_encoder(
    architecture: Architecture,
    inputs: Sequence[tuple[int, ...]],
    output: tuple[int, ...],
    hidden: Sequence[int] | None = None,
    activation: Activation | None = None,
    init: Init | None = None,
) -> nn.Module:
    """Build the network of an encoder, whose first input is the datum.

    Args:
        architecture: which network; auto goes by the shape of the first input.
        inputs: event shapes of the datum and of what else is known (a label, a context).
        output: event shape of the result, such as (2 n,) for means and log-scales.
        hidden: widths of the hidden layers of mlp and gated, or None for their own defaults. The
            convolutional architectures have fixed layers: this says nothing to them.
        activation: nonlinearity of the hidden layers of mlp, or None for its own default.
        init: how the initial weights of mlp are drawn, or None for its own default.

    Raises:
        ValueError: the architecture does not take the shape of the first input, a shape or width is not
            allowed, or `activation` or `init` is given to another architecture than mlp.
    """
    events, event = checked_events(inputs, output)
    chosen = resolve(architecture, events[0])
    _only_mlp(chosen, activation, init)
    if chosen == "conv":
        return (StudyEncoder if events[0][1] == 64 else Conv28Encoder)(events, event)
    if chosen == "resnet":
        return ResidualEncoder(events, event)
    if chosen == "dense_blocks":
        return DenseBlockEncoder(events, event)
    return _dense(chosen, events, event, hidden, activation, init)


def make_decoder(
    architecture: Architecture,
    inputs: Sequence[tuple[int, ...]],
    output: tuple[int, ...],
    hidden: Sequence[int] | None = None,
    activation: Activation | None = None,
    init: Init | None = None,
) -> nn.Module:
    """Build the network of a decoder, whose output parametrises the datum.

    Args:
        architecture: which network; auto goes by the shape of the output.
        inputs: event shapes of the latent and of what else is known (a label, a context).
        output: event shape of the result; (P C, height, width) for images with P parameters for each value.
        hidden: widths of the hidden layers of mlp and gated, or None for their own defaults. The
            convolutional architectures have fixed layers: this says nothing to them.
        activation: nonlinearity of the hidden layers of mlp, or None for its own default.
        init: how the initial weights of mlp are drawn, or None for its own default.

    Raises:
        ValueError: the architecture does not take the shape of the output, a shape or width is not allowed,
            or `activation` or `init` is given to another architecture than mlp.
    """
    events, event = checked_events(inputs, output)
    chosen = resolve(architecture, event)
    _only_mlp(chosen, activation, init)
    if chosen == "conv":
        return (StudyDecoder if event[1] == 64 else Conv28Decoder)(events, event)
    if chosen == "resnet":
        return ResidualDecoder(events, event)
    if chosen == "dense_blocks":
        return DenseBlockDecoder(events, event)
    return _dense(chosen, events, event, hidden, activation, init)


def _only_mlp(chosen: Chosen, activation: Activation | None, init: Init | None) -> None:
    for name, value in (("activation", activation), ("init", init)):
        if value is not None and chosen != "mlp":
            raise ValueError(
                f"`{name}` is {value!r}, but {chosen!r} has its own: leave it out, or take 'mlp'"
            )


def _dense(
    chosen: Literal["mlp", "gated"],
    inputs: Sequence[Event],
    output: Event,
    hidden: Sequence[int] | None,
    activation: Activation | None,
    init: Init | None,
) -> nn.Module:
    if chosen == "gated":
        return GatedMLP(inputs, output) if hidden is None else GatedMLP(inputs, output, hidden)
    widths = (400,) if hidden is None else hidden
    return MLP(inputs, output, widths, activation or "relu", init or "torch")
