"""Importance weighted autoencoder.

L_K(x) = E log 1/K sum_k w_k,   log w_k = log p(x, z_k) - log q(z_k|x),   L_1 = ELBO <= L_K <= log p(x)

Networks are tanh with Glorot weights: one layer of 50 latents behind (200, 200), or two, x -> (200, 200) ->
h1 of 100 -> (100, 100) -> h2 of 50, mirrored downwards. `gradient` is of the posterior: plain; stl cuts its
parameters out of log q (unbiased at K = 1 only); dreg is unbiased at every K, and its signal does not fade
as K grows. "VAE with k samples" in the paper's tables is the recipe `ciwae` with b = 1.

Differences from the paper: the output bias starts at zero instead of the logit of the data mean; `stages=8`
gives its schedule of 3^i epochs at rates 1e-3 * 10^(-i/7), unrounded; the default is 1e-3 throughout. Adam
is that of the text (beta1 0.9, beta2 0.999, eps 1e-4); its code has beta1 0.99 and a second moment that
starts at one.

Y. Burda, R. Grosse, R. Salakhutdinov, Importance Weighted Autoencoders, ICLR 2016,
https://arxiv.org/abs/1509.00519
"""

from __future__ import annotations

from itertools import accumulate
from math import ceil
from typing import Literal

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Chain, Flat
from vaekit.networks import Activation, Architecture
from vaekit.procedures import Simultaneous
from vaekit.schedules import Steps
from vaekit.system import System, recipe
from vaekit.terms import ImportanceBound
from vaekit.terms.bounds import Gradient

BATCH = 20
Layers = Literal[1, 2]


@recipe
def iwae(
    spec: Spec,
    *,
    samples: int = 50,
    gradient: Gradient = "plain",
    layers: Layers = 1,
    latents: int = 50,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "mlp",
    hidden: tuple[int, ...] | None = None,
    activation: Activation | None = None,
    learning_rate: float = 1e-3,
    stages: int = 0,
) -> System:
    """Wire an importance weighted autoencoder.

    Args:
        spec: the data.
        samples: K, draws of z per datum.
        gradient: estimator of the posterior's gradient.
        layers: layers of latents; with two, the lower has twice as many as the upper.
        latents: dimensions of the upper (or only) layer.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of the networks between data and the lower layer.
        hidden: widths of their hidden layers, (200, 200) if nothing is said; halved between two layers.
        activation: nonlinearity of a fully connected network; tanh if nothing is said.
        learning_rate: of Adam.
        stages: 0 for a constant rate, or the number of stages of 3^i epochs (in batches of 20); the paper's
            is 8.
    """
    checks.known("layers", layers, Layers)
    checks.known("gradient", gradient, Gradient)
    model: Flat | Chain
    if layers == 1:
        model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden, wiring.BURDA, activation)
    elif gradient == "plain":
        model = wiring.gaussian_chain(
            spec, latents, likelihood, architecture, hidden, wiring.BURDA, activation
        )
    else:
        raise UnsupportedError(
            f"`gradient` is {gradient!r}, which cuts the posterior's parameters; with two layers that would "
            "also cut the path from the upper to the lower: take plain"
        )
    ends = list(accumulate(3**i * ceil(spec.size / BATCH) for i in range(checks.whole("stages", stages, 0))))
    players = wiring.bound_players(
        model,
        lambda name: ImportanceBound(gradient=name),
        gradient,
        wiring.adam(learning_rate, eps=1e-4),
        lambda: Steps([10 ** (-i / 7) for i in range(stages)], ends[:-1]) if stages else None,
    )
    procedure = Simultaneous(model, players, checks.whole("samples", samples))
    epochs = (3**stages - 1) // 2 if stages else 50
    return System(model, procedure, BATCH, epochs, scheduled=stages > 0)
