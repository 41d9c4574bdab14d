"""Disentangled inferred prior: the covariance of the codes is held at that of the prior.

loss = -ELBO + lambda_od sum_{i != j} Sigma_ij^2 + lambda_d sum_i (Sigma_ii - 1)^2

Sigma = Cov_x[mu(x)] in variant i, Cov_x[mu(x)] + E_x[diag s(x)^2] = Cov q(z) in variant ii, over the batch.
Variant i asks every dimension for variance one, so that none is left unused: take as many latents as there
are factors. Any rotation of codes with Sigma = I is as good: they become uncorrelated, not independent.

Differences from the paper: networks go by the shape of the data, and the likelihood by its kind. The default
weights are in the grid of Locatello et al. 2019 (arXiv 1811.12359: lambda_od 1, 2, 5, 10, 20, 50), who take
lambda_d = 10 lambda_od in variant i, lambda_d = lambda_od in variant ii, and batches of 64.

A. Kumar, P. Sattigeri, A. Balakrishnan, Variational Inference of Disentangled Latent Concepts from Unlabeled
Observations, ICLR 2018, https://arxiv.org/abs/1711.00848
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.networks import Architecture
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import Distortion, OffDiagonal, Rate, UnitVariance
from vaekit.terms.covariance import Covariance, Variant


@recipe
def dip_vae(
    spec: Spec,
    *,
    variant: Variant = "ii",
    lambda_od: float = 10.0,
    lambda_d: float | None = None,
    latents: int = 10,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-4,
) -> System:
    """Wire a variational autoencoder with a disentangled inferred prior.

    Args:
        spec: the data.
        variant: i for the covariance of the posterior means, ii for that of the aggregate posterior.
        lambda_od: weight of the entries off the diagonal.
        lambda_d: weight of the diagonal's distance from one; if nothing is said, ten times lambda_od in
            variant i, and lambda_od in variant ii.
        latents: dimensions of z.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    covariance = Covariance(variant)
    off = checks.number("lambda_od", lambda_od, least=0)
    usual = 10 * off if variant == "i" else off
    diagonal = usual if lambda_d is None else checks.number("lambda_d", lambda_d, least=0)
    model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden)
    objective = Objective(
        {
            "distortion": (1.0, Distortion()),
            "rate": (1.0, Rate()),
            "off_diagonal": (off, OffDiagonal(covariance)),
            "unit_variance": (diagonal, UnitVariance(covariance)),
        }
    )
    player = Player("vae", [model], objective, wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]), batch_size=400)
