"""Hierarchical VAE with a VampPrior on its top level.

p(x, z) = p(x|z1, z2) p(z1|z2) p(z2),   q(z|x) = q(z2|x) q(z1|x, z2),   p(z2) = 1/K sum_k q(z2|u_k)
L(x) = E_q[log p(x|z1, z2) + beta (log p(z1|z2) + log p(z2) - log q(z1|x, z2) - log q(z2|x))]

The levels are inferred from the top, as they are drawn. With more than two numbers in `latents` every level
sees all levels above it. `prior` is that of the top level; see the recipe `vamp_vae` for it and for `warmup`.

Differences from the paper: those of `vamp_vae`; and a network of several inputs takes them side by side,
where the paper's has a gated layer for each of them first.

J. M. Tomczak, M. Welling, VAE with a VampPrior, AISTATS 2018, https://arxiv.org/abs/1705.07120
"""

from __future__ import annotations

from typing import Literal

from vaekit import checks, wiring
from vaekit.conditionals import Gaussian
from vaekit.data.spec import Spec
from vaekit.models import TopDown
from vaekit.networks import Architecture
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe

BATCH = 100
NETWORKS = wiring.Dense(hidden=(300, 300))


@recipe
def hvae(
    spec: Spec,
    *,
    prior: wiring.AggregateName = "vamp",
    components: int | None = None,
    pseudo_mean: float | None = None,
    pseudo_std: float | None = None,
    warmup: int = 50_000,
    latents: tuple[int, ...] = (40, 40),
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "gated",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 5e-4,
) -> System:
    """Wire a hierarchical variational autoencoder.

    Args:
        spec: the data, without a condition.
        prior: p(zL) of the top level.
        components: K, of vamp and mixture; 500 if nothing is said.
        pseudo_mean: of the normal distribution that the elements of pseudo-inputs start from; if nothing is
            said, 0.05, or 0 for real data.
        pseudo_std: its standard deviation; if nothing is said, 0.01, or 1 for real data.
        warmup: training steps over which the weight of the rate rises from 0 to 1.
        latents: dimensions of the levels, from the data upwards; two or more.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of the networks from and to the data.
        hidden: widths of the hidden layers of fully connected networks; (300, 300) if nothing is said.
        learning_rate: of Adam.
    """
    wiring.unconditional(spec, "hvae")
    events = [(n,) for n in checks.sizes("latents", latents, least=2)]
    between: Architecture = "mlp" if architecture == "mlp" else "gated"
    posteriors, priors = [], []
    for level, event in enumerate(events):
        above = events[level + 1 :]
        network = wiring.network_from([spec.shape, *above], architecture, hidden, dense=NETWORKS)
        posteriors.append(Gaussian(network, event))
        if above:
            priors.append(Gaussian(wiring.network_from(above, between, hidden, dense=NETWORKS), event))
    top = wiring.make_aggregate(prior, spec, posteriors[-1], latents[-1], components, pseudo_mean, pseudo_std)
    decoder = wiring.decoder_of(spec, architecture, hidden, latents, dense=NETWORKS)
    model = TopDown(posteriors, [*priors, top], wiring.make_likelihood(likelihood, spec, decoder))
    player = Player("vae", [model], elbo(wiring.rising(warmup)), wiring.adam(learning_rate))
    epochs = wiring.passes(spec, BATCH, steps=max(2 * warmup, 50_000))
    monitor: Literal["last", "loss"] = "last" if warmup else "loss"
    return System(model, Simultaneous(model, [player]), BATCH, epochs, monitor, scheduled=warmup > 0)
