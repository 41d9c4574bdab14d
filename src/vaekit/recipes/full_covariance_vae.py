"""Variational autoencoder whose posterior has correlated dimensions.

q(z|x) = N(mu(x), L(x) L(x)^T),   z = mu + L eps,  eps ~ N(0, I),
ln q(z|x) = -1/2 |eps|^2 - sum_i ln L_ii - n/2 ln 2pi

with L lower triangular (full); or covariance diag(d) + U U^T with U of `rank` columns (low_rank); or
precision diag(d) + u u^T (rank_one), the form of Rezende et al. 2014. The rate is in closed form for all
three.

Differences from the paper: it describes the method and gives no experiment, so sizes and optimiser are those
of the recipe `vae`; the diagonal of L is the exponential of the network's output.

D. P. Kingma, M. Welling, An Introduction to Variational Autoencoders, 2019, section 2.5.1,
https://arxiv.org/abs/1906.02691
"""

from __future__ import annotations

from typing import Literal

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import Architecture
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe

Correlated = Literal["full", "low_rank", "rank_one"]


@recipe
def full_covariance_vae(
    spec: Spec,
    *,
    latents: int = 16,
    posterior: Correlated = "full",
    rank: int | None = None,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a variational autoencoder with a posterior that is not diagonal.

    Args:
        spec: the data.
        latents: dimensions of z.
        posterior: full covariance by its Cholesky factor, low_rank plus diagonal covariance, or rank_one plus
            diagonal precision.
        rank: number of columns of U, for low_rank alone; 1 if nothing is said.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    checks.known("posterior", posterior, Correlated)
    encoder = wiring.encoder_of(spec, architecture, hidden)
    decoder = wiring.decoder_of(spec, architecture, hidden, [latents])
    model = Flat(
        posterior=wiring.make_posterior(posterior, encoder, latents, rank),
        prior=wiring.make_prior("standard", latents),
        likelihood=wiring.make_likelihood(likelihood, spec, decoder),
    )
    player = Player("vae", [model], elbo(), wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]))
