"""Whether all codes together are distributed like the prior: a two-sample test, without any density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.errors import UnsupportedError
from vaekit.metrics.passes import LOAD, Result, evaluating, loaded
from vaekit.models import Model
from vaekit.terms.discrepancy import SCALES, Kernel, similarities
from vaekit.terms.parts import given_data


@dataclass(frozen=True)
class PriorMatch(Result):
    """A permutation test of q(z) = p(z) by the maximum mean discrepancy.

    Args:
        mmd: the unbiased estimate of MMD^2(q(z), p(z)); below zero as often as above where they are one.
        p_value: the share of relabellings, the one that was drawn included, with at least this discrepancy.
        threshold: 99th percentile of the discrepancy under relabelling.
        permutations: number of relabellings.
        n: number of codes, one draw for each of n data, and of draws from the prior.
        seed: of the subset, the draws and the relabellings.
    """

    mmd: float
    p_value: float
    threshold: float
    permutations: int
    n: int
    seed: int


def prior_match(
    model: Model,
    data: Data,
    *,
    kernel: Kernel = "imq",
    scales: Sequence[float] = SCALES,
    n: int = 1000,
    permutations: int = 500,
    seed: int = 0,
) -> PriorMatch:
    """Test whether codes z ~ q(z|x) of the data and as many draws from the prior are one distribution.

    Use data that the model was not trained on: a test of the codes of the training set is one of what was
    made equal. Latents are put side by side.

    Args:
        model: on any device; its mode and the global random stream are left as they were.
        data: what is encoded.
        kernel: of the discrepancy; see `terms.discrepancy`.
        scales: of the kernels that are summed.
        n: number of data, drawn at random if there are more; the time grows with its square.
        permutations: relabellings that say what equal distributions would give.
        seed: of the subset, the draws and the relabellings.

    Raises:
        UnsupportedError: if the prior depends on a condition, or a latent on another.
        ValueError: for fewer than two data or no permutations.

    References:
        A Kernel Two-Sample Test. Gretton, Borgwardt, Rasch, Schoelkopf, Smola, JMLR 13, 2012.
    """
    if permutations < 1:
        raise ValueError(f"`permutations` is {permutations}; expected 1 or more")
    codes, draws = [], []
    with evaluating(model, seed):
        for batch, _ in loaded(data, model, seed=seed, limit=n, size=LOAD):
            latents = given_data(model(batch)).values()
            if any(latent.p.batch_shape for latent in latents):
                raise UnsupportedError(
                    "the prior depends on the condition, so that q(z) has no prior to be compared with: "
                    "this test is for models with one prior"
                )
            lead = batch["x"].shape[:1]
            codes.append(torch.cat([latent.value.flatten(1).double() for latent in latents], 1))
            draws.append(torch.cat([latent.p.sample(lead).flatten(1).double() for latent in latents], 1))
        z, v = torch.cat(codes), torch.cat(draws)
        count = len(z)
        if count < 2:
            raise ValueError(f"got {count} datum; a test needs two or more")
        pairs = similarities(torch.cat([z, v]), kernel, scales).fill_diagonal_(0)
        orders = torch.rand(permutations, 2 * count, dtype=pairs.dtype, device=pairs.device).argsort(1)
        first = torch.cat([torch.arange(2 * count, device=orders.device)[None], orders]) < count
        found = _relabelled(pairs, first.to(pairs.dtype))
    return PriorMatch(
        mmd=float(found[0]),
        p_value=float((found >= found[0]).double().mean()),
        threshold=float(found[1:].quantile(0.99)),
        permutations=permutations,
        n=count,
        seed=seed,
    )


def _relabelled(pairs: Tensor, first: Tensor) -> Tensor:
    """The U-statistic of every labelling: pairs (2n, 2n), first (L, 2n) in {0, 1} -> (L,)."""
    n = pairs.shape[0] // 2
    within = ((first @ pairs) * first).sum(1)  # among those labelled first
    touching = first @ pairs.sum(1)  # from those to all
    across, other = touching - within, pairs.sum() - 2 * touching + within
    return (within + other) / (n * (n - 1)) - 2 * across / n**2
