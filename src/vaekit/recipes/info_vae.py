"""InfoVAE: the rate weighs less, and the distance of all codes from the prior more.

loss = E_q(z|x)[-log p(x|z)] + (1 - alpha) KL(q(z|x) || p(z)) + (alpha + lambda - 1) MMD^2(q(z), p(z))

alpha = 0 and lambda = 1 is the VAE; alpha = 1 drops the rate (MMD-VAE). As the rate is
I_q(x; z) + KL(q(z) || p(z)), information has a price of 1 - alpha.

Differences from the paper: the networks go by the shape of the data, and the likelihood by its kind. The
default weights are ours: a discrepancy, which is below 2, has to weigh like the nats of a picture. The
authors' program takes one Gaussian kernel exp(-|a - b|^2 / n^2), which is `scales=(n / 2,)`. The discrepancy
is estimated without bias; theirs keeps each point's pair with itself.

S. Zhao, J. Song, S. Ermon, InfoVAE: Balancing Learning and Inference in Variational Autoencoders, AAAI 2019,
https://arxiv.org/abs/1706.02262
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.networks import Architecture
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.schedules import Weight
from vaekit.system import System, recipe
from vaekit.terms import MMD, Distortion, Rate, Term
from vaekit.terms.discrepancy import Kernel


@recipe
def info_vae(
    spec: Spec,
    *,
    alpha: float = 1.0,
    lambda_mmd: float = 1000.0,
    kernel: Kernel = "rbf",
    scales: tuple[float, ...] = (1.0,),
    latents: int = 16,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire an InfoVAE.

    Args:
        spec: the data.
        alpha: worth of mutual information, at most 1; 1 drops the rate.
        lambda_mmd: lambda; the discrepancy weighs alpha + lambda - 1.
        kernel: rbf, Gaussian, or imq, inverse multiquadratic.
        scales: widths of the kernels that are summed; at 1, the distance of two draws from the prior.
        latents: dimensions of z.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    checks.number("alpha", alpha, most=1)
    weight = alpha + checks.number("lambda_mmd", lambda_mmd) - 1
    if weight < 0:
        raise UnsupportedError(
            f"`alpha` is {alpha} and `lambda_mmd` {lambda_mmd}: the discrepancy would weigh {weight:g}, and "
            f"drive the codes away from the prior; take `lambda_mmd` of at least {1 - alpha:g}"
        )
    model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden)
    discrepancy = MMD(kernel, scales)
    terms: dict[str, tuple[Weight, Term]] = {"distortion": (1.0, Distortion())}
    if alpha != 1:
        terms["rate"] = (1 - alpha, Rate())
    if weight:  # without weight its draws would still change the noise of the VAE
        terms["mmd"] = (weight, discrepancy)
    player = Player("vae", [model], Objective(terms), wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]))
