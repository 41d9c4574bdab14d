"""Models that several recipes train."""

from __future__ import annotations

from collections.abc import Sequence

from vaekit import conditionals as c
from vaekit.checks import whole
from vaekit.data.spec import Spec
from vaekit.models import Chain, Flat
from vaekit.networks import Activation, Architecture
from vaekit.wiring.names import LikelihoodName, make_likelihood, make_posterior, make_prior
from vaekit.wiring.networks import RELU, Dense, conditions, decoder_of, encoder_of, network_from


def gaussian_vae(
    spec: Spec,
    latents: int,
    likelihood: LikelihoodName,
    architecture: Architecture,
    hidden: Sequence[int] | None,
    dense: Dense = RELU,
    activation: Activation | None = None,
) -> Flat:
    """The model that most recipes train: q(z|x) a diagonal Gaussian, p(z) = N(0, I)."""
    encoder = encoder_of(spec, architecture, hidden, activation, dense)
    decoder = decoder_of(spec, architecture, hidden, [latents], activation, dense)
    return Flat(
        make_posterior("diagonal", encoder, latents),
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
    activation: Activation | None = None,
) -> Chain:
    """Two layers of Gaussian latents as in Burda et al.: 2 n below, n above, mirrored downwards.

    Between them stand fully connected networks with half the hidden widths of those at the data.
    """
    below, above, context = (2 * whole("latents", latents),), (latents,), conditions(spec)
    halves = tuple(max(1, n // 2) for n in (hidden if hidden is not None else dense.hidden or ()))
    up = network_from([below, *context], "mlp", halves, activation, dense)
    down = network_from([above, *context], "mlp", halves, activation, dense)
    first = encoder_of(spec, architecture, hidden, activation, dense)
    last = decoder_of(spec, architecture, hidden, below, activation, dense)
    return Chain(
        posteriors=[c.Gaussian(first, below), c.Gaussian(up, above)],
        priors=[c.Gaussian(down, below), make_prior("standard", latents)],
        likelihood=make_likelihood(likelihood, spec, last),
    )
