"""The FactorVAE score: does one latent rest while one factor does?

A vote: L data with one value of factor k; the latent j with the smallest Var_batch(r_j) / Var(r_j) votes for
k. The classifier maps each latent to the factor that most votes of training gave it; the score is its
accuracy on other votes. Latents with sqrt(Var) below a threshold have no vote.

H. Kim, A. Mnih, Disentangling by Factorising, ICML 2018, https://arxiv.org/abs/1802.05983, section 4
"""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.checks import number, whole
from vaekit.data.factors import Grid
from vaekit.disentanglement.points import Represent
from vaekit.disentanglement.result import Score
from vaekit.disentanglement.voting import portions, represented, varying


def factor_vae(
    represent: Represent,
    grid: Grid,
    generator: torch.Generator,
    *,
    train: int = 10_000,
    test: int = 5_000,
    batch: int = 64,
    variance: int = 10_000,
    prune: float = 0.05,
) -> Score:
    """The FactorVAE score.

    Args:
        represent: points of the grid to codes.
        grid: of the factors; a constant one is never fixed.
        generator: of all that is drawn.
        train, test: votes.
        batch: L, data behind each vote.
        variance: points that the variances of all data are taken from.
        prune: latents whose standard deviation is smaller have no vote. A constant one never has.

    Returns:
        `factor_vae`, `factor_vae_train` on the votes of training, and `factor_vae_active`, the number of
        latents that vote; without any, the score is 0. Details: the votes of training, (latents, factors).

    Raises:
        ValueError: if every factor is constant, or a code is not finite.
    """
    for name, value, least in (
        ("train", train, 1),
        ("test", test, 1),
        ("batch", batch, 2),
        ("variance", variance, 2),
    ):
        whole(name, value, least)
    number("prune", prune, least=0)
    candidates, notes = varying(grid)
    codes = represented(represent, grid.sample(variance, generator)[None], generator)[0].cpu()
    everywhere = codes.var(0)
    active = (everywhere.sqrt() >= prune) & (codes != codes[:1]).any(0)
    values = {"factor_vae": 0.0, "factor_vae_train": 0.0, "factor_vae_active": float(active.sum())}
    details = {}
    if active.any():
        scale = torch.where(active, everywhere, torch.nan)
        votes = _votes(represent, grid, candidates, scale, train, batch, generator)
        told = votes.argmax(1)
        fresh = _votes(represent, grid, candidates, scale, test, batch, generator)
        for name, found in (("factor_vae_train", votes), ("factor_vae", fresh)):
            values[name] = float(found.gather(1, told[:, None]).sum() / found.sum())
        details["votes"] = votes.tolist()
    else:
        notes += (f"no latent has a standard deviation of {prune:g}: nobody votes",)
    dead = (~active).nonzero().flatten().tolist()
    if dead and active.any():
        notes += (f"latents {dead} have no vote: their standard deviations are below {prune:g}",)
    sizes = {"train": train, "test": test, "batch": batch, "variance": variance}
    return Score("factor_vae", values, sizes, {"prune": prune}, details, notes)


def _votes(
    represent: Represent,
    grid: Grid,
    candidates: Tensor,
    scale: Tensor,
    count: int,
    batch: int,
    generator: torch.Generator,
) -> Tensor:
    """How often each latent voted for each factor: (d, F) int64. `scale` is NaN for latents without a
    vote."""
    d, f = len(scale), len(grid.sizes)
    total = torch.zeros(d * f, dtype=torch.int64)
    for n in portions(count, batch):
        drawn = torch.randint(len(candidates), (n,), generator=generator, device=generator.device)
        fixed = candidates.to(drawn.device)[drawn]
        factors = grid.sample(n * batch, generator).unflatten(0, (n, batch))
        rests = torch.nn.functional.one_hot(fixed, f).bool()[:, None]
        factors = torch.where(rests, factors[:, :1], factors)
        spread = represented(represent, factors, generator).var(1).cpu() / scale
        least = spread.nan_to_num(nan=torch.inf, posinf=torch.inf).argmin(1)
        total += torch.bincount(least * f + fixed.cpu(), minlength=d * f)
    return total.view(d, f)
