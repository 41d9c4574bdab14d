"""What everything else asks of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.errors import UnsupportedError
from vaekit.trace import Batch, Trace


class Model(nn.Module, ABC):
    """A module that records a pass as a `Trace`, encodes, decodes and generates. It never owns its loss.

    `names` are its latents from the data upwards; `likelihood` is the conditional that ends in the data.
    """

    names: tuple[str, ...]
    likelihood: nn.Module
    withheld: tuple[str, ...] = ()
    """Entries of a batch that the model infers where they are absent: held-out data are shown without."""
    passes: int = 1
    """Passes through the networks of the latents that one draw for one datum takes."""

    @abstractmethod
    def forward(self, batch: Batch, samples: int | None = None, branches: Sequence[str] = ()) -> Trace:
        """One pass over a batch.

        Args:
            batch: `x` (B, *event) and, in a conditional model, `c` (B, *context).
            samples: None for one draw without a sample axis, or S for latents of shape (S, B, n).
            branches: names of further passes to record, such as "prior".
        """

    def infer(self, batch: Batch, samples: int | None = None, branches: Sequence[str] = ()) -> Trace:
        """A pass for who judges latents alone: nothing is observed. A model that can saves the decoding."""
        return replace(self.forward(batch, samples, branches), observed={})

    def posterior(self, batch: Batch) -> dict[str, Distribution]:
        """Latent name -> q, given the means of the latents that it hangs on: what `encode` takes means of.

        Raises:
            UnsupportedError: unless the model says it.
        """
        raise UnsupportedError(
            f"{type(self).__name__} does not say its posterior: give it a method `posterior`, see `Flat`"
        )

    @abstractmethod
    def encode(self, batch: Batch, sample: bool = False) -> dict[str, Tensor]:
        """Latent name -> (B, n): the posterior means, or one draw each; int64 code numbers where discrete."""

    @abstractmethod
    def decode(self, values: Mapping[str, Tensor], context: Tensor | None = None) -> Distribution:
        """p(x | latents), values as `encode` gives them; a latent not given stands at its prior's mean."""

    @abstractmethod
    def draw_latents(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """Latent name -> n draws from the prior, (n, *event), as `encode` gives them: what `decode` takes."""

    @abstractmethod
    def generate(self, n: int, context: Tensor | None = None) -> Distribution:
        """p(x|z) for n draws of z from the prior: take its `mean`, or `sample()` it."""


class Classifier(ABC):
    """What else a model is if it tells the class of a datum."""

    classes: int

    @abstractmethod
    def classify(self, batch: Batch) -> Tensor:
        """The probability of every class given x, (B, classes); labels in the batch are not looked at."""


def without_withheld(model: nn.Module, batch: Batch) -> Batch:
    """The batch as held-out data are shown to a model: without what it is to infer."""
    hidden = model.withheld if isinstance(model, Model) else ()
    return {name: value for name, value in batch.items() if name not in hidden}


def levels_of(model: Model, latent: str) -> int | None:
    """K where the latent is quantised to codes 0 .. K-1, None where it is real."""
    try:
        posterior = model.get_submodule(f"posteriors.{model.names.index(latent)}")
    except AttributeError:
        return None
    found = getattr(posterior, "codes", None)  # of `conditionals.Quantised` and `GumbelSoftmax`
    return None if found is None else int(found)
