"""ID-GAN: a beta-VAE finds the factors, and a generator learns to draw its codes sharply.

first   VAE: L(x) = E_q(c|x)[-log p(x|c)] + beta KL(q(c|x) || N(0, I))
then    D: -log D(x) - log(1 - D(G(s, c))) + r |dl(x)/dx|^2,   l = log D / (1 - D)
        G: -log D(G(s, c)) - w log q(c|G(s, c)),   c ~ q(c|x), s ~ N(0, I), q frozen

The second line is the recipe id_gan_generator, a stage on the data: its encoder is the one that was trained
here, and does not move. The last term keeps G from ignoring c: it bounds the information that pictures have
of their codes. New data are drawn by the generator, at codes of N(0, I).

Differences from the paper: networks for pictures of 64x64 are those of the other disentangling recipes, whose
last convolutions are smaller, and keep their initial weights (there He's). The decoder's and the generator's
pictures lie in [0, 1] like the data; the authors' code leaves data in [0, 1] beside tanh. Of its hidden sizes
(3, 5, 10) and weights beta (0, 0.5, 5), 10 and 5 are the defaults here.

M. Haghir Ebrahimabadi, Disentangled Representation Learning Using (beta-)VAE and GAN, 2022, arXiv 2208.04549,
after W. Lee, D. Kim, S. Hong, H. Lee, High-Fidelity Synthesis with Disentangled Representation, 2020, arXiv
2001.04296
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.networks import Architecture
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import Stage, System, recipe

BATCH = 128


@recipe
def id_gan(
    spec: Spec,
    *,
    beta: float = 5.0,
    information: float = 1e-4,
    penalty: float = 10.0,
    nuisance: int = 0,
    latents: int = 10,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    second_epochs: int = 100,
    learning_rate: float = 1e-4,
    second_learning_rate: float = 1e-4,
) -> System:
    """Wire a beta-VAE and the stage that distils it into a generator.

    Args:
        spec: the data, binary, unit or real.
        beta: weight of the rate.
        information: w, weight of the codes that the frozen encoder has to know again. Its term is a sum over
            latents, in nats; look at it: where it stays high, G ignores c, and the weight is too small.
        penalty: r, weight of the critic's squared slope at the data.
        nuisance: dimensions of s; 0 for none, as in the study.
        latents: dimensions of c.
        likelihood: p(x|c) of the VAE; auto goes by the kind of the data.
        architecture: of all networks; auto goes by the shape of the data.
        hidden: widths of the hidden layers of fully connected networks.
        second_epochs: of the generator, where the user sets none.
        learning_rate: of Adam, for the VAE.
        second_learning_rate: of Adam, for the generator and its critic.
    """
    wiring.unconditional(spec, "id_gan")
    wiring.imitable(spec)
    model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden)
    objective = elbo(beta=checks.number("beta", beta, least=0))
    second = {
        "information": information,
        "penalty": penalty,
        "nuisance": nuisance,
        "latents": latents,
        "architecture": architecture,
        "hidden": hidden,
        "learning_rate": second_learning_rate,
    }
    epochs = checks.whole("second_epochs", second_epochs)
    stage = Stage("generator", "id_gan_generator", second, latent=None, epochs=epochs)
    player = Player("vae", [model], objective, wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]), BATCH, epochs=100, stages=(stage,))
