"""Stages and samplers: what is trained or fitted on the latents of a trained model."""

from vaekit.stages.bound import CodeBound, code_bound
from vaekit.stages.classify import OnLatents
from vaekit.stages.encoded import Encoded, encoded_splits
from vaekit.stages.rejection import reject
from vaekit.stages.samplers import (
    COMPONENTS,
    Composed,
    Hypersphere,
    Mixture,
    Sampler,
    Stages,
    codes_of,
    only_latent,
    read_sampler,
)

__all__ = [
    "COMPONENTS",
    "CodeBound",
    "Composed",
    "Encoded",
    "Hypersphere",
    "Mixture",
    "OnLatents",
    "Sampler",
    "Stages",
    "code_bound",
    "codes_of",
    "encoded_splits",
    "only_latent",
    "read_sampler",
    "reject",
]
