"""Wasserstein autoencoder with maximum mean discrepancy: all codes together are to look like the prior.

loss = E_q(z|x) |x - f(z)|^2 + lambda MMD^2(q(z), p(z)),   q(z) = E_x q(z|x)

Each code stays where it reconstructs best; only the codes of a batch together are held against the prior. The
estimate of MMD^2 is unbiased, so it can be below zero. Neither a point encoder nor a point decoder has a
density: rates, bounds and likelihoods of such a model are refused, not guessed.

Differences from the paper: the authors' program weighs the squared error by 0.05 beside lambda = 10, which
is lambda = 200 here. No pre-training of the encoder's moments, no noise on the pictures, no batch
normalisation. Networks go by the shape of the data, and the decoder's outputs are not squashed. A likelihood
in place of the squared error makes the cost -log p(x|z).

I. Tolstikhin, O. Bousquet, S. Gelly, B. Schoelkopf, Wasserstein Auto-Encoders, ICLR 2018,
https://arxiv.org/abs/1711.01558
"""

from __future__ import annotations

from typing import Literal

from vaekit import checks, wiring
from vaekit import conditionals as c
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import Architecture
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import MMD
from vaekit.terms.discrepancy import SCALES, Kernel

Encoder = Literal["deterministic", "gaussian"]


@recipe
def wae_mmd(
    spec: Spec,
    *,
    latents: int = 8,
    lambda_mmd: float = 200.0,
    kernel: Kernel = "imq",
    scales: tuple[float, ...] = SCALES,
    encoder: Encoder = "deterministic",
    likelihood: wiring.Reconstruction = "point",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a Wasserstein autoencoder.

    Args:
        spec: the data.
        latents: dimensions of z.
        lambda_mmd: lambda, weight of the discrepancy; 0 is an autoencoder.
        kernel: imq, inverse multiquadratic, or rbf, Gaussian.
        scales: widths of the kernels that are summed; at 1, the distance of two draws from the prior.
        encoder: deterministic for one code per datum, or gaussian.
        likelihood: point for the squared error of a decoder without density, or a likelihood by its name.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam, whose first decay is 0.5.
    """
    checks.known("encoder", encoder, Encoder)
    checks.whole("latents", latents)
    network = wiring.decoder_of(spec, architecture, hidden, [latents])
    decoder, cost, term = wiring.make_reconstruction(likelihood, spec, network)
    posterior = c.Deterministic if encoder == "deterministic" else c.Gaussian
    codes = posterior(wiring.encoder_of(spec, architecture, hidden), (latents,))
    model = Flat(codes, wiring.make_prior("standard", latents), decoder)
    weight = checks.number("lambda_mmd", lambda_mmd, least=0)
    objective = Objective({cost: (1.0, term), "mmd": (weight, MMD(kernel, scales))})
    player = Player("autoencoder", [model], objective, wiring.adam(learning_rate, betas=(0.5, 0.999)))
    return System(model, Simultaneous(model, [player]), batch_size=100, epochs=100)
