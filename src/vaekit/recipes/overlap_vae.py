"""VAE with an overlap-aware reconstruction loss: beside each pixel it looks at what a box blur leaves.

L = MSE(x, x') + alpha MSE(blur x, blur x') + beta / n sum_j KL(q(z_j|x) || N(0, 1)),   x' = g(z)

The mean convention of the paper: MSE is the mean over the D values of a picture, and the divergence the mean
over the n latents. Times D, this is a sum over pixels of squared errors (a Gaussian of variance 1/2, or with
the blur B of precision 2 (I + alpha B^T B)) with the usual weight beta D / n of the rate.

A squared error of pixels sees equal distances between any two places of a square that do not overlap, and
latents ordered by what the loss sees are then in no order. The blurred error grows with the distance.

With `averaging`, data come in pairs that share most of their factors, and the posteriors of a pair are those
of Ada-GVAE (or Ada-ML-VAE): what both are taken to share is averaged, and L is the mean over the pair.

The paper standardises its data. Here it is the recipe that does: networks and errors are in units of `std`
around `mean`, one number for all channels or one each, while data, reconstructions and samples keep their own
unit. For XYSquares these are 1/64 and 0.124; with the defaults nothing is standardised.

Differences from the paper: none known in the loss. Networks go by the shape of the data: for 64x64 those of
Locatello et al. 2019, with kernels of 2x2 in the last two convolutions instead of 4x4 and uniform instead of
normal Glorot weights. How many factors of a partner are drawn anew is as the data say. A decoder that is
judged by this loss has no density, so that bounds are refused.

N. Michlo, R. Klein, S. James, Overlooked Implications of the Reconstruction Loss for VAE Disentanglement,
IJCAI 2023, https://arxiv.org/abs/2202.13341
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.models import Averaging, Flat, Model, Pairwise
from vaekit.networks import Architecture
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import BlurredError, Rate, Term

BATCH = 256


@recipe
def overlap_vae(
    spec: Spec,
    *,
    beta: float = 0.0316,
    radius: int | None = None,
    alpha: float | None = None,
    averaging: Averaging | None = None,
    latents: int = 25,
    mean: tuple[float, ...] = (0.0,),
    std: tuple[float, ...] = (1.0,),
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a VAE with an overlap-aware reconstruction loss.

    Args:
        spec: the data, pictures of measured values.
        beta: weight of the rate in the mean convention.
        radius: r of the box of (2 r + 1)^2 pixels; if nothing is said, half the picture less one: 31 for 64
            pixels, as in the paper.
        alpha: weight of the blurred error, (2 r + 1)^2 if nothing is said; 0 for the error of pixels alone.
        averaging: learn from pairs, averaging what both data share as Ada-GVAE (gvae) or Ada-ML-VAE
            (ml_vae); if nothing is said, data are single.
        latents: n, dimensions of z, at least 2 with `averaging`.
        mean: of the values of each channel.
        std: standard deviation of the values of each channel.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    _, height, width = wiring.picture_of(spec, "overlap_vae")
    if averaging is not None:
        wiring.pairs_of(spec, f"overlap_vae with averaging {averaging!r}", latents)
    usual = max(0, min(height, width) // 2 - 1)
    reach = usual if radius is None else checks.whole("radius", radius, least=0)
    if reach >= max(height, width):
        raise ValueError(
            f"`radius` is {reach}, beyond {height}x{width} pixels; expected less, such as {usual}"
        )
    strength = (2 * reach + 1) ** 2 if alpha is None else checks.number("alpha", alpha, least=0)
    encoder = wiring.encoder_of(spec, architecture, hidden)
    decoder = wiring.decoder_of(spec, architecture, hidden, [latents])
    encoder, decoder = wiring.standardised(encoder, decoder, spec, mean, std)
    ends, _, _ = wiring.make_reconstruction("point", spec, decoder)
    posterior = wiring.make_posterior("diagonal", encoder, latents)
    single = Flat(posterior, wiring.make_prior("standard", latents), ends)
    terms: dict[str, tuple[float, Term]] = {
        "squared_error": (1 / spec.dimensions, BlurredError(0, std)),
        "blurred_error": (strength / spec.dimensions, BlurredError(reach, std)),
        "rate": (checks.number("beta", beta, least=0) / latents, Rate()),
    }
    model: Model = single if averaging is None else Pairwise(single, averaging)
    objective = Objective(terms if averaging is None else wiring.over_pairs(terms))
    player = Player("vae", [model], objective, wiring.adam(learning_rate))
    procedure = Simultaneous(model, [player], branches=("partner",) if averaging else ())
    return System(model, procedure, BATCH, wiring.passes(spec, BATCH, steps=57_600))
