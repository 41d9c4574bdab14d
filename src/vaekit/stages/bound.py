"""The bound of a model of codes under the priors that were learned for them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.errors import UnsupportedError
from vaekit.metrics.passes import LOAD, evaluating, loaded
from vaekit.models import Model, levels_of
from vaekit.terms import Distortion, log_likelihood


@dataclass(frozen=True)
class CodeBound:
    """-log p(x) <= distortion + rate, with the rate of a learned prior over codes; nats per datum.

    Args:
        distortion: -log p(x|codes of x).
        rate: -log p(codes of x) under the learned priors, summed over latents.
        rates: latent name -> its part of the rate.
        n: number of data.
    """

    distortion: float
    rate: float
    rates: dict[str, float]
    n: int


def code_bound(
    model: Model,
    priors: Sequence[tuple[Model, str, str | None]],
    data: Data,
    *,
    seed: int = 0,
    limit: int | None = None,
) -> CodeBound:
    """The upper bound of the negative log-likelihood that a learned prior over codes gives.

    Args:
        model: whose latents are codes, all of them.
        priors: (model of a stage, name of the latent that it models, name of the latent that is its condition
            or None), one for every latent.
        data: what is evaluated.
        seed: of the subset and of the randomness in the data.
        limit: evaluate a random subset of this size.

    Raises:
        UnsupportedError: if a latent is not a code, or has no prior.
    """
    missing = set(model.names) - {name for _, name, _ in priors}
    if missing or any(levels_of(model, name) is None for name in model.names):
        raise UnsupportedError(
            f"the bound needs codes in all of {', '.join(model.names)} and a prior for each; "
            + (f"got none for {', '.join(sorted(missing))}" if missing else "some are not codes")
        )
    distortions: list[Tensor] = []
    rates: dict[str, list[Tensor]] = {name: [] for name in model.names}
    with ExitStack() as quietly:
        for part in (model, *(prior for prior, *_ in priors)):
            quietly.enter_context(evaluating(part, seed))
        for batch, _ in loaded(data, model, seed=seed, limit=limit, size=LOAD):
            distortions.append(Distortion()(model(batch)).double().cpu())
            codes = model.encode(batch)
            for prior, name, given in priors:
                of = {"x": codes[name].to(batch["x"].dtype)}
                condition = batch.get("c") if given is None else codes[given].to(batch["x"].dtype)
                if condition is not None:
                    of["c"] = condition
                rates[name].append(-log_likelihood(prior(of)).double().cpu())
    means = {name: float(torch.cat(values).mean()) for name, values in rates.items()}
    distortion = torch.cat(distortions)
    return CodeBound(float(distortion.mean()), sum(means.values()), means, len(distortion))
