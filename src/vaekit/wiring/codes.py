"""Networks and objectives around quantised latents."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from vaekit.checks import known, number, sizes, whole
from vaekit.conditionals.codes import Learning, Quantised, UniformCodes, refuse_more_codes_than_vectors
from vaekit.conditionals.parts import MakeNetwork, Shape
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import TopDown
from vaekit.networks import MLP, CodeDecoder, CodeEncoder, CodeHead, CodePyramid
from vaekit.networks.codes import WIDTHS, halved
from vaekit.objective import Objective
from vaekit.system import Stage
from vaekit.terms import CodebookLoss, Commitment, Distortion, Term
from vaekit.wiring.names import LikelihoodName, make_likelihood
from vaekit.wiring.networks import conditions

CodeArchitecture = Literal["auto", "mlp", "conv"]
"""auto: conv for square images of at least 16 pixels, mlp for everything else.
mlp: fully connected, to a row of code positions. conv: two strided convolutions and residual blocks, to a map
of a quarter of the side length."""

HIDDEN = (256, 128)
POSITIONS = 16
LEAST_SIDE = 16
_HEADS = 4


class CodeNetworks(NamedTuple):
    """The networks around one quantised latent, and its event shape (D, *positions)."""

    encoder: MakeNetwork
    decoder: MakeNetwork
    event: Shape


def code_networks(
    spec: Spec,
    architecture: CodeArchitecture,
    hidden: Sequence[int] | None,
    dims: int,
    positions: int | None,
) -> CodeNetworks:
    """Encoder and decoder around a map or a row of codes.

    Args:
        spec: the data; a condition goes into both networks.
        architecture: which networks.
        hidden: widths of the layers of a fully connected encoder, which the decoder mirrors; or the channels
            of the two strided convolutions.
        dims: D, dimensions of a code.
        positions: number of codes of a fully connected encoder; 16 if nothing is said.

    Raises:
        UnsupportedError: if `positions` is given to convolutions, whose map follows from the image.
        ValueError: if the architecture does not take this shape of data.
    """
    known("architecture", architecture, CodeArchitecture)
    whole("dims", dims)
    if hidden is not None:
        sizes("hidden", hidden)
    square = len(spec.shape) == 3 and spec.shape[1] == spec.shape[2]
    if architecture == "auto":
        architecture = "conv" if square and spec.shape[1] >= LEAST_SIDE else "mlp"
    inputs = [spec.shape, *conditions(spec)]
    if architecture == "conv":
        if not square:
            raise ValueError(
                f"`architecture` 'conv' takes square images (channels, n, n); {spec.name!r} has "
                f"{spec.shape}: take mlp"
            )
        if positions is not None:
            raise UnsupportedError(
                f"`positions` is {positions}, but the map of convolutional codes follows from the image: "
                "leave it out, or take architecture mlp"
            )
        side = halved(halved(spec.shape[1]))
        event: Shape = (dims, side, side)
        widths = WIDTHS if hidden is None else tuple(hidden)
        return CodeNetworks(
            partial(CodeEncoder, inputs, hidden=widths),
            partial(CodeDecoder, [event, *conditions(spec)], hidden=widths),
            event,
        )
    event = (dims, whole("positions", POSITIONS if positions is None else positions))
    layers = HIDDEN if hidden is None else tuple(hidden)
    return CodeNetworks(
        partial(MLP, inputs, hidden=layers),
        partial(MLP, [event, *conditions(spec)], hidden=layers[::-1]),
        event,
    )


def two_level_codes(
    spec: Spec,
    codes: int,
    dims: int,
    decay: float,
    restart: float,
    likelihood: LikelihoodName,
    hidden: Sequence[int] = WIDTHS,
) -> TopDown:
    """The model of VQ-VAE-2 with two levels: `z1` of a quarter, `z2` of an eighth of the side length.

    Raises:
        UnsupportedError: if the data are no square images of at least 4 pixels.
        ValueError: if a codebook is larger than the data.
    """
    if len(spec.shape) != 3 or spec.shape[1] != spec.shape[2] or spec.shape[1] < 4:
        raise UnsupportedError(
            f"two levels of codes need square images (channels, n, n) of at least 4 pixels; {spec.name!r} "
            f"has {spec.shape}: take vq_vae"
        )
    whole("dims", dims)
    further = conditions(spec)
    features = CodePyramid([spec.shape, *further], hidden)
    bottom, top = (dims, *features.bottom[1:]), (dims, *features.top[1:])
    for event in (bottom, top):
        refuse_more_codes_than_vectors(codes, event[1:], spec.size)
    above = Quantised(partial(CodeHead, features.top), top, codes, decay=decay, restart=restart)
    below = Quantised(
        partial(CodeHead, features.bottom, above=top), bottom, codes, decay=decay, restart=restart
    )
    decoder = partial(CodeDecoder, [bottom, top, *further], hidden=hidden, maps=2)
    return TopDown(
        posteriors=[below, above],
        priors=[UniformCodes(below), UniformCodes(above)],
        likelihood=make_likelihood(likelihood, spec, decoder),
        features=features,
    )


def prior_stage(
    name: str,
    latent: str,
    width: int,
    blocks: int,
    attention: int,
    given: str | None = None,
    context_levels: int | None = None,
) -> Stage:
    """The stage that learns an autoregressive prior over the codes of a latent."""
    if whole("prior_width", width) % _HEADS:
        raise ValueError(
            f"`prior_width` is {width}; expected a multiple of {_HEADS}, the heads of its attention"
        )
    if whole("prior_attention", attention, least=0) > whole("prior_blocks", blocks):
        raise ValueError(
            f"`prior_attention` is {attention}; expected at most {blocks}, the number of its blocks"
        )
    arguments: dict[str, Any] = {"width": width, "blocks": blocks, "attention": attention, "heads": _HEADS}
    if given is not None:
        arguments["context_levels"] = context_levels
    return Stage(name, "code_prior", arguments, latent, given)


def codebook_terms(beta: float, learning: Learning) -> Objective:
    """-log p(x|z) + beta |z_e - sg[e]|^2, and + |sg[z_e] - e|^2 where the codebook is learned by gradient.

    The rate, positions times ln K, is a constant and left out; the record has it beside the distortion.
    """
    number("beta", beta, least=0)
    known("codebook", learning, Learning)
    terms: dict[str, tuple[float, Term]] = {
        "distortion": (1.0, Distortion()),
        "commitment": (beta, Commitment()),
    }
    if learning == "gradient":
        terms["codebook"] = (1.0, CodebookLoss())
    return Objective(terms)
