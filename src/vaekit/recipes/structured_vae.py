"""Variational autoencoder with structured residuals: what the mean leaves over is correlated in space.

p(x|z) = N(x; f(z), (L L^T)^-1),   l_ij != 0 only for pixels i >= j (in raster order) of one patch
-log p(x|z) = 1/2 [ D ln 2pi - 2 sum_j ln l_jj + |L^T (x - f(z))|^2 ],   L = L(z)

Two players minimise the negative ELBO: one owns the encoder, the mean and the scale of the residuals, the
other the network of L. staged (SUPN): first the mean under N(f, sigma^2 I), then it is frozen and L alone
moves. joint: the mean goes on moving with L (1804.01050). Before `start` both are a sigma-VAE.

Differences from the paper: the mean is trained with a learned sigma instead of squared error, and L is
predicted in units of this sigma; L follows the latent, not the mean; the last layer of its network starts at
zero. The networks, the number of latents and the schedule are chosen here, as is the extension to colour,
which joins the channels of a pixel. The Gamma prior is the authors' code's, with one shape for all pixels.

G. Dorta, S. Vicente, L. Agapito, N. Campbell, I. Simpson, Structured Uncertainty Prediction Networks, CVPR
2018, https://arxiv.org/abs/1802.07079; Training VAEs Under Structured Residuals, 2018,
https://arxiv.org/abs/1804.01050
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from vaekit import checks, wiring
from vaekit.conditionals import StructuredGaussian
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Flat
from vaekit.networks import Architecture
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.schedules import Steps, Weight
from vaekit.system import System, recipe
from vaekit.terms import Distortion, PrecisionPrior, Rate, Term

BATCH = 64
MOVES = 20_000  # steps in which L moves
Order = Literal["staged", "joint"]


@recipe
def structured_vae(
    spec: Spec,
    *,
    latents: int = 16,
    neighbourhood: int = 5,
    order: Order = "staged",
    start: int = 10_000,
    ceiling: float = 5.0,
    prior: tuple[float, float] | None = None,
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a variational autoencoder whose residuals are correlated in space.

    Args:
        spec: the data, real or unit: pictures, or lines of numbers.
        latents: dimensions of z.
        neighbourhood: side f of the patch, odd; 1 is a diagonal covariance (for one channel).
        order: staged freezes encoder and mean when L begins to move, joint does not.
        start: training steps before L begins to move.
        ceiling: largest ln l_jj: what keeps the precision of pixels that never vary finite.
        prior: shape and rate of a Gamma prior on every l_jj^2, or None.
        architecture: of encoder, mean and L; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam, for both players.
    """
    checks.known("order", order, Order)
    if spec.kind not in ("real", "unit"):
        raise UnsupportedError(
            f"structured_vae models real or unit data by a Gaussian; {spec.name!r} is {spec.kind}: take vae, "
            'or the data option binarise="none" where there are grey levels'
        )
    encoder = wiring.encoder_of(spec, architecture, hidden)
    decoder = wiring.decoder_of(spec, architecture, hidden, [latents])
    posterior = wiring.make_posterior("diagonal", encoder, latents)
    # its network is drawn last: encoder and mean start from the same weights whatever the neighbourhood
    likelihood = StructuredGaussian(decoder, spec.shape, neighbourhood, ceiling, start)
    model = Flat(posterior, wiring.make_prior("standard", latents), likelihood)
    terms: dict[str, tuple[Weight, Term]] = {"distortion": (1.0, Distortion()), "rate": (1.0, Rate())}
    if prior is not None:
        terms["prior"] = (1.0, PrecisionPrior(*prior))
    objective, optimizer = Objective(terms), wiring.adam(learning_rate)
    mean: list[nn.Module | nn.Parameter] = [model.posteriors, likelihood.network, likelihood.head]
    until, since = Steps([1.0, 0.0], [start]), Steps([0.0, 1.0], [start])
    players = [
        Player("mean", mean, objective, optimizer, until if order == "staged" else None),
        Player("covariance", [likelihood.covariance], objective, optimizer, since),
    ]
    epochs = wiring.passes(spec, BATCH, steps=start + MOVES)
    return System(model, Simultaneous(model, players), BATCH, epochs, scheduled=True)
