"""How much of every factor breaks when one dimension of the latents does.

S_jk = E|v_k(G(z')) - v_k(G(z))| / E|v_k(x) - v_k(x')|,   z ~ q(z|x),
z' = z but for z'_j, an independent draw of the aggregate q(z_j) = E_x q(z_j|x)

G(z) is the mean of p(x|z), v_k reads factor k off a picture, and x' is another datum. A dimension that alone
carries factor k has S_jk = 1, one that the decoder ignores 0. No label is needed at encoding, and what is
compared are pictures, so that a decoder and a generator of the same codes stand on one footing.

The measure is vaekit's own; the experiment is that of M. Haghir Ebrahimabadi, Disentangled Representation
Learning Using (beta-)VAE and GAN, 2022, arXiv 2208.04549, which looks at the pictures.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.disruption.readers import Read
from vaekit.errors import UnsupportedError
from vaekit.metrics.latents import latent_use
from vaekit.metrics.passes import LOAD, Result, evaluating, loaded
from vaekit.models import Model

LEAST_RATE = 0.05
"""Nats: a dimension with more than that is active."""


@dataclass(frozen=True)
class Disruption(Result):
    """What breaks with every dimension.

    Args:
        latents: name of every dimension, such as "z_3".
        factors: names of what is read off a picture.
        strength: S, a row for every dimension and a column for every factor.
        rates: KL(q || p) of every dimension, nats; None where it has no closed form.
        active: whether a dimension carries anything: a rate above 0.05 nats or, where that is not known, a
            posterior mean whose variance is above 0.01.
        n: number of data.
        seed: of the draws.
    """

    latents: list[str]
    factors: list[str]
    strength: list[list[float]]
    rates: list[float | None]
    active: list[bool]
    n: int
    seed: int

    @property
    def disentanglement(self) -> float:
        """The mean over active dimensions of (largest S_jk - second) / largest; 0 where none is active."""
        gaps = []
        for row, active in zip(self.strength, self.active, strict=True):
            first, second, *_ = sorted(row, reverse=True)
            if active:
                gaps.append((first - second) / first if first > 0 else 0.0)
        return statistics.fmean(gaps) if gaps else 0.0

    @property
    def strongest(self) -> list[str | None]:
        """The factor that breaks most with every dimension; None for one that is not active."""
        return [
            self.factors[max(range(len(row)), key=row.__getitem__)] if active else None
            for row, active in zip(self.strength, self.active, strict=True)
        ]


def disrupt(model: Model, data: Data, read: Read, *, limit: int | None = 2000, seed: int = 0) -> Disruption:
    """Break every dimension of the latents in turn.

    Args:
        model: encodes and decodes: a VAE, or a generator with the encoder whose codes it draws. Its mode and
            the random streams are left as they were.
        data: what is encoded.
        read: pictures -> what is read off them: `moments`, or a `FactorReader`.
        limit: use a random subset of this size; two or more.
        seed: of the subset, of the draws, and of who lends a value to whom.

    Raises:
        UnsupportedError: if the latents are codes of a codebook, or there are none.
        ValueError: if fewer than two factors are read, or one is the same in all data.
    """
    use = latent_use(model, data, seed=seed, limit=limit)
    names = [f"{name}_{j}" for name in model.names for j in range(use.size[name])]
    rates: list[float | None] = []
    active: list[bool] = []
    for name in model.names:
        known = use.rates[name]
        rates += [None] * use.size[name] if known is None else known
        active += [v > use.threshold for v in use.variances[name]] if known is None else [
            rate > LEAST_RATE for rate in known
        ]  # fmt: skip
    with evaluating(model, seed):
        x, codes, context = drawn(model, data, seed, limit)
        lender = others(len(x), seed).to(x.device)
        truth = read(x)
        if len(truth) < 2:
            raise ValueError(f"`read` gives {len(truth)} factors; expected two or more to tell them apart")
        apart = {k: float(_distance(v, v[lender])) for k, v in truth.items()}
        if still := [name for name, distance in apart.items() if not distance > 0]:
            raise ValueError(
                f"`read` finds the same {', '.join(still)} in all data; expected factors that vary: leave "
                "them out, or take more data"
            )
        whole = read(decoded(model, codes, context))
        strength = []
        for name in model.names:
            for j in range(use.size[name]):
                broken = {**codes, name: swapped(codes[name], j, lender)}
                found = read(decoded(model, broken, context))
                strength.append([float(_distance(found[k], whole[k])) / apart[k] for k in truth])
    return Disruption(names, list(truth), strength, rates, active, len(x), seed)


def drawn(
    model: Model, data: Data, seed: int, limit: int | None
) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
    """Data (N, *event), a draw of every latent of each, and their conditions where there are any."""
    xs: list[Tensor] = []
    conditions: list[Tensor] = []
    codes: dict[str, list[Tensor]] = {name: [] for name in model.names}
    for batch, _ in loaded(data, model, seed=seed, limit=limit):
        xs.append(batch["x"])
        conditions += [batch["c"]] if "c" in batch else []
        for name, value in model.encode(batch, sample=True).items():
            if not value.is_floating_point():
                raise UnsupportedError(
                    f"latent {name!r} holds codes of a codebook, which have no dimensions to break: take a "
                    "model with real latents"
                )
            codes[name].append(value)
    joined = {name: torch.cat(values) for name, values in codes.items()}
    return torch.cat(xs), joined, torch.cat(conditions) if conditions else None


def decoded(model: Model, codes: dict[str, Tensor], context: Tensor | None) -> Tensor:
    """The mean of p(x|z) for every row of the codes, (N, *event)."""
    parts = []
    for begin in range(0, len(next(iter(codes.values()))), LOAD):
        rows = slice(begin, begin + LOAD)
        given = None if context is None else context[rows]
        parts.append(model.decode({name: value[rows] for name, value in codes.items()}, given).mean)
    return torch.cat(parts)


def others(n: int, seed: int) -> Tensor:
    """For each of n data another one, every one of them once: (n,).

    Raises:
        ValueError: if there is no other.
    """
    if n < 2:
        raise ValueError(f"there are {n} data; expected two or more, to borrow a value from another")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    return partner


def swapped(codes: Tensor, j: int, lender: Tensor) -> Tensor:
    """Codes (N, *event) whose dimension number j, counted over the event, is that of another datum."""
    flat = codes.flatten(1).clone()
    flat[:, j] = flat[lender, j]
    return flat.view_as(codes)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """E|a - b| of numbers (N,), or the mean total variation 1/2 E sum_c |a_c - b_c| of chances (N, C)."""
    gap = (a.double() - b.double()).abs()
    return gap.mean() if gap.dim() == 1 else 0.5 * gap.sum(1).mean()
