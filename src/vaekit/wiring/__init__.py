"""Parts by name: what the typed arguments of recipes mean, and what fits which data."""

from vaekit.wiring.labels import label_marginal, labels_of
from vaekit.wiring.models import gaussian_chain, gaussian_vae
from vaekit.wiring.names import (
    LikelihoodName,
    PosteriorName,
    PriorName,
    likelihood_for,
    make_likelihood,
    make_posterior,
    make_prior,
    make_rate,
)
from vaekit.wiring.networks import (
    BURDA,
    Dense,
    conditions,
    decoder_of,
    encoder_of,
    network_from,
    unconditional,
)
from vaekit.wiring.players import adam, bound_players, draws, halving, passes, rising, two_players
from vaekit.wiring.vamp import AggregateName, make_aggregate

__all__ = [
    "BURDA",
    "AggregateName",
    "Dense",
    "LikelihoodName",
    "PosteriorName",
    "PriorName",
    "adam",
    "bound_players",
    "conditions",
    "decoder_of",
    "draws",
    "encoder_of",
    "gaussian_chain",
    "gaussian_vae",
    "halving",
    "label_marginal",
    "labels_of",
    "likelihood_for",
    "make_aggregate",
    "make_likelihood",
    "make_posterior",
    "make_prior",
    "make_rate",
    "network_from",
    "passes",
    "rising",
    "two_players",
    "unconditional",
]
