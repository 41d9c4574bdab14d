"""beta-VAE: a heavier rate, for latents that each carry one factor of the data.

L(x) = E_q(z|x)[log p(x|z)] - beta KL(q(z|x) || N(0, I)),   beta > 1 to disentangle, beta = 1 the VAE

Reconstruction and rate are sums over pixels and latents. The normalised weight of the paper is
beta_norm = beta * latents / pixels.

Differences from the paper: for 2D shapes it used fully connected networks and Adagrad at 1e-2; networks for
64x64 images, batches of 64 and Adam at 1e-4 are those of Locatello et al. 2019 (arXiv 1811.12359). The
likelihood follows from the kind of the data, where that study took the Bernoulli cross-entropy throughout:
`likelihood="cross_entropy"` for grey levels. It trained for 300,000 steps and kept the last weights
(`weights="last"` of the training); a tenth of the steps is the default here.

I. Higgins et al., beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework, ICLR
2017, https://openreview.net/forum?id=Sy2fzU9gl
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.networks import Architecture
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe

BATCH = 64


@recipe
def beta_vae(
    spec: Spec,
    *,
    beta: float = 4.0,
    latents: int = 10,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-4,
) -> System:
    """Wire a beta-VAE.

    Args:
        spec: the data.
        beta: weight of the rate; 4 is the paper's for 2D shapes.
        latents: dimensions of z.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden)
    objective = elbo(beta=checks.number("beta", beta, least=0))
    player = Player("vae", [model], objective, wiring.adam(learning_rate))
    epochs = wiring.passes(spec, BATCH, steps=30_000)
    return System(model, Simultaneous(model, [player]), BATCH, epochs)
