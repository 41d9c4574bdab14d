"""A linear VAE finds the solution of probabilistic PCA, and keeps the latents that pay for themselves."""

from __future__ import annotations

from typing import Any

import torch

from vaekit.conditionals import SharedGaussian
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.metrics import elbo, latent_use
from vaekit.reproductions.outcome import Check, Figure, Outcome, Reproduction, Say
from vaekit.reproductions.training import fit
from vaekit.worlds import fixed_variance_optimum

EIGENVALUES = (4.0, 2.0, 1.0, 0.5, 0.2)
EXPECTED = {3.0: 1, 1.5: 2, 0.7: 3, 0.3: 4}


def world(seed: int, count: int = 20_000) -> tuple[Splits, torch.Tensor]:
    """Gaussian data with the given spectrum in a random basis, and the eigenvalues of the sample itself."""
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))
    noise = torch.randn(count, 5, generator=generator, dtype=torch.float64)
    x = noise @ torch.diag(torch.tensor(EIGENVALUES, dtype=torch.float64).sqrt()) @ basis.T
    x = x - x.mean(0)
    eigenvalues = torch.linalg.eigvalsh(x.T @ x / count).flip(0)
    data = ArrayData(Spec("gaussian", (5,), "real", count), x=x.float())
    return Splits(data, data, data), eigenvalues


def run(full: bool, say: Say) -> Outcome:
    """Four fixed variances, and one learned; each against its closed form on the same sample."""
    seeds = [0, 1, 2]
    steps = 12_000 if full else 4000
    counts: dict[float, list[int]] = {s2: [] for s2 in EXPECTED}
    gaps, errors = [], []
    for seed in seeds:
        splits, eigenvalues = world(seed)
        settings: dict[str, Any] = {"seed": seed, "steps": steps, "batch_size": 500, "say": say, "hidden": ()}
        for sigma2 in EXPECTED:
            model = fit(
                "sigma_vae", splits, variance="fixed", sigma=sigma2**0.5, latents=5, learning_rate=3e-3,
                **settings,
            )  # fmt: skip
            best, _ = fixed_variance_optimum(eigenvalues, 5, sigma2)
            gaps.append((best - elbo(model, splits.test, samples=10).elbo) / 5)
            counts[sigma2].append(latent_use(model, splits.test).active["z"])
        model = fit("sigma_vae", splits, variance="shared", latents=2, learning_rate=3e-3, **settings)
        likelihood = model.likelihood
        if not isinstance(likelihood, SharedGaussian):
            raise TypeError(f"expected one learned variance; got {likelihood}")
        learned = float((2 * likelihood.log_std).exp())
        errors.append(learned / float(eigenvalues[2:].mean()) - 1)
    figures = [
        Figure(
            f"active latents at sigma^2 = {s2:g}",
            float(sorted(found)[1]),
            f"{found} over seeds",
            f"exact: {n}",
        )
        for (s2, n), found in zip(EXPECTED.items(), counts.values(), strict=True)
    ]
    figures += [
        Figure("largest gap of the ELBO below the optimum, nats per dimension", max(gaps), "", "0 is exact"),
        Figure("largest relative error of the learned sigma^2", max(errors, key=abs), "", "0 is exact"),
    ]
    checks = [
        Check(
            "active latents equal the number of eigenvalues above sigma^2, in every seed",
            all(set(found) == {n} for found, n in zip(counts.values(), EXPECTED.values(), strict=True)),
        ),
        Check("the ELBO is within 0.02 nats per dimension of the optimum", max(map(abs, gaps)) < 0.02),
        Check(
            "the learned sigma^2 is within 2 % of the mean of the discarded eigenvalues",
            max(map(abs, errors)) < 0.02,
        ),
    ]
    return Outcome(
        figures, checks, seeds, "20,000 Gaussian vectors in five dimensions, spectrum 4, 2, 1, 0.5, 0.2",
        f"linear networks, 5 latents (2 where sigma is learned), {steps} steps of 500, Adam 3e-3",
    )  # fmt: skip


reproduction = Reproduction(
    claim="The linear VAE with a Gaussian likelihood has the maximum-likelihood solution of probabilistic "
    "PCA: a latent is active exactly where its eigenvalue exceeds sigma^2, and a learned sigma^2 is the mean "
    "of the discarded eigenvalues.",
    source="J. Lucas et al., Don't Blame the ELBO!, NeurIPS 2019, arXiv 1911.02469",
    recipes=("sigma_vae",),
    run=run,
)
