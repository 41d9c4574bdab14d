"""Adversarial autoencoder: a critic makes the codes of the data as a whole look like draws from the prior.

autoencoder:  E_q(z|x)[-log p(x|z)]                                moves encoder and decoder
critic:       1/2 E_p(z)[-ln D(z)] + 1/2 E_q(z)[-ln(1 - D(z))]     moves the critic
encoder:      E_q(z)[-ln D(z)]                                     moves the encoder

q(z) = E_x q(z|x); the prior p(z) needs draws and no density. In place of the rate, the game makes q(z) like
p(z): a cross-entropy of ln 2 = 0.69 says that the critic cannot tell the two apart.

Play alternates, as in the paper: reconstruction, critic, encoder, each after the one before has moved. The
critic and the encoder are judged on the same draws.

Differences from the paper: Adam, where the paper has gradient descent with momentum; the likelihood follows
from the kind of the data; learning rates and the sizes of the mixture's islands are chosen here. The
posterior of noise that runs through the encoder is not offered.

A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow, B. Frey, Adversarial Autoencoders, 2015,
https://arxiv.org/abs/1511.05644
"""

from __future__ import annotations

from typing import Literal

from vaekit import checks, wiring
from vaekit.conditionals import Deterministic, GaussianRing
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import MLP, Architecture
from vaekit.objective import Objective
from vaekit.procedures import Alternating, Player
from vaekit.system import System, recipe
from vaekit.terms import Deception, Discrimination, Distortion, codes, prior_codes

NETWORKS = wiring.Dense(hidden=(1000, 1000))
Encoder = Literal["deterministic", "gaussian"]
Prior = Literal["standard", "mixture"]


@recipe
def adversarial_autoencoder(
    spec: Spec,
    *,
    latents: int = 8,
    encoder: Encoder = "deterministic",
    prior: Prior = "standard",
    critic: tuple[int, ...] = (1000, 1000),
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
    critic_learning_rate: float = 1e-4,
) -> System:
    """Wire an adversarial autoencoder.

    Args:
        spec: the data.
        latents: dimensions of z.
        encoder: deterministic for one code a datum, as the paper reports, or gaussian for a Gaussian.
        prior: p(z): standard for N(0, I), mixture for ten Gaussians on a ring in the plane of the first two
            latents.
        critic: widths of the hidden layers of the critic.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network; (1000, 1000) if nothing is said.
        learning_rate: of Adam for the reconstruction.
        critic_learning_rate: of Adam for critic and encoder in the game.
    """
    checks.known("encoder", encoder, Encoder)
    checks.number("critic_learning_rate", critic_learning_rate, above=0)
    checks.known("prior", prior, Prior)
    event = (checks.whole("latents", latents, least=2 if prior == "mixture" else 1),)
    network = wiring.encoder_of(spec, architecture, hidden, dense=NETWORKS)
    decoder = wiring.decoder_of(spec, architecture, hidden, [latents], dense=NETWORKS)
    model = Flat(
        Deterministic(network, event)
        if encoder == "deterministic"
        else wiring.make_posterior("diagonal", network, latents),
        GaussianRing(event) if prior == "mixture" else wiring.make_prior("standard", latents),
        wiring.make_likelihood(likelihood, spec, decoder),
    )
    judge = MLP([event], (1,), checks.sizes("critic", critic))
    reconstruct = Objective({"distortion": (1.0, Distortion())})
    compare = Objective({"cross_entropy": (1.0, Discrimination(judge, prior_codes, codes))})
    deceive = Objective({"deception": (1.0, Deception(judge))})
    slow = wiring.adam(critic_learning_rate, betas=(0.5, 0.999))
    players = [
        Player("autoencoder", [model], reconstruct, wiring.adam(learning_rate)),
        Player("critic", [judge], compare, slow, observes=False),
        Player("encoder", [model.posteriors], deceive, slow, observes=False),
    ]
    return System(model, Alternating(model, players, branches=("draws",)), batch_size=100, monitor="last")
