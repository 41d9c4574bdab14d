"""Partially importance weighted autoencoder: a tight bound for the generator, a calm one for the encoder.

theta follows IWAE(M K) = E log 1/(M K) sum_mk w_mk
phi follows MIWAE(M, K) = E 1/M sum_m log 1/K sum_k w_mk,   log w_mk = log p(x, z_mk) - log q(z_mk|x)

Both are judged on the same draws, and each moves its own parameters and no other.

Differences from the paper: networks and optimiser are those of the recipe `iwae`, as the paper trains the
networks of Burda et al.; the learning rate is chosen here. `gradient` is an addition.

T. Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, ICML 2018,
https://arxiv.org/abs/1802.04537
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.networks import Activation, Architecture
from vaekit.objective import Objective
from vaekit.procedures import Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import ImportanceBound
from vaekit.terms.bounds import Gradient


@recipe
def piwae(
    spec: Spec,
    *,
    groups: int = 8,
    samples: int = 8,
    gradient: Gradient = "plain",
    latents: int = 50,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "mlp",
    hidden: tuple[int, ...] | None = None,
    activation: Activation | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a partially importance weighted autoencoder.

    Args:
        spec: the data.
        groups: M, bounds that the encoder's objective averages.
        samples: K, draws of z in each of them; a datum costs M K draws.
        gradient: estimator of the encoder's gradient: plain, stl or dreg.
        latents: dimensions of z.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder.
        hidden: widths of the hidden layers of a fully connected network; (200, 200) if nothing is said.
        activation: nonlinearity of a fully connected network; tanh if nothing is said.
        learning_rate: of Adam.
    """
    checks.known("gradient", gradient, Gradient)
    total = checks.whole("groups", groups) * checks.whole("samples", samples)
    model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden, wiring.BURDA, activation)
    players = wiring.two_players(
        model,
        generator=Objective({"bound": (1.0, ImportanceBound())}),
        encoder=Objective({"bound": (1.0, ImportanceBound(groups, gradient=gradient))}),
        optimizer=wiring.adam(learning_rate, eps=1e-4),
    )
    return System(model, Simultaneous(model, players, total), batch_size=20)
