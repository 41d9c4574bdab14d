"""Networks between data, latents and conditions, as architectures and papers name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vaekit.checks import sizes, whole
from vaekit.conditionals.parts import MakeNetwork, Shape
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.networks import Activation, Architecture, Init, Tokens, make_decoder, make_encoder, resolve


@dataclass(frozen=True)
class Dense:
    """What a fully connected network of a paper looks like, where the caller says nothing else.

    Args:
        hidden: widths of the hidden layers, or None for the network's own.
        activation: their nonlinearity.
        init: how the initial weights are drawn.
    """

    hidden: tuple[int, ...] | None = None
    activation: Activation = "relu"
    init: Init = "torch"


RELU = Dense()
"""The network's own widths."""

BURDA = Dense((200, 200), "tanh", "glorot")
"""The networks of Burda et al. 2016 around one layer of latents."""


def encoder_of(
    spec: Spec,
    architecture: Architecture,
    hidden: Sequence[int] | None,
    activation: Activation | None = None,
    dense: Dense = RELU,
) -> MakeNetwork:
    """Networks from x, and the condition where the data has one; see `network_from`.

    Tokens come in one-hot: their numbers are names, not amounts.
    """
    if spec.vocabulary is None:
        return network_from([spec.shape, *conditions(spec)], architecture, hidden, activation, dense)
    count = len(spec.vocabulary)
    make = network_from(
        [(count * spec.dimensions,), *conditions(spec)], architecture, hidden, activation, dense
    )
    return lambda output: Tokens(make(output), count)


def decoder_of(
    spec: Spec,
    architecture: Architecture,
    hidden: Sequence[int] | None,
    latents: Sequence[int | Shape],
    activation: Activation | None = None,
    dense: Dense = RELU,
) -> MakeNetwork:
    """Networks from one or more latents, and the condition where the data has one, to x.

    Args:
        spec: the data.
        architecture: which network.
        hidden: widths of the hidden layers, or None.
        latents: dimensions of each latent vector, or the event shape of another latent.
        activation: nonlinearity of the hidden layers, or None.
        dense: what a fully connected network looks like where `hidden` and `activation` are None.

    Raises:
        UnsupportedError: if `hidden` or `activation` is given to an architecture whose layers are fixed.
    """
    inputs = [
        *((whole("latents", n),) if isinstance(n, int) else n for n in latents),
        *conditions(spec),
    ]
    layers = _layers(architecture, spec.shape, hidden, activation, dense)
    return lambda output: make_decoder(architecture, inputs, output, *layers)


def network_from(
    inputs: Sequence[Shape],
    architecture: Architecture,
    hidden: Sequence[int] | None,
    activation: Activation | None = None,
    dense: Dense = RELU,
) -> MakeNetwork:
    """Networks from inputs of the given event shapes to parameters.

    Args:
        inputs: event shapes; the first says what the architecture auto means.
        architecture: which network.
        hidden: widths of the hidden layers, or None.
        activation: nonlinearity of the hidden layers, or None.
        dense: what a fully connected network looks like where `hidden` and `activation` are None.

    Raises:
        UnsupportedError: if `hidden` or `activation` is given to an architecture whose layers are fixed.
    """
    layers = _layers(architecture, inputs[0], hidden, activation, dense)
    return lambda output: make_encoder(architecture, inputs, output, *layers)


def _layers(
    architecture: Architecture,
    event: Shape,
    hidden: Sequence[int] | None,
    activation: Activation | None,
    dense: Dense,
) -> tuple[Sequence[int] | None, Activation | None, Init | None]:
    """Widths, nonlinearity and initial weights as the architecture takes them; None where it takes none."""
    if hidden is not None:
        sizes("hidden", hidden)
    chosen = resolve(architecture, event)
    meant = f"`architecture` {architecture!r} means {chosen!r} for the shape {tuple(event)}"
    if hidden is not None and chosen not in ("mlp", "gated"):
        raise UnsupportedError(
            f"`hidden` is {tuple(hidden)}, but {meant}, whose layers are fixed: leave `hidden` out, or take "
            "architecture mlp"
        )
    if activation is not None and chosen != "mlp":
        raise UnsupportedError(
            f"`activation` is {activation!r}, but {meant}, which has its own: leave `activation` out, or "
            "take architecture mlp"
        )
    if chosen == "mlp":
        return hidden if hidden is not None else dense.hidden, activation or dense.activation, dense.init
    return (hidden if hidden is not None else dense.hidden) if chosen == "gated" else None, None, None


def conditions(spec: Spec) -> list[Shape]:
    """[event shape of c], or []."""
    return [] if spec.context is None else [spec.context]


def unconditional(spec: Spec, system: str) -> None:
    """Refuse data with a condition for a system that has no place for it.

    Raises:
        UnsupportedError: if the data has a condition.
    """
    if spec.context is not None:
        raise UnsupportedError(
            f"{spec.name!r} comes with a condition {tuple(spec.context)}, which {system} has no place for: "
            "leave `context` out of the data options, or take the recipe vae or cvae"
        )
