"""NashAE: a deterministic autoencoder whose latents cannot be predicted from each other.

regressors:   1/n sum_i 1/2 E[(z_i - rho_i(z_-i))^2]
autoencoder:  (1 - lambda) 1/2 E|x - g(z)|^2 / D + lambda sum_i Cov(sg[z_i], rho_i(z_-i)), z = sigmoid(f(x))

Regressor rho_i sees all of the n latents but z_i; against the best ones the covariances are Var E[z_i |
z_-i], which is zero where z_i cannot be predicted. The gradient of a covariance reaches the latents that
predict, not the one that is predicted (sg: stop gradient). Latents that are not needed become constant as
lambda grows. There is no prior: `generate` draws from the unit cube, where the codes lie and do not fill it.
The covariances couple the data of a batch.

Play alternates, as in the authors' code: `rounds` moves of the regressors, then one of the autoencoder, all
on the same codes.

Differences from the paper: networks for pictures of 64x64 pixels are those of the other disentangling
recipes; `architecture="mlp"` has the paper's for dSprites. A likelihood in place of the squared error is an
addition: coins have steeper losses, which can saturate all codes in the first steps.

E. Yeats, F. Liu, D. Womble, H. Li, NashAE: Disentangling Representations through Adversarial Covariance
Minimization, ECCV 2022, https://arxiv.org/abs/2209.10677
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.conditionals import Deterministic, UnitCube
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import Architecture, LeaveOneOut
from vaekit.objective import Objective
from vaekit.procedures import Alternating, Player
from vaekit.system import System, recipe
from vaekit.terms import Predictability, PredictionError

NETWORKS = wiring.Dense(hidden=(1200, 1200))
BATCH = 200


@recipe
def nash_ae(
    spec: Spec,
    *,
    lambda_covariance: float = 0.2,
    latents: int = 10,
    regressors: tuple[int, ...] = (40, 40),
    rounds: int = 5,
    likelihood: wiring.Reconstruction = "point",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
    regressor_learning_rate: float = 1e-2,
) -> System:
    """Wire a NashAE.

    Args:
        spec: the data.
        lambda_covariance: lambda, the share of the covariances in the loss; 0 is an autoencoder. The authors'
            notebooks have 0.2, and 0.008 for dSprites.
        latents: n, dimensions of z, at least 2.
        regressors: widths of the hidden layers of every regressor.
        rounds: moves of the regressors in a step.
        likelihood: point for the squared error, or a likelihood by its name.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network; (1200, 1200) if nothing is said.
        learning_rate: of Adam for encoder and decoder.
        regressor_learning_rate: of Adam for the regressors.
    """
    checks.number("lambda_covariance", lambda_covariance, least=0, most=1)
    checks.number("regressor_learning_rate", regressor_learning_rate, above=0)
    event = (checks.whole("latents", latents, least=2),)  # one latent has no others to predict it from
    encoder = wiring.encoder_of(spec, architecture, hidden, dense=NETWORKS)
    decoder = wiring.decoder_of(spec, architecture, hidden, [latents], dense=NETWORKS)
    ends, cost, term = wiring.make_reconstruction(likelihood, spec, decoder)
    model = Flat(Deterministic(encoder, event, bounded=True), UnitCube(event), ends)
    ensemble = LeaveOneOut(latents, checks.sizes("regressors", regressors))
    share = (1 - lambda_covariance) / spec.dimensions * (0.5 if likelihood == "point" else 1)
    game = Objective({cost: (share, term), "covariance": (lambda_covariance, Predictability(ensemble))})
    predict = Objective({"error": (1 / latents, PredictionError(ensemble))})
    turns = checks.whole("rounds", rounds)
    players = [
        Player("regressors", [ensemble], predict, wiring.adam(regressor_learning_rate), times=turns),
        Player("autoencoder", [model], game, wiring.adam(learning_rate)),
    ]
    epochs = wiring.passes(spec, BATCH, steps=4000)
    return System(model, Alternating(model, players), BATCH, epochs, monitor="last", least_batch=2)
