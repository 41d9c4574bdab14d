"""sigma-VAE: the variance of a Gaussian likelihood is learned, so the rate needs no weight.

-log p(x|z) = D/2 ln(2 pi sigma^2) + |x - f(z)|^2 / (2 sigma^2)
optimal: sigma*^2 = mean squared residual of the batch, which gives D/2 [ln(2 pi sigma*^2) + 1]

shared: one sigma, a parameter. optimal: the best sigma in closed form, pooled over the batch, and a running
average of it in evaluation. pixel: a sigma for every element, from the decoder. fixed: sigma given, the
baseline of the paper; it acts as a weight beta = sigma^2 of the rate against 1/2 |x - f(z)|^2.

Differences from the paper: the networks; the lower bound of ln sigma is -6 in all variants that have one. The
held-out loss of `optimal` uses the running variance, which the paper does not specify.

O. Rybkin, K. Daniilidis, S. Levine, Simple and Effective VAE Training with Calibrated Decoders, ICML 2021,
https://arxiv.org/abs/2006.13202
"""

from __future__ import annotations

from typing import Literal

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Flat
from vaekit.networks import Architecture
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe

Variance = Literal["shared", "optimal", "pixel", "fixed"]
NAMES: dict[Variance, wiring.LikelihoodName] = {
    "shared": "gaussian",
    "optimal": "gaussian_optimal",
    "pixel": "gaussian_pixel",
    "fixed": "gaussian_fixed",
}


@recipe
def sigma_vae(
    spec: Spec,
    *,
    variance: Variance = "optimal",
    sigma: float | None = None,
    latents: int = 16,
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a variational autoencoder with a calibrated Gaussian likelihood.

    Args:
        spec: the data, real or unit.
        variance: where sigma comes from.
        sigma: the standard deviation, for fixed alone; 1 if nothing is said.
        latents: dimensions of z.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    checks.known("variance", variance, Variance)
    if spec.kind not in ("real", "unit"):
        raise UnsupportedError(
            f"sigma_vae models real or unit data by a Gaussian; {spec.name!r} is {spec.kind}: take vae, or "
            'the data option binarise="none" where there are grey levels'
        )
    if sigma is not None and variance != "fixed":
        raise UnsupportedError(
            f"`sigma` is {sigma}, but variance {variance!r} finds its own: take variance fixed"
        )
    given = checks.number("sigma", 1.0 if sigma is None else sigma, above=0)
    decoder = wiring.decoder_of(spec, architecture, hidden, [latents])
    model = Flat(
        posterior=wiring.make_posterior("diagonal", wiring.encoder_of(spec, architecture, hidden), latents),
        prior=wiring.make_prior("standard", latents),
        likelihood=wiring.make_likelihood(NAMES[variance], spec, decoder, given),
    )
    player = Player("vae", [model], elbo(), wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]))
