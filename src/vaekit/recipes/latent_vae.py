"""The second stage of a two-stage VAE: a VAE whose data are the latents of another.

L(z) = E_q(u|z)[log N(z; f(u), gamma I)] - KL(q(u|z) || N(0, I)),   gamma learned, dim u = dim z by default

Where the first stage uses fewer dimensions than it has, its latents fill their whole space (unused ones are
noise of unit variance), so that this stage can match their distribution and not only their support.

Differences from the paper: gamma, a variance there and a standard deviation in its code, is exp(2 ln sigma)
with ln sigma kept above -6; ln of the posterior's standard deviation is clamped to [-8, 4].

B. Dai, D. Wipf, Diagnosing and Enhancing VAE Models, ICLR 2019, https://arxiv.org/abs/1903.05789
"""

from __future__ import annotations

from vaekit import checks, conditionals, wiring
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Flat
from vaekit.networks import SkipMLP
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe

BATCH = 64


@recipe
def latent_vae(
    spec: Spec,
    *,
    latents: int | None = None,
    hidden: tuple[int, ...] = (1024, 1024, 1024),
    learning_rate: float = 1e-4,
    halve: int | None = 300,
) -> System:
    """Wire a VAE on real vectors with a learned variance.

    Args:
        spec: the data, real vectors.
        latents: dimensions of u; as many as the data have if nothing is said.
        hidden: widths of the hidden layers; the input also stands beside the last of them.
        learning_rate: of Adam.
        halve: epochs after which the learning rate is halved, again and again; None for never.
    """
    if spec.kind != "real":
        raise UnsupportedError(
            f"latent_vae models real vectors, such as the latents of another model; {spec.name!r} is "
            f"{spec.kind}: take vae"
        )
    dimensions = (spec.dimensions if latents is None else checks.whole("latents", latents),)
    given = wiring.conditions(spec)
    widths = checks.sizes("hidden", hidden)
    model = Flat(
        posterior=conditionals.Gaussian(lambda out: SkipMLP([spec.shape, *given], out, widths), dimensions),
        prior=conditionals.StandardGaussian(dimensions),
        likelihood=conditionals.SharedGaussian(
            lambda out: SkipMLP([dimensions, *given], out, widths), spec.shape
        ),
    )
    pace = wiring.halving(spec, BATCH, halve, epochs=800)
    player = Player("vae", [model], elbo(), wiring.adam(learning_rate), pace)
    return System(model, Simultaneous(model, [player]), BATCH, epochs=800)
