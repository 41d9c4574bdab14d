"""An objective: named, weighted terms. It takes the one mean over the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from vaekit.parallel.noise import common_noise
from vaekit.schedules import Feedback, Schedule, Varying, Weight, value_of
from vaekit.terms import Distortion, Rate, Term
from vaekit.trace import Trace

Terms = Mapping[str, tuple[Weight, Term]]
"""Name -> (weight, term)."""


class Judged(NamedTuple):
    """The value that is minimised, and the mean of every term before its weight, by name."""

    total: Tensor
    values: dict[str, Tensor]


class Objective(nn.Module):
    """total = sum_i weight_i * mean over the batch of term_i, in nats per datum; it is minimised.

    Args:
        terms: name -> (weight, term). A weight is a number, a `Schedule`, or a `Feedback` that hears the
            values of these terms.

    Terms and weights that are modules belong to the objective: they are saved with it, and their
    `after_step` runs once per training step.

    Raises:
        ValueError: without terms, or if a weight listens to a term that there is not.
    """

    def __init__(self, terms: Terms) -> None:
        super().__init__()
        if not terms:
            raise ValueError("an objective needs at least one term")
        self.terms = dict(terms)
        for name, (weight, term) in terms.items():
            for role, part in (("weight", weight), ("term", term)):
                if isinstance(part, nn.Module):
                    self.add_module(f"{name}_{role}", part)
        for module in self.listening:
            if unknown := [name for name in module.hears if name not in (*terms, "loss")]:
                raise ValueError(
                    f"a {type(module).__name__} listens to {unknown[0]!r}, but the terms of this objective "
                    f"are {', '.join(terms)}: name one of them, or loss"
                )

    @property
    def listening(self) -> list[Feedback]:
        """The weights, here or within terms, that hear the named values of a step."""
        return [module for module in self.modules() if isinstance(module, Feedback)]

    @property
    def moving(self) -> dict[str, Varying]:
        """What changes while training, by name: "weight/rate" where the weight of the term "rate" does.

        A schedule within a weight or a term has the name that it has there: "target/rate" is the set point of
        the controller of the rate, "capacity/rate" the capacity that a term "rate" holds.
        """
        found: dict[str, Varying] = {}
        for name, parts in self.terms.items():
            if isinstance(parts[0], Varying):
                found[f"weight/{name}"] = parts[0]
            for part in parts:
                for path, module in part.named_modules() if isinstance(part, nn.Module) else ():
                    if path and isinstance(module, Schedule):
                        found[f"{path.replace('.', ' ')}/{name}"] = module
        return found

    @property
    def coupled(self) -> list[str]:
        """Names of the terms whose value for a datum depends on the others."""
        return [name for name, (_, term) in self.terms.items() if getattr(term, "couples_batch", False)]

    @property
    def couples_batch(self) -> bool:
        """Whether any term's value for a datum depends on the others."""
        return bool(self.coupled)

    def forward(self, trace: Trace) -> Judged:
        """Total and named values of one pass."""
        total: Tensor | None = None
        values: dict[str, Tensor] = {}
        for name, (weight, term) in self.terms.items():
            if getattr(term, "gathers", False) and trace.whole is not None:
                with common_noise():
                    value = term(trace.whole)
            else:
                value = term(trace)
            mean = value.mean() if value.dim() else value
            values[name] = mean.detach()
            factor = value_of(weight)
            if isinstance(factor, Tensor):
                mean = factor.to(mean.dtype) * mean  # a schedule counts in float64
            elif factor != 1:
                mean = factor * mean
            total = mean if total is None else total + mean
        assert total is not None  # the constructor refuses an empty objective
        return Judged(total, values)


def elbo(beta: Weight = 1.0, rate: Rate | None = None) -> Objective:
    """-E_q log p(x|z) + beta KL(q(z|x) || p(z)): the negative ELBO at beta = 1."""
    return Objective({"distortion": (1.0, Distortion()), "rate": (beta, rate or Rate())})
