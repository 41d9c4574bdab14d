"""Likelihoods for real, quantised and categorical elements."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from vaekit.distributions.lean import Lean, SampleShape, Symmetric, squared_distance, sum_event
from vaekit.distributions.normal import HALF_LOG_2PI
from vaekit.pooling import pooled_mean


class Laplace(Symmetric):
    """log p(x) = sum_d [ -|x_d - m_d| / b_d - ln 2 b_d ].

    Args:
        mean: m, (*batch, *event).
        log_scale: ln b, broadcastable to `mean`.
        event_dims: number of event axes at the end of `mean`.
    """

    def __init__(self, mean: Tensor, log_scale: Tensor, event_dims: int = 1) -> None:
        super().__init__(mean, event_dims)
        self.log_scale = log_scale

    @property
    def variance(self) -> Tensor:
        """2 b^2."""
        return (2 * (2 * self.log_scale).exp()).expand_as(self.loc)

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """m + b (e1 - e2) with two unit exponentials."""
        shape = self._extended_shape(sample_shape)
        exponentials = self.loc.new_empty((2, *shape)).exponential_()
        return self.loc + self.log_scale.exp() * (exponentials[0] - exponentials[1])

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        distance = (value - self.loc).abs() * (-self.log_scale).exp()
        return sum_event(-distance - self.log_scale - math.log(2), self.event_dims)

    def entropy(self) -> Tensor:
        """sum_d ln(2 b_d e), (*batch)."""
        return sum_event((self.log_scale + math.log(2) + 1).expand_as(self.loc), self.event_dims)


class DiscretisedLogistic(Lean):
    """A logistic density cut into equal bins: a probability for each of `levels` values in [0, 1].

    Level k stands at x = k / (levels - 1) and owns the bin of width 1 / (levels - 1) around it; the first and
    the last bin reach to -inf and +inf, so that the probabilities of all levels sum to one.
    P(x) = sigmoid((x + h - m) / s) - sigmoid((x - h - m) / s),  h = 1 / (2 (levels - 1)).

    Args:
        mean: m, (*batch, *event).
        log_scale: ln s, broadcastable to `mean`.
        levels: number of values.
        event_dims: number of event axes at the end of `mean`.
    """

    has_rsample = False

    def __init__(self, mean: Tensor, log_scale: Tensor, levels: int = 256, event_dims: int = 1) -> None:
        super().__init__(event_dims)
        self.loc = mean
        self.log_scale = log_scale
        self.levels = levels

    @property
    def shape(self) -> torch.Size:
        """(*batch, *event)."""
        return self.loc.shape

    @property
    def mean(self) -> Tensor:
        """The centre of the logistic, kept inside [0, 1]."""
        return self.loc.clamp(0, 1)

    @property
    def mode(self) -> Tensor:
        """The level nearest to the centre."""
        return (self.mean * (self.levels - 1)).round() / (self.levels - 1)

    @torch.no_grad()
    def sample(self, sample_shape: SampleShape = ()) -> Tensor:
        """Levels k / (levels - 1)."""
        shape = self._extended_shape(sample_shape)
        u = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device).clamp(1e-7, 1 - 1e-7)
        value = self.loc + self.log_scale.exp() * torch.logit(u)
        return (value.clamp(0, 1) * (self.levels - 1)).round() / (self.levels - 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats: log probabilities, never above zero."""
        inverse = (-self.log_scale).exp()
        half = 0.5 / (self.levels - 1)
        upper = (value + half - self.loc) * inverse
        lower = (value - half - self.loc) * inverse
        # ln[sigmoid(b) - sigmoid(a)] = logsigmoid(b) + logsigmoid(-a) + ln(1 - e^(a - b))
        width = (upper - lower).clamp_min(1e-12)
        inside = (
            functional.logsigmoid(upper) + functional.logsigmoid(-lower) + torch.log(-torch.expm1(-width))
        )
        inside = torch.where(value < half, functional.logsigmoid(upper), inside)
        inside = torch.where(value > 1 - half, functional.logsigmoid(-lower), inside)
        return sum_event(inside, self.event_dims)


class Categorical(Lean):
    """A class for every element: log p(x) = sum_d log softmax(l_d)[x_d].

    Args:
        logits: l, (*batch, *event, classes).
        event_dims: number of event axes of a draw (the class axis not counted).
    """

    has_rsample = False

    def __init__(self, logits: Tensor, event_dims: int = 1) -> None:
        super().__init__(event_dims)
        self.logits = logits

    @property
    def shape(self) -> torch.Size:
        """(*batch, *event)."""
        return self.logits.shape[:-1]

    @property
    def probs(self) -> Tensor:
        """(*batch, *event, classes)."""
        return self.logits.softmax(-1)

    @property
    def mean(self) -> Tensor:
        """The expected class number: meaningful where classes are ordered levels."""
        classes = torch.arange(self.logits.shape[-1], dtype=self.logits.dtype, device=self.logits.device)
        return self.probs @ classes

    @property
    def mode(self) -> Tensor:
        """The most probable class."""
        return self.logits.argmax(-1).to(self.logits.dtype)

    @torch.no_grad()
    def sample(self, sample_shape: SampleShape = ()) -> Tensor:
        """Class numbers as floats, so that they can be data again."""
        logits = self.logits.expand(torch.Size(sample_shape) + self.logits.shape)
        gumbel = -torch.log(torch.empty_like(logits).exponential_())
        return (logits + gumbel).argmax(-1).to(self.logits.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        table = self.logits.log_softmax(-1)
        shape = torch.broadcast_shapes(value.shape, table.shape[:-1])
        index = value.long().expand(shape).unsqueeze(-1)
        picked = table.expand(*shape, table.shape[-1]).gather(-1, index).squeeze(-1)
        return sum_event(picked, self.event_dims)

    def entropy(self) -> Tensor:
        """(*batch), nats."""
        table = self.logits.log_softmax(-1)
        return sum_event(-(table.exp() * table).sum(-1), self.event_dims)


class Poisson(Lean):
    """Counts: log p(x) = sum_d [ x_d ln r_d - r_d - ln x_d! ].

    Args:
        log_rate: ln r, (*batch, *event).
        event_dims: number of event axes at the end of `log_rate`.
    """

    has_rsample = False

    def __init__(self, log_rate: Tensor, event_dims: int = 1) -> None:
        super().__init__(event_dims)
        self.log_rate = log_rate

    @property
    def shape(self) -> torch.Size:
        """(*batch, *event)."""
        return self.log_rate.shape

    @property
    def mean(self) -> Tensor:
        """r."""
        return self.log_rate.exp()

    @property
    def mode(self) -> Tensor:
        """The integer part of r."""
        return self.mean.floor()

    @property
    def variance(self) -> Tensor:
        """r."""
        return self.mean

    @torch.no_grad()
    def sample(self, sample_shape: SampleShape = ()) -> Tensor:
        """Counts as floats."""
        return torch.poisson(self.mean.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        elements = value * self.log_rate - self.log_rate.exp() - torch.lgamma(value + 1)
        return sum_event(elements, self.event_dims)


class PooledNormal(Symmetric):
    """A Gaussian whose one variance is the best one for the values it is asked about (sigma-VAE, "optimal").

    sigma*^2 = SSE / P over all P residuals of the batch, and
    sum of -log p = P/2 [ln(2 pi SSE / P) + 1]  (Rybkin et al. 2021, arXiv 2006.13202).

    sigma* is cut off from the graph, which leaves the gradient of the substituted form unchanged (envelope
    theorem). `fitted` holds sigma*^2 after a call of `log_prob`. One variance for the batch couples its data.

    Args:
        mean: (*batch, *event).
        event_dims: number of event axes at the end of `mean`.
    """

    def __init__(self, mean: Tensor, event_dims: int = 1) -> None:
        super().__init__(mean, event_dims)
        self.fitted: Tensor | None = None

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        size = self.event_shape.numel()
        squares = squared_distance(value, self.loc, self.event_dims)
        self.fitted = (pooled_mean(squares.detach(), tuple(range(squares.dim()))) / size).clamp_min(1e-12)
        logarithm = 0.5 * self.fitted.log() + HALF_LOG_2PI
        return -0.5 / self.fitted * squares - size * logarithm
