"""The two halves of a model as functions of tensors: what is traced, and what a graph is compared with."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.data.restore import shown
from vaekit.data.spec import Spec
from vaekit.distributions import Categorical, Discrete, PointMass, SparsePrecisionNormal, StandardNormal
from vaekit.errors import UnsupportedError
from vaekit.models import Model
from vaekit.models.columns import labels_of
from vaekit.randomness import own_stream
from vaekit.report.codes import apart
from vaekit.trace import Batch

ROWS = 5
"""Rows of the example that is traced: no size that means something to a network."""


def spread(distribution: Distribution) -> Tensor | None:
    """The standard deviation of every element, or None where a distribution has none that is worth giving.

    A point mass has none, nor has one over codes; that of a structured Gaussian costs a solve for each
    element, which is no part of a picture that moves under the hand.
    """
    if isinstance(distribution, Discrete | PointMass | SparsePrecisionNormal):
        return None
    try:
        return distribution.stddev
    except (NotImplementedError, UnsupportedError):
        return None


def posterior_spread(model: Model, batch: Batch, names: Sequence[str]) -> Tensor | None:
    """Standard deviations of q(z|x) side by side, (N, K); None where a latent has none, or it is not said."""
    try:
        posteriors = model.posterior(batch)
    except UnsupportedError:
        return None
    parts = [spread(posteriors[name]) for name in names]
    known = [part.flatten(1) for part in parts if part is not None]
    return torch.cat(known, 1) if len(known) == len(parts) else None


def told(spec: Spec, p: Distribution) -> Tensor:
    """What is told of p(x|z): its mean, (N, *event); of tokens, which have none, the probability of each.

    Args:
        spec: of the data.
        p: p(x|z), batch shape (N,).

    Returns:
        (N, *event), or of tokens (N, T, vocabulary).
    """
    if isinstance(p, Categorical) and spec.vocabulary is not None:
        return p.probs
    return shown(spec, p)


class Decoder(nn.Module):
    """Latents side by side (N, K) [, c (N, *context)] -> the mean of p(x|z) [, its standard deviation].

    Args:
        model: in eval mode.
        spec: of the data; of tokens the probability of each stands for the mean.
        shapes: latent name -> event shape, in the order of the columns; a latent that is left out stands at
            the mean of its prior.
        discrete: names of the latents that are codes.
        spreads: whether the standard deviation is given too.
    """

    role = "decoder"
    inputs = ("z", "c")
    chooses = False

    def __init__(
        self,
        model: Model,
        spec: Spec,
        shapes: Mapping[str, torch.Size],
        discrete: frozenset[str],
        spreads: bool,
    ) -> None:
        super().__init__()
        self.model, self.spec = model, spec
        self.shapes, self.discrete, self.spreads = dict(shapes), discrete, spreads
        self.outputs = ("mean", "stddev") if spreads else ("mean",)

    def example(self, halves: Halves, rows: int) -> tuple[Tensor, ...]:
        """What it can be tried on."""
        return halves.codes(rows, seed=rows)

    def forward(self, z: Tensor, c: Tensor | None = None) -> tuple[Tensor, ...]:
        """Codes, and the condition of a conditional model."""
        p = self.model.decode(apart(z, self.shapes, self.discrete), c)
        mean = told(self.spec, p)
        return (mean, p.stddev) if self.spreads else (mean,)


class Encoder(nn.Module):
    """Data (N, *event) [, c (N, *context)] -> posterior means side by side (N, K) [, standard deviations].

    Args:
        model: in eval mode.
        names: of the latents, in the order of the columns.
        chooses: whether the numbers are names of codes, of which one is chosen, and not amounts.
        spreads: whether standard deviations are given too.
    """

    role = "encoder"
    inputs = ("x", "c")

    def __init__(self, model: Model, names: Sequence[str], chooses: bool, spreads: bool) -> None:
        super().__init__()
        self.model, self.names, self.chooses, self.spreads = model, tuple(names), chooses, spreads
        self.outputs = ("mean", "stddev") if spreads else ("mean",)

    def example(self, halves: Halves, rows: int) -> tuple[Tensor, ...]:
        """What it can be tried on."""
        return halves.data(rows, seed=rows)

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, ...]:
        """Data, and the condition of a conditional model."""
        batch = {"x": x} if c is None else {"x": x, "c": c}
        if not self.spreads:
            found = self.model.encode(batch)
            return (torch.cat([found[name].flatten(1) for name in self.names], 1),)
        posteriors = self.model.posterior(batch)
        means = [posteriors[name].mean.flatten(1) for name in self.names]
        spreads = [posteriors[name].stddev.flatten(1) for name in self.names]
        return torch.cat(means, 1), torch.cat(spreads, 1)


@dataclass(frozen=True)
class Halves:
    """Decoder and encoder of a model, in float32 on the CPU, with data to try them on.

    Args:
        decoder, encoder: functions of tensors.
        shapes: latent name -> event shape, in the order of the columns.
        levels: latent name -> number of codes, for those that are codes.
        spec: of the data.
        told: shape of what is told of one datum: the event, of tokens with an axis for the vocabulary.
        standard: whether the prior of all latents is N(0, I).
    """

    decoder: Decoder
    encoder: Encoder
    shapes: dict[str, torch.Size]
    levels: dict[str, int]
    spec: Spec
    told: tuple[int, ...]
    standard: bool

    @property
    def discrete(self) -> frozenset[str]:
        """Names of the latents that are codes."""
        return frozenset(self.levels)

    @property
    def whole(self) -> bool:
        """Whether all latents are codes, so that they are whole numbers side by side."""
        return len(self.levels) == len(self.shapes)

    @property
    def columns(self) -> list[str]:
        """A name for every column: z 3, or z2 3 for the third of the second level; counted from 1."""
        return labels_of(self.shapes)

    def data(self, rows: int, seed: int = 0) -> tuple[Tensor, ...]:
        """Made-up data of the right kind: (x,) or (x, c)."""
        with own_stream("cpu", seed):
            return _made_up(self.spec, rows)

    @torch.no_grad()
    def codes(self, rows: int, seed: int = 0) -> tuple[Tensor, ...]:
        """Codes to decode: (z,) or (z, c); normal draws, or where they are discrete codes of made-up data."""
        x, *c = self.data(rows, seed)
        found = self.encoder(x, *c)[0]
        if self.discrete:
            return (found, *c)
        with own_stream("cpu", seed):
            return (torch.randn_like(found), *c)


@torch.no_grad()
def halve(model: Model, spec: Spec, names: Sequence[str] | None = None) -> Halves:
    """Decoder and encoder of a model.

    Args:
        model: stays as it is.
        spec: of the data.
        names: latents that the codes hold, in this order; by default all, in the model's own order.

    Raises:
        UnsupportedError: if the model has no latents.
        ValueError: for a name that is none of a latent.
    """
    if not model.names:
        raise UnsupportedError(
            "the model has no latents, so there is no decoder and no encoder to export: it is a density of "
            "the data themselves, use `generate` in Python"
        )
    model = copy.deepcopy(model).to("cpu", torch.float32).eval().requires_grad_(False)
    with own_stream("cpu", 0):
        x, *context = _made_up(spec, ROWS)
        batch: Batch = {"x": x} | ({"c": context[0]} if context else {})
        values = model.encode(batch)
        traced = model.infer(batch).latents
    if unknown := [name for name in names or () if name not in values]:
        raise ValueError(f"`names` has {unknown[0]!r}; expected latents of the model, {', '.join(values)}")
    order = list(values) if names is None else list(names)
    shapes = {name: values[name].shape[1:] for name in order}
    levels = {}
    for name in order:
        q = traced[name].q
        if not values[name].is_floating_point() and isinstance(q, Discrete):
            levels[name] = q.levels
    likelihood = model.decode({name: values[name] for name in order}, *context)
    return Halves(
        decoder=Decoder(model, spec, shapes, frozenset(levels), spread(likelihood) is not None).eval(),
        encoder=Encoder(model, order, bool(levels), posterior_spread(model, batch, order) is not None).eval(),
        shapes=shapes,
        levels=levels,
        spec=spec,
        told=tuple(told(spec, likelihood).shape[1:]),
        standard=all(isinstance(latent.p, StandardNormal) for latent in traced.values()),
    )


def _made_up(spec: Spec, rows: int) -> tuple[Tensor, ...]:
    like, size = torch.empty((), dtype=torch.float32), (rows, *spec.shape)
    if spec.kind in ("binary", "categorical"):
        values = spec.levels if spec.kind == "categorical" and spec.levels else 2
        x = torch.randint(values, size).to(like.dtype)
    elif spec.kind == "count":
        x = torch.poisson(like.new_full(size, 3.0))
    else:
        x = like.new_empty(size)
        x = x.uniform_() if spec.kind == "unit" else x.normal_()
    return (x,) if spec.context is None else (x, like.new_empty(rows, *spec.context).uniform_())
