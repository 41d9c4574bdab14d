"""CVAE-GAN: pictures of a class, by an encoder, a generator, a discriminator and a classifier.

L_D = -log D(x) - log(1 - D(x_f)) - log(1 - D(x_p)),   L_C = -log P(y|x) on data alone
L_KL = KL(q(z|x,c) || N(0, I)),   L_G = 1/2 (|x - x_f|^2 + |f_D(x) - f_D(x_f)|^2 + |f_C(x) - f_C(x_f)|^2)
L_GD = 1/2 |mean f_D(x) - mean f_D(x_p)|^2,   L_GC = 1/2 sum_c |centre_c f_C(x) - centre_c f_C(x_p)|^2
x_f = G(z, c), z ~ q(z|x,c);   x_p = G(z_p, c), z_p ~ N(0, I)

C minimises L_C,  D minimises L_D,  G minimises l2 L_G + l3 L_GD + l4 L_GC,  E minimises l1 L_KL + l2 L_G.

The generator matches mean features, of all data (f_D) and of every class (f_C), and sees no cross-entropy of
D or C. c is the label, one-hot. Centres are moving averages; the newest mean of a class carries the gradient.
The generator ends in a point: there is no likelihood of x, and what asks for one is refused.

Differences from the paper: x_p takes the classes of the batch, not others; small networks in place of
GoogLeNet and a deep generator; f_C is the last layer before the logits, as f_D. Errors are sums over pixels
and features, so that the weights, made for pictures of 128x128, weigh the rate more on small ones. Adam at
2e-4 with beta1 of 0.5 and the momentum of the centres are chosen here; no official code is known.

J. Bao, D. Chen, F. Wen, H. Li, G. Hua, CVAE-GAN: Fine-Grained Image Generation through Asymmetric Training,
ICCV 2017, https://arxiv.org/abs/1703.10155
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.objective import Objective, Terms
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import Rate, SquaredError
from vaekit.terms import features as f


@recipe
def cvae_gan(
    spec: Spec,
    *,
    rate: float = 3.0,
    reconstruction: float = 1.0,
    means: float = 1e-3,
    centres: float = 1e-3,
    momentum: float = 0.9,
    latents: int = 256,
    architecture: wiring.GameArchitecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 2e-4,
) -> System:
    """Wire a CVAE-GAN.

    Args:
        spec: the data, with labels y and the same as one-hot condition c.
        rate: l1, weight of L_KL.
        reconstruction: l2, weight of L_G.
        means: l3, weight of L_GD.
        centres: l4, weight of L_GC.
        momentum: of the moving averages of class centres.
        latents: dimensions of z.
        architecture: of all four networks; auto goes by the shape of the data.
        hidden: widths of the hidden layers of fully connected networks.
        learning_rate: of Adam.
    """
    weights = {"rate": rate, "reconstruction": reconstruction, "means": means, "centres": centres}
    for name, value in weights.items():
        checks.number(name, value, least=0)
    classes = wiring.labelled(spec, "cvae_gan")
    arena = wiring.arena(spec, latents, architecture, hidden)
    model, critic, classifier = arena.model, arena.critic(1, None), arena.critic(classes, None)
    width = wiring.features_of(classifier, spec.shape)
    judged, classed = f.Look(critic), f.Look(classifier)
    matched: Terms = {
        "pixels": (0.5 * reconstruction, SquaredError()),
        "critic_features": (reconstruction, f.FeatureError(judged)),
        "class_features": (reconstruction, f.FeatureError(classed)),
    }
    group: Terms = {
        "means": (means, f.MeanMatching(judged)),
        "centres": (centres, f.CentreMatching(classed, classes, width, momentum)),
    }
    real = f.Owned(critic, f.Judgement(judged, "data", "real"))
    unmask: Terms = {
        "rebuilt": (1.0, f.Judgement(judged, "rebuilt", "fake")),
        "drawn": (1.0, f.Judgement(judged, "drawn", "fake")),
    }
    labels = f.Owned(classifier, f.LabelError(classed))
    adam = wiring.adam(learning_rate, betas=(0.5, 0.999))
    players = [
        Player("encoder", [model.posteriors], Objective({"rate": (rate, Rate()), **matched}), adam),
        Player("generator", [model.likelihood], Objective({**matched, **group}), adam),
        Player("discriminator", [critic], Objective({"real": (1.0, real), **unmask}), adam),
        Player("classifier", [classifier], Objective({"labels": (1.0, labels)}), adam),
    ]
    return System(model, Simultaneous(model, players, branches=("prior",)), batch_size=64, monitor="last")
