"""What models with several levels of latents have in common."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence

from torch import nn

from vaekit.models.model import Model


class Hierarchy(Model, ABC):
    """Two levels of latents or more, named `z1` (nearest the data) ... `zL`, each with posterior and prior.

    Args:
        posteriors: from the data upwards.
        priors: from the data upwards.
        likelihood: ends in the data.
    """

    def __init__(
        self, posteriors: Sequence[nn.Module], priors: Sequence[nn.Module], likelihood: nn.Module
    ) -> None:
        super().__init__()
        if len(posteriors) != len(priors) or len(priors) < 2:
            raise ValueError(
                f"got {len(posteriors)} posteriors and {len(priors)} priors; expected the same number, "
                "two or more (one level is the model `Flat`)"
            )
        self.names = tuple(f"z{i + 1}" for i in range(len(priors)))
        self.posteriors = nn.ModuleList(posteriors)
        self.priors = nn.ModuleList(priors)
        self.likelihood = likelihood
