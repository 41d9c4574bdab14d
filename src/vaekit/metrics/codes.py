"""How many of its codes a model uses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.metrics.passes import LOAD, evaluating, loaded
from vaekit.models import Model, levels_of


@dataclass(frozen=True)
class CodeUse:
    """Use of the codes of one latent over data.

    Args:
        perplexity: exp of the entropy of how often each code is used, over all positions: 1 .. K.
        used: number of codes that occur at all.
        codes: K.
        positions: codes of one datum; the rate under the uniform prior is positions * ln K.
        n: number of data.
    """

    perplexity: float
    used: int
    codes: int
    positions: int
    n: int


def perplexity(codes: Tensor, levels: int) -> Tensor:
    """exp(-sum_k p_k ln p_k) with p_k the share of code k in `codes`: (), between 1 and K.

    Args:
        codes: int64, any shape: of a batch, or of a whole data set. A batch with fewer codes than K cannot
            show all of them: over a data set the perplexity is larger than the mean over its batches.
        levels: K.

    Raises:
        ValueError: if there are no codes.
    """
    found: Tensor = torch.special.entr(code_shares(codes, levels)).sum().exp()
    return found


def code_shares(codes: Tensor, levels: int) -> Tensor:
    """How often each code is used: p_k, (K,), float64.

    Args:
        codes: int64, any shape.
        levels: K.

    Raises:
        ValueError: if there are no codes.
    """
    if not codes.numel():
        raise ValueError("there are no codes; expected at least one")
    return torch.bincount(codes.flatten(), minlength=levels).double() / codes.numel()


def use_of(model: Model, latent: str, codes: Tensor) -> CodeUse:
    """Use of the codes of one latent.

    Args:
        model: whose latent it is.
        latent: its name.
        codes: int64, (N, positions).

    Raises:
        ValueError: if this latent is none of codes, or there are none.
    """
    levels = levels_of(model, latent)
    if levels is None:
        raise ValueError(f"the latent {latent!r} is real; expected one of codes 0 .. K-1")
    return CodeUse(
        perplexity=float(perplexity(codes, levels)),
        used=int(codes.unique().numel()),
        codes=levels,
        positions=codes.shape[1],
        n=len(codes),
    )


def code_use(model: Model, data: Data, *, seed: int = 0, limit: int | None = None) -> dict[str, CodeUse]:
    """Use of the codes of every discrete latent, by name; empty where a model has none.

    Args:
        model: on any device; its mode and the global random stream are left as they were.
        data: what is encoded.
        seed: of the subset and of the randomness in the data.
        limit: use a random subset of this size.
    """
    found: dict[str, list[Tensor]] = {}
    with evaluating(model, seed):
        for batch, _ in loaded(data, model, seed=seed, limit=limit, size=LOAD):
            for name, value in model.encode(batch).items():
                if not value.is_floating_point():
                    found.setdefault(name, []).append(value.flatten(1).cpu())
            if not found:
                return {}
    return {name: use_of(model, name, torch.cat(parts)) for name, parts in found.items()}
