"""VAE/GAN: reconstructions are compared in the features of a discriminator, which also judges them.

L_prior = KL(q(z|x) || N(0, I)),   L_feat = 1/2 |Dis_l(x) - Dis_l(xt)|^2,   xt = Dec(z),  x_p = Dec(z_p),
V = log Dis(x) + log(1 - Dis(xt)) + log(1 - Dis(x_p)),   z ~ q(z|x),  z_p ~ N(0, I)

Enc minimises L_prior + L_feat,   Dec minimises gamma L_feat + V,   Dis maximises V.

Dis_l is layer l of the discriminator, frozen for L_feat; Enc sees nothing of V. All gradients are taken at
one point, on one trace, and x, xt, x_p are one batch to the discriminator's normalisation. The decoder ends
in a point: there is no likelihood of x, and what asks for one is refused.

Binary pixels tell data from a decoder's points at once: take grey levels (data option binarise="none").

Differences from the paper: it prints V with the sign of a cost in the decoder's line; gamma is not given
there (the authors' code has 1e-6 for faces, 5e-5 else); decoders of data in [0, 1] end in a sigmoid, not
tanh. `margin`, `imitations` and the equilibrium of 0.68 are those of the code
(andersbll/autoencoding_beyond_pixels), which also balances real and imitated data; `loss` is an addition.

A. B. L. Larsen, S. K. Sonderby, H. Larochelle, O. Winther, Autoencoding beyond pixels using a learned
similarity metric, ICML 2016, https://arxiv.org/abs/1512.09300
"""

from __future__ import annotations

from typing import Literal

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.objective import Objective, Terms
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import Rate
from vaekit.terms.features import FeatureError, Judgement, Look, Owned, Role, Verdict

Loss = Literal["saturating", "non_saturating"]
Imitations = Literal["both", "drawn"]
EQUILIBRIUM = 0.68


@recipe
def vae_gan(
    spec: Spec,
    *,
    gamma: float | None = None,
    layer: int | None = None,
    loss: Loss = "saturating",
    imitations: Imitations = "both",
    margin: float | None = None,
    latents: int = 128,
    architecture: wiring.GameArchitecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 3e-4,
) -> System:
    """Wire a VAE/GAN.

    Args:
        spec: the data.
        gamma: weight of reconstruction against imitation in the decoder; by default 5e-5 with the networks of
            the paper, and 1 with smaller ones, whose features are fewer.
        layer: l, whose features are compared: 0 is x itself, 1 the first layer; by default the last
            convolution, which is 4 in the paper, or the first fully connected layer.
        loss: what the decoder minimises of the game: saturating, log(1 - Dis), as in the paper; or -log Dis,
            whose gradient does not vanish where the discriminator is sure.
        imitations: what the discriminator judges beside x: both, xt and x_p, or only what is drawn, x_p.
        margin: rest the discriminator, or the decoder, where a cost is so far from 0.68; None for never. The
            authors' code takes 0.35.
        latents: dimensions of z.
        architecture: of encoder, decoder and discriminator; auto goes by the shape of the data.
        hidden: widths of the hidden layers of fully connected networks.
        learning_rate: of RMSProp.
    """
    checks.known("loss", loss, Loss)
    checks.known("imitations", imitations, Imitations)
    wiring.unconditional(spec, "vae_gan")
    arena = wiring.arena(spec, latents, architecture, hidden)
    gamma = checks.number("gamma", arena.gamma if gamma is None else gamma, least=0)
    model, critic = arena.model, arena.critic(1, arena.layer if layer is None else layer)
    fakes: tuple[Role, ...] = ("rebuilt", "drawn") if imitations == "both" else ("drawn",)
    look = Look(critic)
    likeness = FeatureError(look)
    encoder = Objective({"rate": (1.0, Rate()), "features": (1.0, likeness)})
    verdict: tuple[float, Verdict] = (-1.0, "fake") if loss == "saturating" else (1.0, "real")
    fool: Terms = {of: (verdict[0], Judgement(look, of, verdict[1])) for of in fakes}
    decoder = Objective({"features": (gamma, likeness), **fool})
    real = Owned(critic, Judgement(look, "data", "real"))
    unmask: Terms = {of: (1.0, Judgement(look, of, "fake")) for of in fakes}
    discriminator = Objective({"real": (1.0, real), **unmask})
    guards = wiring.balance("discriminator", fakes, EQUILIBRIUM, margin)
    rmsprop = wiring.rmsprop(learning_rate)
    players = [
        Player("encoder", [model.posteriors], encoder, rmsprop),
        Player("decoder", [model.likelihood], decoder, rmsprop, guard=guards[1]),
        Player("discriminator", [critic], discriminator, rmsprop, guard=guards[0]),
    ]
    return System(model, Simultaneous(model, players, branches=("prior",)), batch_size=64, monitor="last")
