"""Semi-supervised deep generative model M1+M2: M2 on the latents of a VAE that needs no labels.

p(x, y, z1, z2) = p(y) p(z2) p(z1|y,z2) p(x|z1)
first  M1: L1(x) = E_q(z1|x)[log p(x|z1)] - KL(q(z1|x) || N(0, I))
then   M2: J_a of the recipe `m2` with z1 in the place of x, z1 ~ q(z1|x) drawn anew at every visit, M1 frozen

Where p(z1|y,z2) has taken the place of N(0, I), E_q(z1|x)[log p(x|z1) - log q(z1|x) + U(z1)] bounds log p(x).
The class of x is that of q(y|z1) at z1 = E q(z1|x). M1 alone is this system's model: a VAE whose latents are
features for another classifier.

Differences from the paper: Adam instead of RMSProp with momentum; initial weights as torch draws them; no
prior on the weights; all dimensions of z1 are kept, also those that M1 does not use (the authors' code keeps
those whose mean has a standard deviation above 0.1).

D. P. Kingma, D. J. Rezende, S. Mohamed, M. Welling, Semi-Supervised Learning with Deep Generative Models,
NIPS 2014, https://arxiv.org/abs/1406.5298
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.networks import Architecture
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import Stage, System, recipe

NETWORKS = wiring.Dense(hidden=(600, 600), activation="softplus")
Likelihood = wiring.LikelihoodName


@recipe
def m1_m2(
    spec: Spec,
    *,
    latents: int = 50,
    second_latents: int = 50,
    alpha: float = 0.1,
    likelihood: Likelihood = "auto",
    second_likelihood: Likelihood = "gaussian_pixel",
    architecture: Architecture = "mlp",
    hidden: tuple[int, ...] | None = None,
    second_hidden: tuple[int, ...] = (500,),
    second_epochs: int | None = None,
    learning_rate: float = 3e-4,
    second_learning_rate: float = 3e-4,
    second_fall: int = 0,
) -> System:
    """Wire M1 and the stage M2.

    Args:
        spec: the data, with labels; see the data option `labelled`.
        latents: dimensions of z1.
        second_latents: dimensions of z2.
        alpha: weight of the classification of labelled data in M2.
        likelihood: p(x|z1); auto goes by the kind of the data.
        second_likelihood: p(z1|y,z2): gaussian_pixel learns a mean and a variance of every dimension.
        architecture: of M1.
        hidden: widths of the hidden layers of M1; (600, 600) if nothing is said.
        second_hidden: widths of the hidden layers of M2.
        second_epochs: of M2, where the user sets none; if nothing is said, those of the recipe `m2`.
        learning_rate: of Adam, in M1.
        second_learning_rate: of Adam, in M2.
        second_fall: `fall` of M2: the step at which its learning rate has come down to zero.
    """
    wiring.labels_of(spec, "m1_m2")
    model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden, NETWORKS)
    second = {
        "latents": second_latents,
        "alpha": alpha,
        "likelihood": second_likelihood,
        "hidden": second_hidden,
        "learning_rate": second_learning_rate,
        "fall": checks.whole("second_fall", second_fall, least=0),
    }
    epochs = None if second_epochs is None else checks.whole("second_epochs", second_epochs)
    stage = Stage("m2", "m2", second, epochs=epochs)
    player = Player("m1", [model], elbo(), wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]), batch_size=100, epochs=50, stages=(stage,))
