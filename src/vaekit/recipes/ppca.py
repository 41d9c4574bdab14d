"""Probabilistic principal component analysis, by gradient on its exact evidence.

p(z) = N(0, I),   p(x|z) = N(W z + mu, sigma^2 I),   p(x) = N(mu, W W^T + sigma^2 I)

The posterior is exact and shares the parameters of the likelihood, so log p(x, z) - log q(z|x) = log p(x) for
every draw: the bound is the evidence, without variance. At the optimum W spans the leading eigenvectors of
the data covariance, W = U (Lambda - sigma^2 I)^1/2 R, and sigma^2 is the mean of the eigenvalues left out.

Differences from the paper: Adam instead of the closed form or EM, which stand beside the linear-Gaussian
world in `vaekit.worlds` and which this recipe converges to.

M. E. Tipping, C. M. Bishop, Probabilistic Principal Component Analysis, Journal of the Royal Statistical
Society B 61, 1999, 611-622
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.conditionals import LinearPosterior, SharedGaussian
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Flat
from vaekit.networks import MLP
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import Rate


@recipe
def ppca(spec: Spec, *, latents: int = 2, learning_rate: float = 1e-2) -> System:
    """Wire probabilistic principal component analysis.

    Args:
        spec: the data, real, without a condition.
        latents: dimensions of z, fewer than those of the data.
        learning_rate: of Adam.
    """
    wiring.unconditional(spec, "ppca")
    if spec.kind != "real":
        raise UnsupportedError(
            f"ppca models real data by a Gaussian; {spec.name!r} is {spec.kind}: take the recipe vae"
        )
    if checks.whole("latents", latents) >= spec.dimensions:
        raise ValueError(
            f"`latents` is {latents}; expected fewer than the {spec.dimensions} dimensions of the data, or "
            "no variance is left for the noise"
        )
    network = MLP([(latents,)], spec.shape, hidden=())
    likelihood = SharedGaussian(lambda _: network, spec.shape)
    model = Flat(
        LinearPosterior(likelihood, network.output_layer), wiring.make_prior("standard", latents), likelihood
    )
    player = Player("ppca", [model], elbo(rate=Rate("sample")), wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]), batch_size=256, epochs=100)
