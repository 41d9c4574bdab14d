"""What of a run is explored: what decodes, held-out data as its codes, where new codes come from."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.exporting import posterior_spread, spread, told
from vaekit.metrics.passes import home_of
from vaekit.models import LabelMarginal, Model
from vaekit.models.columns import columns_of, labels_of
from vaekit.randomness import quiet
from vaekit.report.codes import Codes, apart
from vaekit.runs import Run

SEED = 0
_DRAWS = 2000  # of the prior, where there are no data to tell how far the latents reach


@dataclass(frozen=True)
class Subject:
    """A trained model with its surroundings, in the state in which the page shows it.

    Args:
        run: where it comes from.
        spec: of what is decoded: the data of the run, or the whole pictures that these are parts of.
        model: encodes and decodes, in eval mode.
        shapes: latent name -> event shape, in the order of the columns of a code.
        discrete: names of the latents that are codes.
        codes: held-out data as the model sees them, or None where the data cannot be had.
        held: what these data are: "test" or "validation".
        samplers: name -> the model whose `draw_latents` draws, the usual one first.
        contexts: conditions to choose from, (m, *context), with their names; None where there are none.
        notes: what could not be had, for people.
    """

    run: Run
    spec: Spec
    model: Model
    shapes: dict[str, torch.Size]
    discrete: frozenset[str]
    codes: Codes | None
    held: str
    samplers: dict[str, Model]
    contexts: tuple[Tensor, list[str]] | None
    notes: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """K, the number of columns of a code."""
        return sum(shape.numel() for shape in self.shapes.values())

    @property
    def names(self) -> list[str]:
        """A name for every column, as in `Codes.labels`; that of a label names its class."""
        found = labels_of(self.shapes)
        for column, label in zip(self.labels, self.spec.class_labels(), strict=False):
            found[column] = f"y {label}"
        return found

    @property
    def labels(self) -> list[int]:
        """Columns that are shares of the classes of a label."""
        if not isinstance(self.model, LabelMarginal):
            return []
        return list(columns_of(self.shapes).get("y", ()))

    @property
    def whole(self) -> bool:
        """Whether a code is whole numbers and nothing else."""
        return self.discrete == set(self.shapes)

    def coded(self, codes: Tensor) -> Tensor:
        """Codes in the type in which the page has them: int32 where they are whole numbers."""
        return codes.round().int() if self.whole else codes.float()

    @property
    def encodes(self) -> bool:
        """Whether a datum by itself can be encoded: not where a part of it is the condition."""
        return self.run.spec.quadrants is None

    @property
    def spreads(self) -> bool:
        """Whether the likelihood says how sure it is of every element."""
        return self.decode(self.middle[None], self.given(1))[1] is not None

    @property
    def aggregate(self) -> Tensor:
        """Draws of the aggregate posterior (N, K), or of the prior where there are no data."""
        return self.codes.draws if self.codes is not None else self.draw("prior", _DRAWS, SEED)

    @property
    def middle(self) -> Tensor:
        """A code to begin with under the first condition, (K,): of a datum, or the middle of the prior."""
        if self.codes is None:
            drawn = self.draw("prior", 1 if self.discrete else _DRAWS, SEED, self.given(1))
            return drawn[0] if self.discrete else drawn.mean(0)
        if self.contexts is None:
            return self.codes.means[0]
        same = (self.codes.batch["c"].cpu() == self.contexts[0][0]).flatten(1).all(1)
        return self.codes.means[int(same.byte().argmax())]

    def given(self, n: int) -> Tensor | None:
        """Conditions for n rows, in turn."""
        if self.contexts is None:
            return None
        every = self.contexts[0]
        return every[torch.arange(n) % len(every)]

    def draw(self, sampler: str, n: int, seed: int, condition: Tensor | None = None) -> Tensor:
        """Codes (n, K) from a sampler.

        Args:
            sampler: its name.
            n: number of draws.
            seed: of the draws.
            condition: one for all of them, (1, *context); by default the conditions of the page in turn.

        Raises:
            UnsupportedError: if it draws not every latent.
        """
        model = self.samplers[sampler]
        where, _ = home_of(model)
        with quiet(model, where, seed):
            given = self.given(n) if condition is None else condition.expand(n, *condition.shape[1:])
            drawn = model.draw_latents(n, given)
        if missing := [name for name in self.shapes if name not in drawn]:
            raise UnsupportedError(f"it draws no {', '.join(missing)}")
        return torch.cat([drawn[name].flatten(1).float() for name in self.shapes], dim=1)

    @torch.no_grad()
    def decode(self, codes: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Mean of p(x|z), and its standard deviation where it says one, (N, *event) each.

        Tokens have no mean: of these it is the probability of each, (N, T, vocabulary).

        Args:
            codes: (N, K), whole numbers where the latents are codes.
            context: (N, *context) in a conditional model.

        Raises:
            ValueError: for numbers that are no codes of the model.
        """
        given = apart(codes, self.shapes, self.discrete if self.whole else ())
        p = self.model.decode(given, context)
        return told(self.spec, p), spread(p)

    @torch.no_grad()
    def encode(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Mean of q(z|x), and its standard deviation where it has one, (N, K) each."""
        batch = {"x": x} if context is None else {"x": x, "c": context}
        codes = self.model.encode(batch)
        mean = torch.cat([codes[name].flatten(1) for name in self.shapes], dim=1)
        return mean, posterior_spread(self.model, batch, list(self.shapes))
