"""Semi-supervised deep generative model M2: the label is a latent that is sometimes known.

p(x, y, z) = p(y) p(z) p(x|y,z),   q(y, z|x) = q(y|x) q(z|x,y)
J_a = sum_labelled L(x, y) + sum_unlabelled U(x) + alpha (N / N_l) sum_labelled log q(y|x)
L(x, y) = E_q(z|x,y)[log p(x|y,z)] - KL(q(z|x,y) || p(z)) + log p(y),   U = sum_y q(y|x) L(x, y) + H(q(y|x))

The sum over y is exact: every class is tried, with noise of its own. Everything is divided by N. Held-out
data are judged by U, as if they had no labels, and by the error of q(y|x).

Differences from the paper: Adam instead of RMSProp with momentum; initial weights as torch draws them instead
of N(0, 0.001^2), with which the decoder ignores y for many epochs; no prior on the weights. As in the
authors' code q(z|x,y) sees y, every batch holds labelled and unlabelled data in the ratio of the set, and
labelled data do not stand among the unlabelled a second time. M1+M2 is the recipe `m1_m2`.

D. P. Kingma, D. J. Rezende, S. Mohamed, M. Welling, Semi-Supervised Learning with Deep Generative Models,
NIPS 2014, https://arxiv.org/abs/1406.5298
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.networks import Architecture
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import Classification, Distortion, Rate

BATCH = 200
NETWORKS = wiring.Dense(hidden=(500,), activation="softplus")


@recipe
def m2(
    spec: Spec,
    *,
    latents: int = 50,
    alpha: float = 0.1,
    samples: int = 1,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "mlp",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 3e-4,
    fall: int = 0,
) -> System:
    """Wire a semi-supervised model M2.

    Args:
        spec: the data, with labels; see the data option `labelled`.
        latents: dimensions of z.
        alpha: weight of the classification of labelled data: alpha N in the paper's sum, 0.1 N there.
        samples: draws of z per datum and class.
        likelihood: p(x|y,z); auto goes by the kind of the data.
        architecture: of q(y|x), q(z|x,y) and p(x|y,z).
        hidden: widths of the hidden layers of a fully connected network; (500,) if nothing is said.
        learning_rate: of Adam.
        fall: step at which the learning rate has come down to zero, in a straight line from three fifths of
            them on; 0 for a constant rate.
    """
    checks.number("alpha", alpha, least=0)
    model = wiring.label_marginal(spec, "m2", latents, likelihood, architecture, hidden, NETWORKS)
    weight = alpha * spec.size / (spec.size if spec.labelled is None else spec.labelled)
    objective = Objective(
        {
            "distortion": (1.0, Distortion()),
            "rate": (1.0, Rate()),
            "classification": (weight, Classification()),
        }
    )
    player = Player("m2", [model], objective, wiring.adam(learning_rate), wiring.falling(fall))
    procedure = Simultaneous(model, [player], wiring.draws(samples))
    epochs = wiring.passes(spec, BATCH, fall) if fall else 100
    return System(model, procedure, BATCH, epochs, scheduled=fall > 0)
