"""The second stage of ID-GAN: a generator that draws the codes of a trained encoder, against a critic.

critic:     -log D(x) - log(1 - D(G(s, c))) + r |dl(x)/dx|^2,   l = log D / (1 - D)
generator:  -log D(G(s, c)) - w log q(c|G(s, c)),   x data, c ~ q(c|x), s ~ N(0, I)

q is the encoder of a VAE that was trained before: it does not move, stays in eval mode, and the gradient of
the last term passes through it to G. Without that term G is free to draw any picture for any code. Play
alternates: D moves first, then G by what D has become, on the same c, s and pictures. The penalty on the
slope of D's log-odds at the data (R1) keeps the game from circling around its end.

G ends in a point: there is no likelihood of x, and what asks for one is refused. The system encodes as the
VAE does and decodes with G, so that whatever looks at a VAE looks at both.

It is the stage of the recipe id_gan, whose encoder it takes over, and is not trained alone.

Differences from the paper: Adam has beta1 of 0.5, where the authors' code has 0.9; s is the same for both
moves of a step, where it draws another for G (and uses none in its training). D has the layers of the
encoder and ends in one logit, as there.

M. Haghir Ebrahimabadi, Disentangled Representation Learning Using (beta-)VAE and GAN, 2022, arXiv 2208.04549
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.conditionals import Deterministic, Frozen, StandardGaussian, Uninferred
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import Architecture
from vaekit.objective import Objective
from vaekit.procedures import Alternating, Player
from vaekit.system import System, recipe
from vaekit.terms import Acceptance, Deception, Recognition, Rejection, SquaredSlope, rebuilt

BATCH = 128


@recipe
def id_gan_generator(
    spec: Spec,
    *,
    information: float = 1e-4,
    penalty: float = 10.0,
    nuisance: int = 0,
    latents: int = 10,
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-4,
) -> System:
    """Wire a generator and its critic around a frozen encoder.

    Args:
        spec: the data, binary, unit or real.
        information: w, weight of -log q(c|G(s, c)).
        penalty: r, weight of the squared slope.
        nuisance: dimensions of s; 0 for none.
        latents: dimensions of c, those of the encoder.
        architecture: of all networks; auto goes by the shape of the data.
        hidden: widths of the hidden layers of fully connected networks.
        learning_rate: of Adam.
    """
    checks.number("information", information, least=0)
    checks.number("penalty", penalty, least=0)
    wiring.unconditional(spec, "id_gan_generator")
    wiring.imitable(spec)
    given = (latents, nuisance) if checks.whole("nuisance", nuisance, least=0) else (latents,)
    networks = wiring.encoder_of(spec, architecture, hidden)
    encoder = Frozen(wiring.make_posterior("diagonal", networks, latents))
    decoder = wiring.decoder_of(spec, architecture, hidden, given)
    model = Flat(
        [encoder, Uninferred((nuisance,), spec.shape)] if nuisance else encoder,
        [StandardGaussian((n,)) for n in given] if nuisance else StandardGaussian((latents,)),
        Deterministic(decoder, spec.shape, bounded=spec.kind != "real"),
    )
    critic = networks((1,))
    doubt = Objective({
        "real": (1.0, Acceptance(critic)),
        "fake": (1.0, Rejection(critic)),
        "slope": (penalty, SquaredSlope(critic)),
    })  # fmt: skip
    imitate = Objective({
        "deception": (1.0, Deception(critic, rebuilt)),
        "information": (information, Recognition(encoder, model.names[0])),
    })  # fmt: skip
    adam = wiring.adam(learning_rate, betas=(0.5, 0.999))
    players = [
        Player("critic", [critic], doubt, adam),
        Player("generator", [model.likelihood], imitate, adam),
    ]
    inherits = {"posteriors.0.conditional": "posteriors.0"}
    play = Alternating(model, players)
    return System(model, play, BATCH, epochs=100, monitor="last", inherits=inherits)
