"""What the doctor looks at: a run, its model, and one pass over some of its data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data.batch import Data, Splits
from vaekit.distributions import PointMass
from vaekit.doctor.finding import Finding
from vaekit.doctor.run_spare import Left, structure_left
from vaekit.errors import UnsupportedError
from vaekit.metrics.evidence import mean_and_error
from vaekit.metrics.passes import evaluating, split_batch
from vaekit.models import Model, without_withheld
from vaekit.report.codes import ACTIVE, Codes, encode, evenly_shuffled
from vaekit.report.history import EMPTY
from vaekit.runs import Run
from vaekit.system import System
from vaekit.terms import Distortion, Rate

ROWS = 250
"""Data in one pass."""

NO_LATENTS = "the model has no latents from which anything is decoded"
NOT_DECODED = "no mean is decoded from the latents"


@dataclass(frozen=True)
class Seen:
    """N data of one split, as the model sees them: one draw z ~ q(z|x) each.

    Args:
        codes: the data and their latents.
        distortion: -log p(x|z) at a draw, (N,), nats; None where the likelihood is no density.
        rate: log q(z|x) - log p(z) or its mean where there is a closed form, (N,), nats; None likewise.
        rows: numbers of the data in their split, (N,).
    """

    codes: Codes
    distortion: Tensor | None
    rate: Tensor | None
    rows: Tensor

    @property
    def x(self) -> Tensor:
        """The data, (N, *event)."""
        return self.codes.batch["x"]

    @property
    def loss(self) -> Tensor | None:
        """Distortion + rate, the negative ELBO of every datum, (N,), nats."""
        return None if self.distortion is None or self.rate is None else self.distortion + self.rate


@dataclass(frozen=True)
class Subject:
    """A run under examination.

    Args:
        run: the run.
        system: as the recipe wires it, with the weights that the run hands out, and with the state that its
            objectives had at the last checkpoint.
        splits: the data of the run.
        held_out: some of the test data.
        train: as many of the training data.
        seed: of everything that is drawn.
        most: largest number of data of a split that are looked at.
        unchecked: what could not be looked at, and why: see `leave_out`.
    """

    run: Run
    system: System
    splits: Splits
    held_out: Seen
    train: Seen
    seed: int
    most: int
    unchecked: dict[str, str] = field(default_factory=dict, repr=False)

    def leave_out(self, check: str, why: str) -> list[Finding]:
        """A check that cannot be made of a run of this kind finds nothing; one note at the end says so.

        Args:
            check: what would have been looked at, such as "the amortisation gap".
            why: the reason, in words, such as "the model has no latents".
        """
        self.unchecked.setdefault(check, why)
        return []

    @property
    def model(self) -> Model:
        """The model, with the weights that the run hands out."""
        return self.system.model

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row for every epoch."""
        return self.run.metrics()

    def parts(self, seen: Seen) -> Iterator[tuple[Tensor, Distribution]]:
        """Data and p(x|z) at the draws of their latents, some rows at a time.

        With z ~ q(z|x) and the exact posterior of a right model, (x, z) is a draw from the model itself, and
        x given z is distributed as p(x|z) says: residuals at *draws* are what a test may be made on. At
        posterior means they are too small, even if nothing is wrong.
        """
        codes = seen.codes
        with evaluating(self.model, self.seed):
            for start in range(0, len(seen.x), ROWS):
                piece = slice(start, start + ROWS)
                yield seen.x[piece], codes.decode(codes.draws[piece], codes.context(piece))

    def residuals(self, seen: Seen) -> tuple[Tensor, Tensor | None]:
        """x - E[p(x|z)] at the draws, and Var[p(x|z)], (N, D) each; no variance where there is no density.

        Raises:
            UnsupportedError: if the model decodes from no latents, or its likelihood has no mean.
        """
        lefts, variances = [], []
        for x, p in self.parts(seen):
            lefts.append((x - p.mean).flatten(1).double())
            if not isinstance(p, PointMass):
                # broadcast: one scale for all has the shape of the scale
                with suppress(NotImplementedError):
                    variances.append(p.variance.expand_as(x).flatten(1).double())
        whole = torch.cat(variances) if len(variances) == len(lefts) else None
        return torch.cat(lefts), whole

    @cached_property
    def likelihood(self) -> Distribution | None:
        """p(x|z) of the first held-out data, to see of what family it is; None where nothing is decoded."""
        return None if self.left is None else next((p for _, p in self.parts(self.held_out)), None)

    @cached_property
    def left(self) -> tuple[Tensor, Tensor | None] | None:
        """`residuals` of the held-out data, or None where there are none."""
        return _or_none(self, self.held_out)

    @cached_property
    def left_in_training(self) -> tuple[Tensor, Tensor | None] | None:
        """`residuals` of the training data, or None where there are none."""
        return _or_none(self, self.train)

    @cached_property
    def movement(self) -> float | None:
        """Variance of E[p(x|z)] over z ~ q(z), as a share of that of held-out data; None without decoding."""
        if self.left is None:
            return None
        x = self.held_out.x.flatten(1).double()
        return float((x - self.left[0]).var(0).sum() / x.var(0).sum().clamp_min(1e-30))

    @cached_property
    def constant(self) -> Tensor | None:
        """-log p_0(x) of held-out data, (N,), by the best constant predictor; None where there is none."""
        from vaekit.doctor.run_constant import constant_cost

        if self.held_out.loss is None or self.left is None:
            return None
        return constant_cost(self)

    @property
    def ungained(self) -> str:
        """Why there is no `gained`, in words."""
        if not self.held_out.codes.labels:
            return NO_LATENTS
        if self.left is None:
            return NOT_DECODED
        if self.held_out.loss is None:
            which = "likelihood" if isinstance(self.likelihood, PointMass) else "posterior or prior"
            return f"the {which} has no density, so that there is no bound"
        return f"there is no best constant of the family {type(self.likelihood).__name__} to compare with"

    @cached_property
    def gained(self) -> tuple[float, float] | None:
        """What latents and decoder are worth: the held-out ELBO beyond the best constant predictor's.

        With its standard error over the data, nats per datum; None where there is no density, or the family
        of the likelihood has no constant that could be compared. See `run_constant.constant_cost`. Where a
        later stage learns the prior, the rate is not final, and distortions are compared.
        """
        paid = self.held_out.distortion if self.prior_comes_later else self.held_out.loss
        if self.constant is None or paid is None:
            return None
        return mean_and_error(self.constant - paid)

    @property
    def prior_comes_later(self) -> bool:
        """Whether new data are drawn by a later stage, so that the model's own prior is none to judge by."""
        return self.held_out.codes.discrete != frozenset() or bool(self.run.record.get("stages"))

    @property
    def learnt(self) -> bool:
        """Whether the model is better than a constant by four standard errors, where that can be said.

        What is measured as a share of the gain waits for it.
        """
        return self.gained is None or self.gained[0] > 4 * self.gained[1]

    @property
    def decodes(self) -> bool:
        """Whether latents save distortion, by four standard errors, whatever they cost.

        Without a density: whether reconstructions explain a tenth of the variance of the data.
        """
        if self.constant is None or self.held_out.distortion is None:
            if self.left is None:
                return True
            power = float(self.left[0].square().sum())
            return power < 0.9 * float(
                (self.held_out.x.double() - self.train.x.double().mean(0)).square().sum()
            )
        saved, error = mean_and_error(self.constant - self.held_out.distortion)
        return saved > 4 * error

    @cached_property
    def empty(self) -> Tensor:
        """Which columns of the codes say nothing about the data, (K,).

        Their rate is below `EMPTY`, and the variance of their means below 0.01 (Burda et al. 2016).
        """
        codes = self.held_out.codes
        if not codes.labels:
            return torch.zeros(0, dtype=torch.bool)
        still = codes.spread <= ACTIVE
        return still if codes.rates is None else still & (codes.rates < EMPTY)

    @cached_property
    def structure(self) -> Left | None:
        """What further linear latents could carry of what is left over; None where nothing is decoded."""
        if self.left is None or self.left_in_training is None:
            return None
        most = min(64, len(self.held_out.codes.labels) or 1)
        return structure_left(self.left_in_training[0], self.left[0], most)


def _or_none(subject: Subject, seen: Seen) -> tuple[Tensor, Tensor | None] | None:
    try:
        return subject.residuals(seen)
    except (UnsupportedError, NotImplementedError, AttributeError):
        return None


def see(model: Model, data: Data, most: int, seed: int) -> Seen:
    """Encode `most` of the data, evenly spread over the set, and judge them.

    Args:
        model: in eval mode.
        data: one split.
        most: number of data.
        seed: of the draws.
    """
    with evaluating(model, seed):
        codes = encode(model, data, most)
        costs, rates = [], []
        with suppress(UnsupportedError):
            for piece in split_batch(without_withheld(model, codes.batch), ROWS):
                trace = model(piece)
                cost, rate = Distortion()(trace), Rate()(trace)
                costs.append(cost.double())
                rates.append(torch.as_tensor(rate).expand(len(cost)).double())
    codes = replace(codes, batch={name: value.clone() for name, value in codes.batch.items()})
    whole = bool(costs)
    rows = evenly_shuffled(len(data), most)  # as `encode` takes them
    return Seen(codes, torch.cat(costs) if whole else None, torch.cat(rates) if whole else None, rows)
