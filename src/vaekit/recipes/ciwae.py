"""Combination importance weighted autoencoder: part ELBO, part importance-weighted bound, of the same draws.

CIWAE(b) = b E 1/K sum_k log w_k + (1 - b) E log 1/K sum_k w_k,   log w_k = log p(x, z_k) - log q(z_k|x)

b = 0 is the IWAE, b = 1 the ELBO averaged over K draws ("VAE with k samples" in the tables of Burda et al.).

Differences from the paper: networks and optimiser are those of the recipe `iwae`, as the paper trains the
networks of Burda et al.; the learning rate is chosen here.

T. Rainforth et al., Tighter Variational Bounds are Not Necessarily Better, ICML 2018,
https://arxiv.org/abs/1802.04537
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.networks import Activation, Architecture
from vaekit.procedures import Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import ImportanceBound
from vaekit.terms.bounds import Gradient


@recipe
def ciwae(
    spec: Spec,
    *,
    b: float = 0.05,
    samples: int = 64,
    gradient: Gradient = "plain",
    latents: int = 50,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "mlp",
    hidden: tuple[int, ...] | None = None,
    activation: Activation | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a combination importance weighted autoencoder.

    Args:
        spec: the data.
        b: weight of the ELBO; beta in the paper.
        samples: K, draws of z per datum.
        gradient: estimator of the posterior's gradient: plain, stl or dreg.
        latents: dimensions of z.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder.
        hidden: widths of the hidden layers of a fully connected network; (200, 200) if nothing is said.
        activation: nonlinearity of a fully connected network; tanh if nothing is said.
        learning_rate: of Adam.
    """
    checks.number("b", b, least=0, most=1)
    model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden, wiring.BURDA, activation)
    players = wiring.bound_players(
        model,
        lambda name: ImportanceBound(b=b, gradient=name),
        gradient,
        wiring.adam(learning_rate, eps=1e-4),
    )
    procedure = Simultaneous(model, players, checks.whole("samples", samples))
    return System(model, procedure, batch_size=20)
