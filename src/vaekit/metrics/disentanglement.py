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
from vaekit.distributions import DiagonalNormal
from vaekit.errors import UnsupportedError, nearest
from vaekit.metrics.passes import LOAD, coordinates, evaluating, filled, home_of
from vaekit.models import Model
from vaekit.randomness import own_stream
from vaekit.trace import Trace

Representation = Literal["mean", "sampled"]

KNOWN = (*NAMES, "exact_mig")
"""Names of all scores of a model: those of its codes, and the MIG of its posteriors."""

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
    limit: int | None = None,
    progress: Say | None = None,
) -> Scores:
    """All scores of a model's codes; see `vaekit.disentanglement.score`.

    The grid is encoded once, and codes are gathered from the table afterwards. Where one point is many data
    (`data.noisy`), or the scores that are asked for need fewer codes than the grid has points, data are
    encoded as they are drawn. Latents are put side by side.

    Args:
        model: on any device; its mode and the random streams are left as they were.
        data: with known factors.
        preset, seed: see `vaekit.disentanglement.score`.
        names: of `KNOWN`; by default all but `exact_mig`, which looks at posteriors instead of codes.
        representation: means of the posterior, or a fresh draw from it wherever a datum is encoded.
        merge: count values of factors whose data are the same as one. Of dSprites these are the orientations
            0 and 39; without it they are noted.
        limit: of `exact_mig`: a random subset of the grid.
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
    asked = list(NAMES if names is None else names)
    for name in asked:
        if name not in KNOWN:
            raise ValueError(f"`names` holds {name!r}{nearest(name, list(KNOWN))}")
    say = progress or (lambda what: None)
    of_codes = [name for name in asked if name in NAMES]
    with evaluating(model, seed):
        represent = _represent(model, data, representation, _passes(preset_of(preset), of_codes), say)
        found = scores.score(
            represent,
            data.grid,
            preset,
            seed,
            of_codes,
            merge=twins if merge else None,
            representation=representation,
            progress=say,
        )
    if "exact_mig" in asked:
        say("exact_mig")
        exact = exact_mig(model, data, limit=limit, seed=seed)
        found = replace(found, scores={**found.scores, "exact_mig": exact})
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


def _passes(preset: Preset, asked: Sequence[str]) -> int:
    """How many codes the scores ask for."""
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
                coordinates(model, {"x": _data(model, data, index)})
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
            return coordinates(model, {"x": x.to(device, dtype)}, sample=representation == "sampled")

    return encoded


def _data(model: Model, data: FactorData, index: Tensor, generator: torch.Generator | None = None) -> Tensor:
    device, dtype = home_of(model)
    return data.at(index.to(data.device), generator).to(device, dtype)


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
