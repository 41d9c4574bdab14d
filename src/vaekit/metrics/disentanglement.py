"""The scores of `vaekit.disentanglement`, of a trained model on data with known factors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from vaekit import disentanglement as scores
from vaekit.checks import known, whole
from vaekit.data.factors import FactorData
from vaekit.disentanglement import NAMES, Merge, Preset, Represent, Score, Scores, from_table
from vaekit.disentanglement.presets import preset_of
from vaekit.disentanglement.udr import Relation
from vaekit.distributions import DiagonalNormal
from vaekit.errors import UnsupportedError
from vaekit.metrics.passes import LOAD, evaluating, filled, home_of
from vaekit.models import Model
from vaekit.randomness import own_stream
from vaekit.terms import rate_per_dimension
from vaekit.trace import Trace

Representation = Literal["mean", "sampled"]

Say = Callable[[str], None]


def disentanglement(
    model: Model,
    data: FactorData,
    *,
    preset: str | Preset = "modern",
    seed: int = 0,
    representation: Representation = "mean",
    names: Sequence[str] | None = None,
    merge: bool = False,
    progress: Say | None = None,
) -> Scores:
    """All scores of a model's codes; see `vaekit.disentanglement.score`.

    The grid is encoded once, and codes are gathered from the table afterwards. Where one point is many data
    (`data.noisy`), or the scores that are asked for need fewer codes than the grid has points, data are
    encoded as they are drawn. Latents are put side by side.

    Args:
        model: on any device; its mode and the random streams are left as they were.
        data: with known factors.
        preset, seed, names: see `vaekit.disentanglement.score`.
        representation: means of the posterior, or a fresh draw from it wherever a datum is encoded.
        merge: count values of factors whose data are the same as one. Of dSprites these are the orientations
            0 and 39; without it they are noted.
        progress: is told what is done next.

    Raises:
        UnsupportedError: if the model has no latents, or encodes to code numbers.
        ValueError: for another preset, name or representation, `merge` of data without such values, or codes
            that are not finite.
    """
    known("representation", representation, Representation)
    twins = twins_of(data)
    if merge and not twins:
        raise ValueError(
            f"`merge` is True; no two values of a factor of {data.spec.name} are known to look alike"
        )
    say = progress or (lambda what: None)
    with evaluating(model, seed):
        represent = _represent(model, data, representation, _passes(preset_of(preset), names), say)
        found = scores.score(
            represent,
            data.grid,
            preset,
            seed,
            names,
            merge=twins if merge else None,
            representation=representation,
            progress=say,
        )
    if twins and not merge:
        pairs = [f"{name} {a} and {b}" for name, same in twins.items() for a, b in same.items()]
        note = f"{', '.join(pairs)} are one picture, which no code tells apart: `merge` makes them one"
        found = replace(found, notes=(*found.notes, note))
    return found


def twins_of(data: FactorData) -> Merge:
    """Values of factors that are known to give the same data: orientations 0 and 39 of dSprites and its
    kin."""
    sprites = "dsprites" in data.spec.name
    sizes = dict(zip(data.grid.names, data.grid.sizes, strict=True))
    return scores.DSPRITES_TWINS if sprites and sizes.get("orientation") == 40 else {}


def exact_mig(model: Model, data: FactorData, *, limit: int | None = None, seed: int = 0) -> Score:
    """MIG with the aggregate posterior of the whole grid; see `vaekit.disentanglement.exact_mig`.

    Args:
        model: whose posteriors are diagonal Gaussians given x.
        data: with known factors.
        limit: take a random subset of the grid of this size.
        seed: of the subset, and of what is drawn beside the factors.

    Raises:
        UnsupportedError: if a posterior is no diagonal Gaussian given x.
    """
    count = len(data.grid)
    index = torch.arange(count)
    generator = torch.Generator().manual_seed(seed)
    if limit is not None and whole("limit", limit, 2) < count:
        index = torch.randperm(count, generator=generator)[:limit]
    with evaluating(model, seed):
        if not _is_gaussian(model, data):
            raise UnsupportedError(
                "the exact form of MIG integrates diagonal Gaussian posteriors given x, and this model has "
                "others: take the score `mig`, which bins its means"
            )
        found = _moments(model, data, index, generator)
    result = scores.exact_mig(*found, data.grid.factors_of(index))
    return replace(result, seed=seed)


def udr(
    models: Sequence[Model], data: FactorData, *, n: int = 1000, seed: int = 0, relation: Relation = "lasso"
) -> Score:
    """Unsupervised disentanglement ranking of models of one kind; see `vaekit.disentanglement.udr`.

    Args:
        models: two or more, such as those of different seeds.
        data: all encode the same n of them.
        n: number of data; 1,000 in the study.
        seed: of these data.
        relation: "lasso" or "spearman".

    Raises:
        ValueError: for fewer than two models.
    """
    generator = torch.Generator().manual_seed(seed)
    factors = data.grid.sample(whole("n", n, 2), generator)
    x = data.data_of(factors, generator)
    codes, rates = [], []
    for model in models:
        with evaluating(model, seed):
            means, found = _means_and_rates(model, x)
        codes.append(means)
        rates.append(found)
    known_rates = [rate for rate in rates if rate is not None]
    everyone = len(known_rates) == len(rates)
    result = scores.udr(codes, known_rates if everyone else None, relation=relation)
    note = "a model has no rate of each latent: all latents but constant ones count"
    return replace(result, seed=seed, notes=result.notes if everyone else (*result.notes, note))


def _means_and_rates(model: Model, x: Tensor) -> tuple[Tensor, list[float] | None]:
    """Codes (N, d) on the CPU, and the rate of each latent, nats, where it has a closed form."""
    device, dtype = home_of(model)
    means, rates = [], []
    for part in x.split(LOAD):
        given = part.to(device, dtype)
        means.append(_codes(model, given, sample=False).cpu())
        latents = model.infer({"x": given}).latents.values()
        each = [rate_per_dimension(latent) if latent.closed else None for latent in latents]
        parts = [rate.flatten(1).cpu() for rate in each if rate is not None]
        if len(parts) == len(each):
            rates.append(torch.cat(parts, 1))
    complete = len(rates) == len(means)
    return torch.cat(means), torch.cat(rates).mean(0).tolist() if complete else None


def _passes(preset: Preset, names: Sequence[str] | None) -> int:
    """How many codes the scores ask for."""
    asked = NAMES if names is None else names
    count = preset.train + preset.test
    total = count
    total += 2 * preset.batch * count if "beta_vae" in asked else 0
    return total + (preset.batch * count + preset.train if "factor_vae" in asked else 0)


def _represent(
    model: Model, data: FactorData, representation: Representation, passes: int, say: Say
) -> Represent:
    """Codes of points: from a table where that can be, else by a pass."""
    count = len(data.grid)
    if not data.noisy and count <= passes:
        if representation == "mean":
            say(f"encoding {count:,} data")
            parts = (
                _codes(model, _data(model, data, index), sample=False)
                for index in torch.arange(count).split(LOAD)
            )
            return from_table(data.grid, filled(parts, count))
        if _is_gaussian(model, data):
            say(f"encoding {count:,} data")
            return _drawn(data, *_moments(model, data, torch.arange(count)))

    def encoded(factors: Tensor, generator: torch.Generator) -> Tensor:
        return filled((once(part, generator) for part in factors.split(LOAD)), len(factors))

    def once(factors: Tensor, generator: torch.Generator) -> Tensor:
        x = data.data_of(factors.to(data.device), generator)
        device, dtype = home_of(model)
        # the stream of the pass comes from the score's, so that no score depends on what was asked before
        number = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        with own_stream(device, number):
            return _codes(model, x.to(device, dtype), sample=representation == "sampled")

    return encoded


def _data(model: Model, data: FactorData, index: Tensor, generator: torch.Generator | None = None) -> Tensor:
    device, dtype = home_of(model)
    return data.at(index.to(data.device), generator).to(device, dtype)


def _codes(model: Model, x: Tensor, sample: bool) -> Tensor:
    """All latents side by side: (B, d).

    Raises:
        UnsupportedError: if there are none, or they are code numbers.
    """
    found = model.encode({"x": x}, sample=sample)
    if not found:
        raise UnsupportedError("the model has no latents, so that there are no codes to score")
    for name, value in found.items():
        if not value.is_floating_point():
            raise UnsupportedError(
                f"latent {name!r} is encoded as code numbers, which have no order: scores of "
                "disentanglement are for codes that are coordinates"
            )
    return torch.cat([value.flatten(1) for value in found.values()], 1)


def _is_gaussian(model: Model, data: FactorData) -> bool:
    """Whether a draw given x is the mean and noise times the standard deviation, by one datum."""
    generator = torch.Generator().manual_seed(0)
    return (
        _gaussian(model.infer({"x": _data(model, data, torch.zeros(1, dtype=torch.int64), generator)}))
        is not None
    )


def _gaussian(trace: Trace) -> tuple[Tensor, Tensor] | None:
    """Means and standard deviations, (B, d), where all latents are diagonal Gaussians given x."""
    parts = []
    for latent in trace.latents.values():
        if not isinstance(latent.q, DiagonalNormal) or latent.chained or trace.axes != ("batch",):
            return None
        mean = latent.q.loc
        parts.append((mean.flatten(1), latent.q.stddev.flatten(1)))
    if not parts:
        return None
    means, stds = zip(*parts, strict=True)
    return torch.cat(means, 1), torch.cat(stds, 1)


def _moments(
    model: Model, data: FactorData, index: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Means and standard deviations of the posteriors of grid points, (N, d), which are Gaussian."""

    def moments(some: Tensor) -> Tensor:
        found = _gaussian(model.infer({"x": _data(model, data, some, generator)}))
        assert found is not None  # of one datum they were, and the model is the same
        return torch.cat(found, 1)

    table = filled((moments(some) for some in index.split(LOAD)), len(index))
    mean, std = table.chunk(2, 1)
    return mean, std


def _drawn(data: FactorData, mean: Tensor, std: Tensor) -> Represent:
    """Fresh draws from Gaussians that lie in a table."""

    def drawn(factors: Tensor, generator: torch.Generator) -> Tensor:
        index = data.grid.index_of(factors).to(mean.device)
        shape = (len(index), mean.shape[1])
        noise = torch.randn(shape, generator=generator, device=generator.device, dtype=mean.dtype)
        return mean[index] + std[index] * noise.to(mean.device)

    return drawn
