"""GCVAE: the weights of reconstruction, rate and correlation, each moved until its term is at a set point.

loss = (1 - alpha_t - beta_t) E_q(z|x)[-log p(x|z)] + beta_t KL(q(z|x) || N(0, I)) + gamma_t D(q(z), N(0, I))
alpha_t, beta_t in [0, 1], alpha_t + beta_t <= 0.99, gamma_t >= 1, each by a controller: `vaekit.controllers`.

A weight may be given a number instead: (alpha, beta, gamma) = (-1, 1, 0) is the VAE, (-b, b, 0) the
beta-VAE, (0, controlled, 0) a ControlVAE up to the scale of its loss, (0, 0, g) an InfoVAE without a rate.
The authors' FactorVAE, (-1, 1, -1) with D = 0, is the VAE. Set points are in nats per datum, summed over
elements, and D's in its own units. Theirs of the reconstruction is a mean over rows: 1/28 of it on MNIST.

Differences from the paper: where alpha + beta is above 0.99 both are scaled down together; the authors' may
leave reconstruction a weight below zero. Alpha grows where the reconstruction is better than its set point;
in the authors' programs where it is worse, which makes it worse still (`sign="published"`). They make a new
controller at every step, so that nothing is integrated and beta is 0 as long as the rate is below its set
point (`stateful=False`). Their Mahalanobis distance is a constant (`correlation="mahalanobis_literal"`), and
their weighted discrepancy has no gradient: see `vaekit.terms.correlation`. Weights follow from the step
before, and nothing stops when they have come to rest. Networks and likelihood go by the data.

K. Ezukwoke, A. Hoayek, M. Batton-Hubert, X. Boucher, GCVAE: Generalized-Controllable Variational AutoEncoder,
2022, https://arxiv.org/abs/2206.04225
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from vaekit import checks, wiring
from vaekit.controllers import Controller, share
from vaekit.data.spec import Spec
from vaekit.networks import Architecture
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.schedules import Weight
from vaekit.system import System, recipe
from vaekit.terms import Distortion, Rate, Term
from vaekit.terms.correlation import Measure, make_measure

Sign = Literal["corrective", "published"]


@recipe
def gcvae(
    spec: Spec,
    *,
    alpha: float | None = None,
    beta: float | None = None,
    gamma: float | None = None,
    distortion_target: float = 10.0,
    rate_target: float = 30.0,
    correlation_target: float = 0.1,
    correlation: Measure = "mmd",
    kp: float = 0.1,
    ki: float = 1e-4,
    stateful: bool = True,
    sign: Sign = "corrective",
    latents: int = 10,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a generalised controllable variational autoencoder.

    Args:
        spec: the data.
        alpha: what the reconstruction's weight is less than 1 - beta; controlled if nothing is said.
        beta: weight of the rate; controlled if nothing is said.
        gamma: weight of the correlation measure; controlled if nothing is said.
        distortion_target: set point of the reconstruction, in nats per datum; alpha moves towards it.
        rate_target: set point of the rate, in nats per datum; beta moves towards it.
        correlation_target: set point of the correlation measure, in its units; gamma moves towards it.
        correlation: D, a measure of `vaekit.terms.correlation`.
        kp: largest answer of each controller to a term on one side of its set point.
        ki: change of each weight in a step, for each unit of distance from the set point.
        stateful: whether the controllers remember; without it they answer the last step alone.
        sign: which side of its set point lets alpha grow: corrective, below; published, above.
        latents: dimensions of z.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    checks.known("sign", sign, Sign)
    hold = partial(Controller, kp=kp, ki=ki, stateful=stateful)
    first = hold("distortion", distortion_target, high=1.0, sign=1 if sign == "published" else -1)
    second, third = hold("rate", rate_target, high=1.0), hold("correlation", correlation_target, low=1.0)
    rest, beta_t = share(
        first if alpha is None else checks.number("alpha", alpha),
        second if beta is None else checks.number("beta", beta, least=0),
    )
    gamma_t = third if gamma is None else checks.number("gamma", gamma)
    terms: dict[str, tuple[Weight, Term]] = {"distortion": (rest, Distortion()), "rate": (beta_t, Rate())}
    measure = make_measure(correlation, checks.whole("latents", latents))
    if gamma != 0:  # without weight its draws would still change the noise
        terms["correlation"] = (gamma_t, measure)
    model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden)
    player = Player("vae", [model], Objective(terms), wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]), batch_size=64, monitor="last")
