"""Parts by name: what the typed arguments of recipes mean, and what fits which data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn

from vaekit import conditionals as c
from vaekit.checks import known, number, sizes, whole
from vaekit.conditionals.parts import MakeNetwork, Shape
from vaekit.data.spec import Kind, Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Chain, Flat
from vaekit.networks import Activation, Architecture, Init, make_decoder, make_encoder, resolve
from vaekit.objective import Objective
from vaekit.procedures import MakeOptimizer, Player
from vaekit.schedules import Schedule
from vaekit.terms import ImportanceBound, Rate
from vaekit.terms.bounds import Gradient
from vaekit.terms.elbo import Estimator

PosteriorName = Literal["diagonal", "full", "low_rank", "rank_one"]
"""diagonal: independent dimensions. full: covariance by its Cholesky factor. low_rank: diagonal plus U U^T.
rank_one: precision diagonal plus u u^T (DLGM)."""

PriorName = Literal["standard", "learned", "mixture"]
"""standard: N(0, I). learned: one Gaussian. mixture: ten Gaussians, learned."""

LikelihoodName = Literal[
    "auto", "bernoulli", "continuous_bernoulli", "gaussian", "gaussian_fixed", "gaussian_optimal",
    "gaussian_pixel", "laplace", "logistic", "poisson", "categorical",
]  # fmt: skip
"""auto: by the kind of the data. gaussian: one learned variance. gaussian_fixed: unit variance.
gaussian_optimal: the best variance for the batch. gaussian_pixel: a variance for every element, from the
network. logistic: discretised logistic."""

_FITS: dict[str, tuple[Kind, ...]] = {
    "bernoulli": ("binary",),
    "continuous_bernoulli": ("unit",),
    "logistic": ("unit",),
    "categorical": ("categorical",),
    "poisson": ("count",),
    "laplace": ("real", "unit"),
    "gaussian": ("real", "unit"),
    "gaussian_fixed": ("real", "unit"),
    "gaussian_optimal": ("real", "unit"),
    "gaussian_pixel": ("real", "unit"),
}
_DEFAULT: dict[Kind, LikelihoodName] = {
    "binary": "bernoulli",
    "unit": "continuous_bernoulli",
    "real": "gaussian",
    "count": "poisson",
    "categorical": "categorical",
}


def likelihood_for(name: LikelihoodName, spec: Spec) -> LikelihoodName:
    """The likelihood that "auto" means for this data, or the named one if it fits.

    Raises:
        UnsupportedError: if it would not be a density of this kind of data.
    """
    if name == "auto":
        return _DEFAULT[spec.kind]
    known("likelihood", name, LikelihoodName)
    if spec.kind not in _FITS[name]:
        others = ", ".join(other for other, kinds in _FITS.items() if spec.kind in kinds)
        raise UnsupportedError(
            f"`likelihood` is {name!r}, which is made for {' and '.join(_FITS[name])} data; {spec.name!r} is "
            f"{spec.kind}: take one of {others}"
        )
    if name == "logistic" and spec.levels is None:
        raise UnsupportedError(
            f"`likelihood` is 'logistic', which needs quantised data; {spec.name!r} has no number of levels: "
            "take continuous_bernoulli or gaussian"
        )
    return name


def make_likelihood(name: LikelihoodName, spec: Spec, network: MakeNetwork, sigma: float = 1.0) -> nn.Module:
    """The likelihood of one datum; `sigma` is for "gaussian_fixed" alone."""
    chosen = likelihood_for(name, spec)
    made: dict[str, Callable[[MakeNetwork, Shape], nn.Module]] = {
        "bernoulli": c.Bernoulli,
        "continuous_bernoulli": c.ContinuousBernoulli,
        "logistic": partial(c.DiscretisedLogistic, levels=spec.levels or 2),
        "categorical": partial(c.Categorical, levels=spec.levels or 2),
        "poisson": c.Poisson,
        "laplace": c.Laplace,
        "gaussian": c.SharedGaussian,
        "gaussian_fixed": partial(c.FixedGaussian, sigma=sigma),
        "gaussian_optimal": c.OptimalGaussian,
        "gaussian_pixel": c.PixelGaussian,
    }
    return made[chosen](network, spec.shape)


def make_posterior(
    name: PosteriorName, network: MakeNetwork, latents: int, rank: int | None = None
) -> nn.Module:
    """The posterior over `latents` dimensions; `rank` (1 if nothing is said) is for "low_rank" alone."""
    known("posterior", name, PosteriorName)
    event = (whole("latents", latents),)
    if name == "low_rank":
        return c.LowRankGaussian(network, event, whole("rank", 1 if rank is None else rank))
    if rank is not None:
        raise UnsupportedError(
            f"`rank` is {rank}, but the posterior {name!r} has none: leave it out, or take posterior low_rank"
        )
    made: dict[str, Callable[[MakeNetwork, Shape], nn.Module]] = {
        "diagonal": c.Gaussian,
        "full": c.CholeskyGaussian,
        "rank_one": c.RankOneGaussian,
    }
    return made[name](network, event)


def make_prior(name: PriorName, latents: int) -> nn.Module:
    """A prior over a latent vector of `latents` dimensions."""
    known("prior", name, PriorName)
    made: dict[PriorName, Callable[[Shape], nn.Module]] = {
        "standard": c.StandardGaussian,
        "learned": c.LearnedGaussian,
        "mixture": c.GaussianMixture,
    }
    return made[name]((whole("latents", latents),))


def make_rate(estimator: Estimator, posterior: PosteriorName, prior: PriorName) -> Rate:
    """The rate by its estimator.

    Raises:
        UnsupportedError: if a closed form is asked for where none is known.
    """
    known = prior == "standard" or (prior == "learned" and posterior == "diagonal")
    if estimator == "closed" and not known:
        raise UnsupportedError(
            f"`estimator` is 'closed', but no closed form is known for a {posterior} posterior and a {prior} "
            "prior: take sample, stl or auto"
        )
    return Rate(estimator)


@dataclass(frozen=True)
class Dense:
    """What a fully connected network of a paper looks like, where the caller says nothing else.

    Args:
        hidden: widths of the hidden layers, or None for the network's own.
        activation: their nonlinearity.
        init: how the initial weights are drawn.
    """

    hidden: tuple[int, ...] | None = None
    activation: Activation = "relu"
    init: Init = "torch"


BURDA = Dense((200, 200), "tanh", "glorot")
"""The networks of Burda et al. 2016 around one layer of latents."""


def gaussian_vae(
    spec: Spec,
    latents: int,
    likelihood: LikelihoodName,
    architecture: Architecture,
    hidden: Sequence[int] | None,
    dense: Dense = Dense(),
) -> Flat:
    """The model that most recipes train: q(z|x) a diagonal Gaussian, p(z) = N(0, I)."""
    decoder = decoder_of(spec, architecture, hidden, [latents], dense=dense)
    return Flat(
        make_posterior("diagonal", encoder_of(spec, architecture, hidden, dense=dense), latents),
        make_prior("standard", latents),
        make_likelihood(likelihood, spec, decoder),
    )


def gaussian_chain(
    spec: Spec,
    latents: int,
    likelihood: LikelihoodName,
    architecture: Architecture,
    hidden: Sequence[int] | None,
    dense: Dense,
) -> Chain:
    """Two layers of Gaussian latents as in Burda et al.: 2 n below, n above, mirrored downwards.

    Between them stand fully connected networks with half the hidden widths of those at the data.
    """
    below, above, context = (2 * whole("latents", latents),), (latents,), conditions(spec)
    halves = tuple(max(1, n // 2) for n in (hidden if hidden is not None else dense.hidden or ()))
    up = network_from([below, *context], "mlp", halves, dense=dense)
    down = network_from([above, *context], "mlp", halves, dense=dense)
    first = encoder_of(spec, architecture, hidden, dense=dense)
    last = decoder_of(spec, architecture, hidden, below, dense=dense)
    return Chain(
        posteriors=[c.Gaussian(first, below), c.Gaussian(up, above)],
        priors=[c.Gaussian(down, below), make_prior("standard", latents)],
        likelihood=make_likelihood(likelihood, spec, last),
    )


def encoder_of(
    spec: Spec,
    architecture: Architecture,
    hidden: Sequence[int] | None,
    activation: Activation | None = None,
    dense: Dense = Dense(),
) -> MakeNetwork:
    """Networks from x, and the condition where the data has one; see `network_from`."""
    return network_from([spec.shape, *conditions(spec)], architecture, hidden, activation, dense)


def decoder_of(
    spec: Spec,
    architecture: Architecture,
    hidden: Sequence[int] | None,
    latents: Sequence[int],
    activation: Activation | None = None,
    dense: Dense = Dense(),
) -> MakeNetwork:
    """Networks from one or more latent vectors, and the condition where the data has one, to x.

    Raises:
        UnsupportedError: if `hidden` or `activation` is given to an architecture whose layers are fixed.
    """
    inputs = [*((whole("latents", n),) for n in latents), *conditions(spec)]
    layers = _layers(architecture, spec.shape, hidden, activation, dense)
    return lambda output: make_decoder(architecture, inputs, output, *layers)


def network_from(
    inputs: Sequence[Shape],
    architecture: Architecture,
    hidden: Sequence[int] | None,
    activation: Activation | None = None,
    dense: Dense = Dense(),
) -> MakeNetwork:
    """Networks from inputs of the given event shapes to parameters.

    Args:
        inputs: event shapes; the first says what the architecture auto means.
        architecture: which network.
        hidden: widths of the hidden layers, or None.
        activation: nonlinearity of the hidden layers, or None.
        dense: what a fully connected network looks like where `hidden` and `activation` are None.

    Raises:
        UnsupportedError: if `hidden` or `activation` is given to an architecture whose layers are fixed.
    """
    layers = _layers(architecture, inputs[0], hidden, activation, dense)
    return lambda output: make_encoder(architecture, inputs, output, *layers)


def _layers(
    architecture: Architecture,
    event: Shape,
    hidden: Sequence[int] | None,
    activation: Activation | None,
    dense: Dense,
) -> tuple[Sequence[int] | None, Activation | None, Init | None]:
    """Widths, nonlinearity and initial weights as the architecture takes them; None where it takes none."""
    if hidden is not None:
        sizes("hidden", hidden)
    chosen = resolve(architecture, event)
    meant = f"`architecture` {architecture!r} means {chosen!r} for the shape {tuple(event)}"
    if hidden is not None and chosen not in ("mlp", "gated"):
        raise UnsupportedError(
            f"`hidden` is {tuple(hidden)}, but {meant}, whose layers are fixed: leave `hidden` out, or take "
            "architecture mlp"
        )
    if activation is not None and chosen != "mlp":
        raise UnsupportedError(
            f"`activation` is {activation!r}, but {meant}, which has its own: leave `activation` out, or "
            "take architecture mlp"
        )
    if chosen == "mlp":
        return hidden if hidden is not None else dense.hidden, activation or dense.activation, dense.init
    return (hidden if hidden is not None else dense.hidden) if chosen == "gated" else None, None, None


def conditions(spec: Spec) -> list[Shape]:
    """[event shape of c], or []."""
    return [] if spec.context is None else [spec.context]


def unconditional(spec: Spec, system: str) -> None:
    """Refuse data with a condition for a system that has no place for it.

    Raises:
        UnsupportedError: if the data has a condition.
    """
    if spec.context is not None:
        raise UnsupportedError(
            f"{spec.name!r} comes with a condition {tuple(spec.context)}, which {system} has no place for: "
            "leave `context` out of the data options, or take the recipe vae or cvae"
        )


def adam(learning_rate: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> MakeOptimizer:
    """Adam at a learning rate, in one pass over the weights where the device has it."""
    number("learning_rate", learning_rate, above=0)

    def make(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        # on a CPU the usual form takes as long as small networks do; other devices may not have this one
        fused = all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
        return torch.optim.Adam(parameters, lr=learning_rate, betas=betas, eps=eps, fused=fused)

    return make


def two_players(
    model: Flat | Chain,
    generator: Objective,
    encoder: Objective,
    optimizer: MakeOptimizer,
    pace: Callable[[], Schedule | None] = lambda: None,
) -> list[Player]:
    """A player for likelihood and prior and one for the posterior, whose objectives differ.

    The generator stands first: its held-out loss chooses the weights that are handed back.
    """
    return [
        Player("generator", [model.likelihood, model.priors], generator, optimizer, pace()),
        Player("encoder", [model.posteriors], encoder, optimizer, pace()),
    ]


def bound_players(
    model: Flat | Chain,
    bound: Callable[[Gradient], ImportanceBound],
    gradient: Gradient,
    optimizer: MakeOptimizer,
    pace: Callable[[], Schedule | None] = lambda: None,
) -> list[Player]:
    """Who makes an importance-weighted bound large: one player, or two where the gradient is "dreg".

    DReG is right for the posterior's parameters alone, so the generator follows the plain bound of the same
    trace.
    """
    known("gradient", gradient, Gradient)
    if gradient == "dreg":
        plain, doubly = (Objective({"bound": (1.0, bound(name))}) for name in ("plain", "dreg"))
        return two_players(model, plain, doubly, optimizer, pace)
    return [Player("vae", [model], Objective({"bound": (1.0, bound(gradient))}), optimizer, pace())]


def draws(samples: int) -> int | None:
    """The `samples` of a procedure: one draw needs no sample axis."""
    return None if whole("samples", samples) == 1 else samples


def passes(spec: Spec, batch_size: int, steps: int) -> int:
    """Number of epochs that make at least so many steps."""
    return max(1, math.ceil(steps / math.ceil(spec.size / batch_size)))
