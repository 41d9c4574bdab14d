"""Ada-GVAE: pairs that share most of their factors disentangle, though nobody says which ones they share.

L = 1/2 sum_i=1,2 [ -E_q~i log p(x_i|z_i) + beta KL(q~i || N(0, I)) ],  q~i = q(z|x_i) but for what is shared
shared_j:  d_j < (min d + max d) / 2,   d_j = 1/2 KL(q_1j || q_2j) + 1/2 KL(q_2j || q_1j)

Of a dimension that both are taken to share, q~1 and q~2 have one average: that of the means and of the
variances (gvae), or the normalised geometric mean of the densities (ml_vae, Ada-ML-VAE). Both data are
reconstructed from their own draws. Held-out figures of the bound are those of single data, q(z|x).

Data come in pairs: `pairs` of the data's options (1, or uniform) draws so many factors of a partner anew.

Differences from the paper: the divergence is symmetric (Dittadi et al. 2021, arXiv 2010.14407), where the
authors' code takes one direction. How many factors of a partner are drawn anew is as the data say, a fixed
number, or uniform from 1 to all but one; their code tosses a coin between 1 and that. Networks go by the
shape of the data and the likelihood by its kind. The paper trained for 300,000 steps and tried beta 1 to 16;
a tenth of them, and 1, are the defaults.

F. Locatello et al., Weakly-Supervised Disentanglement Without Compromises, ICML 2020,
https://arxiv.org/abs/2002.02886
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.models import Averaging, Pairwise
from vaekit.networks import Architecture
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import Distortion, Rate

BATCH = 64


@recipe
def ada_gvae(
    spec: Spec,
    *,
    beta: float = 1.0,
    averaging: Averaging = "gvae",
    latents: int = 10,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-4,
) -> System:
    """Wire an Ada-GVAE.

    Args:
        spec: the data, in pairs.
        beta: weight of the rate.
        averaging: of the posteriors in what both data share: gvae, or ml_vae for the Ada-ML-VAE.
        latents: dimensions of z, at least 2.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    wiring.pairs_of(spec, "ada_gvae", latents)
    checks.number("beta", beta, least=0)
    single = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden)
    model = Pairwise(single, averaging)
    objective = Objective(wiring.over_pairs({"distortion": (1.0, Distortion()), "rate": (beta, Rate())}))
    player = Player("vae", [model], objective, wiring.adam(learning_rate))
    epochs = wiring.passes(spec, BATCH, steps=30_000)
    return System(model, Simultaneous(model, [player], branches=("partner",)), BATCH, epochs)
