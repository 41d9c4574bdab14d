"""Parts by name: what the typed arguments of recipes mean, and what fits which data."""

from vaekit.wiring.codes import CodeArchitecture, code_networks, codebook_terms, prior_stage, two_level_codes
from vaekit.wiring.games import Arena, GameArchitecture, arena, balance, features_of, imitable, labelled
from vaekit.wiring.hierarchical import FieldPrior, WeightRule, weight_by_rule, with_field_prior
from vaekit.wiring.labels import label_marginal, labels_of
from vaekit.wiring.models import gaussian_chain, gaussian_vae
from vaekit.wiring.names import (
    LikelihoodName,
    PosteriorName,
    PriorName,
    Reconstruction,
    likelihood_for,
    make_likelihood,
    make_posterior,
    make_prior,
    make_rate,
    make_reconstruction,
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
from vaekit.wiring.pairs import over_pairs, pairs_of
from vaekit.wiring.parameters import known_parameters, supervised
from vaekit.wiring.players import (
    adam,
    bound_players,
    draws,
    falling,
    halving,
    large_batch,
    passes,
    rising,
    rmsprop,
    two_players,
)
from vaekit.wiring.standard import picture_of, standardised
from vaekit.wiring.vamp import AggregateName, make_aggregate

__all__ = [
    "BURDA",
    "AggregateName",
    "Arena",
    "CodeArchitecture",
    "Dense",
    "FieldPrior",
    "GameArchitecture",
    "LikelihoodName",
    "PosteriorName",
    "PriorName",
    "Reconstruction",
    "WeightRule",
    "adam",
    "arena",
    "balance",
    "bound_players",
    "code_networks",
    "codebook_terms",
    "conditions",
    "decoder_of",
    "draws",
    "encoder_of",
    "falling",
    "features_of",
    "gaussian_chain",
    "gaussian_vae",
    "halving",
    "imitable",
    "known_parameters",
    "label_marginal",
    "labelled",
    "labels_of",
    "large_batch",
    "likelihood_for",
    "make_aggregate",
    "make_likelihood",
    "make_posterior",
    "make_prior",
    "make_rate",
    "make_reconstruction",
    "network_from",
    "over_pairs",
    "pairs_of",
    "passes",
    "picture_of",
    "prior_stage",
    "rising",
    "rmsprop",
    "standardised",
    "supervised",
    "two_level_codes",
    "two_players",
    "unconditional",
    "weight_by_rule",
    "with_field_prior",
]
