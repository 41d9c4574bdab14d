"""Hierarchical prior that no rotation leaves as it is, so that latents find the factors of a field.

p(z) = int p(z|xi) N(xi; 0, I) dxi,   p(z|xi) = N(g(xi), diag(s^2)),   r(xi|z) = N(h(z), diag(t^2))
loss = -E_q log p(x|z) + beta E_q [log q(z|x) + KL(r(xi|z) || N(0, I)) - E_r log p(z|xi)]
       + alpha * mean over known theta of |E_q[z] - theta|^2

N(0, I) is the same after any rotation of z, and so is the bound. hierarchical: s and t are learned constants,
full: they come from networks like g and h. scaled: N(0, diag(v)) with unequal v; standard: N(0, I), the
paper's baseline. As a model the hierarchy is a chain x -> z1 -> z2 (z and xi) whose data depend on z1 alone.
While all s are equal, a rotation of z is undone by the last layer of g: the hierarchy gets axes by learning.

grown: no rate in the first `start` steps, then beta follows the sign of -log p(x|z) from 1e-9 up to 1: see
`vaekit.controllers.Growth`. rising: beta goes from 0 to 1 over the first `start` steps.

Differences from the paper: sums over pixels and latents where its program takes means, so that beta = 1 is
the ELBO; the rate of xi is drawn, not in closed form; full has one beta for both levels; one network gives
means and scales of q; the learning rate does not fall. The paper trains for 52,000 steps without a rate and
60,000 with it: a tenth of both is the default. Its program has no labels: the form of their term is ours. The
networks of the paper are `architecture="dense_blocks"`.

C. Jacobsen, K. Duraisamy, Disentangling Generative Factors of Physical Fields Using Variational Autoencoders,
Frontiers in Physics 10, 2022, https://arxiv.org/abs/2109.07399
"""

from __future__ import annotations

from vaekit import wiring
from vaekit.checks import whole
from vaekit.data.spec import Spec
from vaekit.networks import Activation, Architecture
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import Distortion, Rate

BATCH = 64


@recipe
def hierarchical_prior_vae(
    spec: Spec,
    *,
    prior: wiring.FieldPrior = "hierarchical",
    latents: int = 2,
    alpha: float = 0.0,
    weight: wiring.WeightRule = "grown",
    start: int = 5200,
    nu: float | None = None,
    likelihood: wiring.LikelihoodName = "gaussian_map",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    activation: Activation | None = None,
    learning_rate: float = 3e-4,
) -> System:
    """Wire a variational autoencoder with a hierarchical prior.

    Args:
        spec: the data, real or unit; with parameters theta, if `alpha` is to tie latents to them.
        prior: p(z).
        latents: dimensions of z, and of xi.
        alpha: weight of what is known of theta, which the first dimensions of z are to equal; 0 for nothing.
        weight: how beta moves.
        start: training steps without a rate (grown), or until beta is 1 (rising).
        nu: pace of the growth; 0.005 if nothing is said.
        likelihood: p(x|z); gaussian_map has a learned variance for every place.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        activation: nonlinearity of a fully connected network; relu if nothing is said.
        learning_rate: of Adam.
    """
    encoder = wiring.encoder_of(spec, architecture, hidden, activation)
    decoder = wiring.decoder_of(spec, architecture, hidden, [latents], activation)
    posterior = wiring.make_posterior("diagonal", encoder, latents)
    ends = wiring.make_likelihood(likelihood, spec, decoder)
    model = wiring.with_field_prior(prior, spec, posterior, ends, latents)
    beta = wiring.weight_by_rule(weight, spec, whole("start", start, least=0), nu)
    known = wiring.known_parameters(spec, model, alpha) if alpha else {}
    objective = Objective({"distortion": (1.0, Distortion()), "rate": (beta, Rate()), **known})
    player = Player("vae", [model], objective, wiring.adam(learning_rate))
    epochs = wiring.passes(spec, BATCH, steps=start + 6000)
    return System(model, Simultaneous(model, [player]), BATCH, epochs, monitor="last", scheduled=True)
