"""Weights that hold a term at a set point.

A non-linear PI controller moves the weight w of a term by what the term came to, v, whose set point is C:

    e_t = C_t - v_t,   P_t = k_p / (1 + exp(e_t)),   I_t = I_{t-1} - k_i e_t,   w_{t+1} = low + P_t + I_t

and w is held within [low, high] for use. A term above its set point gets a larger weight at once (P, at most
k_p) and a growing one as long as it stays there (I).

H. Shao et al., ControlVAE: Controllable Variational Autoencoder, ICML 2020, https://arxiv.org/abs/2004.05988,
section 3.2
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vaekit.checks import number, whole
from vaekit.schedules import Feedback, Schedule, Varying, Weight, value_of

LARGEST_ERROR = 50.0
"""An error counts as at most this: so a start far away moves the integral by no more than 50 k_i a step."""

LEAST_REST = 0.01
"""What two weights that share one leave to the third at least."""


class Controller(Feedback):
    """A weight that moves until its term is at a set point.

    The integral stands still while the weight, before it is held within its range, is outside of it and the
    error drives it further out: so it comes back as soon as the error turns. (The authors' program for
    disentangling stops it whatever the sign of the error: a weight that the integral has taken further out
    than k_p, the most that P can give, then stays there for good.)

    Args:
        term: name of the term that it listens to.
        target: C, in the units of that term: a number, or a schedule that moves with the steps.
        kp: k_p.
        ki: k_i.
        low: smallest weight, which is also the first.
        high: largest weight.
        stateful: whether the integral is kept. Without it the weight is low + P_t - k_i e_t of the last
            step, as in programs that make a new controller at every step.
        sign: 1, or -1 to turn the error around: then a term above its set point gets a smaller weight.

    Raises:
        ValueError: for a gain below 0, an empty range, a sign that is neither 1 nor -1, or a set point that
            is not finite.
        TypeError: if one of them is no number.
    """

    def __init__(
        self,
        term: str,
        target: float | Schedule,
        *,
        kp: float,
        ki: float,
        low: float = 0.0,
        high: float = math.inf,
        stateful: bool = True,
        sign: int = 1,
    ) -> None:
        super().__init__(term)
        held = target if isinstance(target, Schedule) else float(number(f"target of the {term}", target))
        self.target: Weight = held
        self.kp, self.ki = number("kp", kp, least=0), number("ki", ki, least=0)
        self.low = number("low", low)
        if not high > low:
            raise ValueError(f"got `low` {low} and `high` {high}; expected a range, low < high")
        if sign not in (1, -1):
            raise ValueError(f"`sign` is {sign}; expected 1 or -1")
        self.high, self.stateful, self.sign = high, stateful, sign
        self.register_buffer("integral", torch.zeros((), dtype=torch.float64))
        self.register_buffer("unheld", torch.full((), low, dtype=torch.float64))
        self.integral: Tensor
        self.unheld: Tensor

    def forward(self) -> Tensor:
        """The weight of this step."""
        return self.unheld.clamp(self.low, self.high)

    def hear(self, values: Mapping[str, Tensor]) -> None:
        """Work out the weight of the next step."""
        value = values[self.hears[0]].to(self.integral.dtype)
        error = (self.sign * (value_of(self.target) - value)).clamp(-LARGEST_ERROR, LARGEST_ERROR)
        moved = -self.ki * error
        if self.stateful:
            below, above = self.unheld < self.low, self.unheld > self.high
            leaving = (below & (error > 0)) | (above & (error < 0))
            moved = self.integral + torch.where(leaving, 0, moved)
            self.integral.copy_(moved)
        self.unheld.copy_(self.low + self.kp * torch.sigmoid(-error) + moved)


class Growth(Feedback):
    """A weight that falls while a term is positive and grows to 1 while it is negative (Klushyn et al. 2019).

    w <- min(1, w exp(nu f v / elements)),   f = -1 where v > 0, tanh(tau (w - 1)) elsewhere

    v is a negative log density: it is negative once the data are described better than by a density of 1,
    which depends on their units. The more negative, the faster w grows; nu is per nat and element.

    Args:
        term: name of the term that it listens to.
        elements: of one datum, over which its values are sums.
        nu: pace.
        tau: how early the growth slows down on the way to 1.
        first: w in the beginning.
        start: training steps before the rule begins, in which the weight is 0.

    Raises:
        ValueError: for a number that is out of its range.
        TypeError: if one of them is no number.

    References:
        Learning Hierarchical Priors in VAEs. Klushyn, Chen, Kurle, Cseke, van der Smagt, 2019, arXiv
        1905.04982; with this f, Jacobsen and Duraisamy 2022, arXiv 2109.07399.
    """

    def __init__(
        self,
        term: str,
        elements: int,
        *,
        nu: float = 0.005,
        tau: float = 1.0,
        first: float = 1e-9,
        start: int = 0,
    ) -> None:
        super().__init__(term)
        self.elements = whole("elements", elements)
        self.nu, self.tau = number("nu", nu, above=0), number("tau", tau, above=0)
        self.start = whole("start", start, least=0)
        first = number("first", first, above=0, most=1)
        self.register_buffer("weight", torch.full((), first, dtype=torch.float64))
        self.register_buffer("step", torch.zeros((), dtype=torch.float64))
        self.weight: Tensor
        self.step: Tensor

    def forward(self) -> Tensor:
        """The weight of this step."""
        return torch.where(self.step < self.start, 0, self.weight)

    def hear(self, values: Mapping[str, Tensor]) -> None:
        """Work out the weight of the next step."""
        value = values[self.hears[0]].to(self.weight.dtype) / self.elements
        towards = torch.where(value > 0, -1, (self.tau * (self.weight - 1)).tanh())
        moved = (self.weight * (self.nu * towards * value).exp()).clamp_max(1)
        self.weight.copy_(torch.where(self.step < self.start, self.weight, moved))
        self.step.add_(1)


class Shares(Varying):
    """1 - alpha - beta: what two weights leave to a third, which is never less than 0.01.

    Where alpha + beta would be above 0.99, what changes of them is made smaller by one factor, so that they
    come to 0.99: a number stays what it is, and two weights that change keep their ratio. It owns both;
    `first` and `second` are what each comes to.

    Args:
        alpha: a weight that changes, or a number.
        beta: likewise.

    Raises:
        ValueError: if a number leaves nothing to the others.
    """

    def __init__(self, alpha: Weight, beta: Weight) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta
        self.room = 1 - LEAST_REST - _numbers(alpha, beta)
        if not self.room > 0:
            raise ValueError(
                f"`alpha` and `beta` have {_numbers(alpha, beta):g} of 1 already; expected less than "
                f"{1 - LEAST_REST:g}, so that something is left to be shared: take smaller numbers"
            )

    def _scaled(self, weight: Weight) -> float | Tensor:
        if not isinstance(weight, Varying):
            return weight
        changing = [part() for part in (self.alpha, self.beta) if isinstance(part, Varying)]
        total = changing[0] if len(changing) == 1 else changing[0] + changing[1]
        scaled: Tensor = weight() * (self.room / total.clamp_min(self.room))
        return scaled

    def forward(self) -> Tensor:
        """What is left."""
        return torch.as_tensor(1 - self.first() - self.second())

    def first(self) -> float | Tensor:
        """alpha, made smaller where need be."""
        return self._scaled(self.alpha)

    def second(self) -> float | Tensor:
        """beta, made smaller where need be."""
        return self._scaled(self.beta)


def share(alpha: Weight, beta: Weight) -> tuple[Weight, Weight]:
    """1 - alpha - beta and beta, as weights of one objective; see `Shares`. Numbers stay numbers.

    Raises:
        ValueError: if numbers leave less than 0.01 to the third weight.
    """
    if isinstance(alpha, Varying) or isinstance(beta, Varying):
        shares = Shares(alpha, beta)
        return shares, Borrowed(shares.second) if isinstance(beta, Varying) else beta
    rest = 1 - alpha - beta
    if rest < LEAST_REST:
        raise ValueError(
            f"`alpha` {alpha} and `beta` {beta} leave {rest:g} of 1 to the third weight; expected at least "
            f"{LEAST_REST:g}: take smaller numbers"
        )
    return rest, beta


def _numbers(*weights: Weight) -> float:
    return sum(weight for weight in weights if not isinstance(weight, Varying))


class Borrowed(Varying):
    """A weight that is read from a module which another weight or term owns, so that it is saved once.

    Args:
        read: says the value now, such as `Shares.second` of some shares.
    """

    def __init__(self, read: Callable[[], float | Tensor]) -> None:
        super().__init__()
        self.read = read

    def forward(self) -> Tensor:
        """The value now."""
        return torch.as_tensor(self.read())
