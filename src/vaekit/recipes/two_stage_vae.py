"""Two-Stage VAE: one VAE for the manifold of the data, a second one for the measure on it.

L1(x) = E_q(z|x)[log N(x; f(z), gamma I)] - KL(q(z|x) || N(0, I)),   gamma learned
L2(z) = E_q(u|z)[log N(z; f2(u), gamma' I)] - KL(q(u|z) || N(0, I)),   z ~ q(z|x), drawn anew at every visit

With a learned variance the first stage finds the manifold, but its latents need not follow N(0, I). The
second stage (the recipe latent_vae, trained once the first is done) models them where data and latents have
as many dimensions. New data: u ~ N(0, I), z ~ N(f2(u), gamma' I), x = f(z).

Differences from the paper: its convolutional networks have spectral and batch normalisation, which vaekit's
do not; gamma is a variance, kept above exp(-12). The learning rates are halved after the paper's numbers of
epochs, which a small budget does not reach.

B. Dai, D. Wipf, Diagnosing and Enhancing VAE Models, ICLR 2019, https://arxiv.org/abs/1903.05789
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Flat
from vaekit.networks import Activation, Architecture
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import Stage, System, recipe

BATCH = 64


@recipe
def two_stage_vae(
    spec: Spec,
    *,
    latents: int = 64,
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    activation: Activation | None = None,
    second_hidden: tuple[int, ...] = (1024, 1024, 1024),
    second_epochs: int = 800,
    learning_rate: float = 1e-4,
    halve: int | None = 150,
    second_halve: int | None = 300,
) -> System:
    """Wire a VAE with a learned variance, and the stage that models its latents.

    Args:
        spec: the data, real or unit.
        latents: dimensions of z, and of u.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        activation: their nonlinearity.
        second_hidden: widths of the hidden layers of the second stage.
        second_epochs: of the second stage, where the user sets none.
        learning_rate: of Adam, in both stages.
        halve: epochs after which the first stage's learning rate is halved, again and again; None for never.
        second_halve: the same for the second stage.
    """
    if spec.kind not in ("real", "unit"):
        raise UnsupportedError(
            f"two_stage_vae models real or unit data by a Gaussian; {spec.name!r} is {spec.kind}: take the "
            'data option binarise="none" where there are grey levels'
        )
    encoder = wiring.encoder_of(spec, architecture, hidden, activation)
    decoder = wiring.decoder_of(spec, architecture, hidden, [latents], activation)
    model = Flat(
        posterior=wiring.make_posterior("diagonal", encoder, latents),
        prior=wiring.make_prior("standard", latents),
        likelihood=wiring.make_likelihood("gaussian", spec, decoder),
    )
    pace = wiring.halving(spec, BATCH, halve, epochs=400)
    player = Player("vae", [model], elbo(), wiring.adam(learning_rate), pace)
    second = Stage(
        "second",
        "latent_vae",
        {"hidden": second_hidden, "learning_rate": learning_rate, "halve": second_halve},
        epochs=checks.whole("second_epochs", second_epochs),
    )
    return System(model, Simultaneous(model, [player]), BATCH, epochs=400, stages=(second,))
