"""Standardised pictures: networks and errors in standard deviations, data and samples in their own unit."""

from __future__ import annotations

from collections.abc import Sequence

from vaekit.checks import number
from vaekit.conditionals.parts import MakeNetwork
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.networks import Restored, Standardised


def picture_of(spec: Spec, system: str) -> tuple[int, int, int]:
    """The shape of one datum, (channels, height, width).

    Raises:
        UnsupportedError: if it is no picture.
    """
    if len(spec.shape) != 3:
        raise UnsupportedError(
            f"{spec.name!r} holds data of shape {spec.shape}; {system} is for pictures (channels, height, "
            "width): take vae or beta_vae"
        )
    return spec.shape[0], spec.shape[1], spec.shape[2]


def standardised(
    encoder: MakeNetwork, decoder: MakeNetwork, spec: Spec, mean: Sequence[float], std: Sequence[float]
) -> tuple[MakeNetwork, MakeNetwork]:
    """Encoder and decoder as if the data were (x - mean) / std, each channel by its own constants.

    With an error in units of `std` the training is that of standardised data, step for step.

    Args:
        encoder: networks whose first input is the picture.
        decoder: networks that make the picture.
        spec: the data.
        mean, std: one number for all channels, or one each.

    Raises:
        ValueError: for other numbers of constants, or a standard deviation that is not positive.
    """
    channels = spec.shape[0]
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels):
            raise ValueError(
                f"`{name}` has {len(values)} numbers, the data {channels} channels; expected one number for "
                "all of them, or one each"
            )
        for i, value in enumerate(values):
            number(f"{name}[{i}]", value, above=0) if name == "std" else number(f"{name}[{i}]", value)
    if set(mean) == {0.0} and set(std) == {1.0}:
        return encoder, decoder
    return (
        lambda shape: Standardised(encoder(shape), mean, std),
        lambda shape: Restored(decoder(shape), mean, std),
    )
