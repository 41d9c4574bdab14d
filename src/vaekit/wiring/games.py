"""What games on the data share: networks with their critics, point decoders, and margins of equilibrium."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from vaekit.checks import known, number, whole
from vaekit.conditionals import Deterministic
from vaekit.conditionals.parts import MakeNetwork, Shape
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Flat
from vaekit.networks import Architecture
from vaekit.networks.critics import CONV28_LAYER, LARSEN_LAYER, Critic, CriticArchitecture, make_critic
from vaekit.networks.larsen import SIZES, LarsenDecoder, LarsenEncoder
from vaekit.procedures import Guard
from vaekit.wiring.names import make_posterior, make_prior
from vaekit.wiring.networks import conditions, decoder_of, encoder_of

GameArchitecture = Literal["auto", "mlp", "gated", "conv"]
"""auto: conv for images of 32 or 64 pixels, mlp for everything else. mlp: fully connected. gated: the same
with gates, but for the critics. conv: the small pair at 28 pixels, the networks of Larsen et al. 2016 at 64
and 32."""


@dataclass(frozen=True)
class Arena:
    """The networks of a game on data of one kind.

    Args:
        model: encoder, N(0, I), and a decoder that ends in a point: it has no density.
        critic: makes a critic from its number of logits and the layer whose features are taken, None for the
            last one before the logits.
        layer: of the critic, whose features are compared: its last convolution, or its first layer.
        gamma: weight of likeness that suits their number.
    """

    model: Flat
    critic: Callable[[int, int | None], Critic]
    layer: int
    gamma: float


def arena(
    spec: Spec,
    latents: int,
    architecture: GameArchitecture,
    hidden: Sequence[int] | None,
) -> Arena:
    """Encoder, decoder and critics by the shape of the data.

    Raises:
        UnsupportedError: if the data are counts or classes, which no point between them can imitate, or
            `hidden` is given to convolutions.
        ValueError: if there are no convolutions for the shape.
    """
    known("architecture", architecture, GameArchitecture)
    imitable(spec)
    event = spec.shape
    side = event[1] if len(event) == 3 and event[1] == event[2] else 0
    convolutions = architecture == "conv" or (architecture == "auto" and side in SIZES)
    if convolutions and side not in (28, *SIZES):
        raise ValueError(
            f"`architecture` is 'conv', which takes images of 28, 32 or 64 pixels; {spec.name!r} has "
            f"{event}: take mlp or gated, or resize the images"
        )
    if convolutions and hidden is not None:
        raise UnsupportedError(
            f"`hidden` is {tuple(hidden)}, but the convolutions for {event} have fixed layers: leave it out, "
            "or take architecture mlp or gated"
        )
    encoder: MakeNetwork
    decoder: MakeNetwork
    larsen = convolutions and side in SIZES
    if larsen:
        encoder = partial(LarsenEncoder, [event, *conditions(spec)])
        decoder = partial(LarsenDecoder, [(whole("latents", latents),), *conditions(spec)])
    else:
        name: Architecture = "conv" if convolutions else "gated" if architecture == "gated" else "mlp"
        encoder = encoder_of(spec, name, hidden)
        decoder = decoder_of(spec, name, hidden, [latents])
    model = Flat(
        make_posterior("diagonal", encoder, latents),
        make_prior("standard", latents),
        Deterministic(decoder, event, bounded=spec.kind != "real"),
    )
    kind: CriticArchitecture = "conv" if convolutions else "mlp"
    first = 1 if hidden is None else min(1, len(hidden))
    return Arena(
        model,
        critic=lambda outputs, layer: make_critic(kind, event, outputs, hidden, layer),
        layer=LARSEN_LAYER if larsen else CONV28_LAYER if convolutions else first,
        gamma=5e-5 if larsen else 1.0,
    )


def imitable(spec: Spec) -> None:
    """Refuse data that no decoder without noise can imitate.

    Raises:
        UnsupportedError: if they are counts or classes.
    """
    if spec.kind not in ("binary", "unit", "real"):
        raise UnsupportedError(
            f"{spec.name!r} is {spec.kind}, and a discriminator tells its whole values from a decoder's "
            "points at once: take binary, unit or real data, or a recipe with a likelihood, such as vae"
        )


def labelled(spec: Spec, system: str) -> int:
    """The number of classes of data that come with their label as one-hot condition.

    Raises:
        UnsupportedError: if they do not.
    """
    if spec.classes is None:
        raise UnsupportedError(
            f"{system} needs data with labels, and {spec.name!r} has none: take a labelled set, or vae_gan"
        )
    if spec.context != (spec.classes,):
        found = "none" if spec.context is None else f"one of shape {spec.context}"
        raise UnsupportedError(
            f"{system} takes the label as condition, and {spec.name!r} comes with {found}: load it with the "
            'data option context="labels"'
        )
    return spec.classes


def features_of(critic: Critic, event: Shape) -> int:
    """Number of features F of a critic."""
    with torch.no_grad():
        return int(critic.features(torch.zeros(2, *event)).shape[1])


def balance(
    player: str, fakes: Sequence[str], centre: float, margin: float | None
) -> tuple[Guard | None, Guard | None]:
    """Guards that keep a discriminator and its opponent in balance: (discriminator's, opponent's).

    With the mean costs real = -log D(x) and fake = -log(1 - D(.)) of the step, the discriminator rests where
    either is below centre - margin: it is ahead. The opponent rests where either is above centre + margin.
    Where both would rest, both move. The decision falls on the device.

    Args:
        player: name of the discriminator, whose terms are `real` and `fakes`.
        fakes: names of its terms for imitations; their mean counts.
        centre: cost at the equilibrium; ln 2 where D = 1/2.
        margin: how far a cost may go from it; None for no guards.
    """
    if margin is None:
        return None, None
    number("margin", margin, least=0)
    low, high = centre - margin, centre + margin

    def ahead_and_behind(values: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        real = values[f"{player}/real"]
        fake = torch.stack([values[f"{player}/{name}"] for name in fakes]).mean()
        return (real < low) | (fake < low), (real > high) | (fake > high)

    def discriminator(values: Mapping[str, Tensor]) -> Tensor:
        ahead, behind = ahead_and_behind(values)
        return ~ahead | behind

    def opponent(values: Mapping[str, Tensor]) -> Tensor:
        ahead, behind = ahead_and_behind(values)
        return ~behind | ahead

    return discriminator, opponent
