"""VAE with a VampPrior: the prior is a mixture of the model's own posteriors at learned pseudo-inputs.

p(z) = 1/K sum_k q(z|u_k),   L(x) = E_q(z|x)[log p(x|z)] + beta E_q(z|x)[log p(z) - log q(z|x)]

The best prior for the bound is the mean of q(z|x) over the data, and K pseudo-inputs u_k stand for them.
There is no closed form, so the rate is that of the draw. beta rises from 0 to 1 over `warmup` steps; 50,000
are the paper's 100 epochs of MNIST. `prior` puts another prior on the same networks, for comparison: N(0, I),
or as many Gaussians that are learned freely.

Differences from the paper: plain Adam, where the paper normalises the gradient of every tensor first; beta
rises with every step, not every epoch, and the last weights are handed back, where the paper stops early; ln
s of the posterior is clamped to [-8, 4], not [-3, 1]; pseudo-inputs that leave the range of the data are
brought back after the step, where a hard tanh would cut their gradients off for good.

J. M. Tomczak, M. Welling, VAE with a VampPrior, AISTATS 2018, https://arxiv.org/abs/1705.07120
"""

from __future__ import annotations

from typing import Literal

from vaekit import wiring
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import Architecture
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe

BATCH = 100
NETWORKS = wiring.Dense(hidden=(300, 300))


@recipe
def vamp_vae(
    spec: Spec,
    *,
    prior: wiring.AggregateName = "vamp",
    components: int | None = None,
    pseudo_mean: float | None = None,
    pseudo_std: float | None = None,
    warmup: int = 50_000,
    latents: int = 40,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "gated",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 5e-4,
) -> System:
    """Wire a variational autoencoder with a VampPrior.

    Args:
        spec: the data, without a condition.
        prior: p(z).
        components: K, of vamp and mixture; 500 if nothing is said.
        pseudo_mean: of the normal distribution that the elements of pseudo-inputs start from; if nothing is
            said, 0.05 as for MNIST (0.5 for Caltech 101 and Frey Faces), or 0 for real data.
        pseudo_std: its standard deviation; if nothing is said, 0.01 (0.02 there), or 1 for real data.
        warmup: training steps over which the weight of the rate rises from 0 to 1.
        latents: dimensions of z.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder.
        hidden: widths of the hidden layers of a fully connected network; (300, 300) if nothing is said.
        learning_rate: of Adam.
    """
    wiring.unconditional(spec, "vamp_vae")
    decoder = wiring.decoder_of(spec, architecture, hidden, [latents], dense=NETWORKS)
    encoder = wiring.encoder_of(spec, architecture, hidden, dense=NETWORKS)
    posterior = wiring.make_posterior("diagonal", encoder, latents)
    aggregate = wiring.make_aggregate(prior, spec, posterior, latents, components, pseudo_mean, pseudo_std)
    model = Flat(posterior, aggregate, wiring.make_likelihood(likelihood, spec, decoder))
    player = Player("vae", [model], elbo(wiring.rising(warmup)), wiring.adam(learning_rate))
    epochs = wiring.passes(spec, BATCH, steps=max(2 * warmup, 50_000))
    monitor: Literal["last", "loss"] = "last" if warmup else "loss"
    return System(model, Simultaneous(model, [player]), BATCH, epochs, monitor, scheduled=warmup > 0)
