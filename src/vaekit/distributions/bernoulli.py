"""Likelihoods on {0, 1} and on [0, 1], parametrised by logits."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vaekit.distributions.lean import Lean, SampleShape, sum_event


def logit_log_prob(value: Tensor, logits: Tensor, event_dims: int) -> Tensor:
    """sum_d [x_d l_d - softplus(l_d)]: (*sample, *batch), nats."""
    cached = not torch.is_grad_enabled() and logits.device.type == "cpu" and logits.dtype in _PRODUCT_TYPES
    if value.shape == logits.shape or not cached:
        # Of a product and a softplus, summed apart, torch's compiler would get gradients with strides that
        # no linear layer takes.
        if value.shape != logits.shape:
            value, logits = torch.broadcast_tensors(value, logits)
        loss = functional.binary_cross_entropy_with_logits(logits, value, reduction="none")
        return -sum_event(loss, event_dims)
    # one datum against many draws
    flat_value, flat_logits = value.flatten(-event_dims), logits.flatten(-event_dims)
    if flat_value.numel() == flat_logits.shape[-1] and flat_value.dim() <= flat_logits.dim():
        linear = flat_logits @ flat_value.flatten()
    else:
        linear = (flat_logits * flat_value).sum(-1)  # einsum would copy the logits into another order first
    rows = flat_logits.reshape(-1, flat_logits.shape[-1])
    pieces = rows.split(max(1, _CACHED // rows.shape[-1]))
    return linear - torch.cat([_softplus_sum(piece) for piece in pieces]).view(flat_logits.shape[:-1])


_PRODUCT_TYPES = (torch.float32, torch.float64)
_HALVINGS = 4
_CACHED = 2**19  # elements that several passes find in the cache


def _softplus_sum(logits: Tensor) -> Tensor:
    """sum_d softplus(l_d) over the last axis, without gradients: (rows, D) -> (rows,).

    softplus(l) = max(l, 0) - ln sigmoid(|l|), and the sum of logarithms is the logarithm of a product of 16
    numbers in [1/2, 1]. On a CPU this takes less time than `softplus`, which is next to the matrix products
    the largest cost of an importance-sampled likelihood.
    """
    buffer = logits.clamp_min(0)
    positive = buffer.sum(-1)
    torch.abs(logits, out=buffer).sigmoid_()
    width = buffer.shape[-1] >> _HALVINGS << _HALVINGS
    rest = buffer[..., width:]
    for _ in range(_HALVINGS):
        width //= 2
        buffer[..., :width].mul_(buffer[..., width : 2 * width])
    total: Tensor = positive - buffer[..., :width].log().sum(-1) - rest.log().sum(-1)
    return total


class Bernoulli(Lean):
    """Independent coins: log p(x) = sum_d [x_d l_d - softplus(l_d)], x in {0, 1}.

    Args:
        logits: l, (*batch, *event).
        event_dims: number of event axes at the end of `logits`.
        grey: whether values in [0, 1] are probabilities of pixels. `log_prob` is then, by the same formula,
            the mean of log p over pixels drawn with them, the negative cross-entropy.

    Warning:
        On values between 0 and 1 this is not a density: use `ContinuousBernoulli` for one.
    """

    has_rsample = False

    def __init__(self, logits: Tensor, event_dims: int = 1, grey: bool = False) -> None:
        super().__init__(event_dims)
        self.logits = logits
        self.grey = grey

    @property
    def shape(self) -> torch.Size:
        """(*batch, *event)."""
        return self.logits.shape

    @property
    def mean(self) -> Tensor:
        """sigmoid(l)."""
        return self.logits.sigmoid()

    @property
    def mode(self) -> Tensor:
        """1 where the probability is above one half."""
        return (self.logits > 0).to(self.logits.dtype)

    @property
    def variance(self) -> Tensor:
        """p (1 - p)."""
        mean = self.mean
        return mean * (1 - mean)

    @property
    def stddev(self) -> Tensor:
        """sqrt(p (1 - p)) = 1 / (2 cosh(l / 2)), which keeps its digits where p is close to 0 or 1."""
        return 0.5 / (0.5 * self.logits).cosh()

    @torch.no_grad()
    def sample(self, sample_shape: SampleShape = ()) -> Tensor:
        """Zeros and ones."""
        return torch.bernoulli(self.mean.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        return logit_log_prob(value, self.logits, self.event_dims)

    def entropy(self) -> Tensor:
        """sum_d [softplus(l_d) - l_d sigmoid(l_d)]."""
        values = functional.softplus(self.logits) - self.logits * self.mean
        return sum_event(values, self.event_dims)


class ContinuousBernoulli(Lean):
    """A density on [0, 1] (Loaiza-Ganem and Cunningham 2019, arXiv 1907.06845).

    log p(x) = sum_d [x_d l_d - softplus(l_d) + ln C(lambda_d)],  lambda = sigmoid(l),
    C = 2 atanh(1 - 2 lambda) / (1 - 2 lambda) = l / tanh(l / 2), with C = 2 at l = 0.

    The mean is not lambda: `mean` gives lambda / (2 lambda - 1) + 1 / (2 atanh(1 - 2 lambda)).

    Args:
        logits: l, (*batch, *event).
        event_dims: number of event axes at the end of `logits`.
    """

    # |l| below which series are used; their first neglected term is then under 1e-9. The terms of a moment
    # cancel long before: in float32 half of its digits would be gone at 0.1
    _near, _moments_near = 0.1, 0.7

    def __init__(self, logits: Tensor, event_dims: int = 1) -> None:
        super().__init__(event_dims)
        self.logits = logits

    @property
    def shape(self) -> torch.Size:
        """(*batch, *event)."""
        return self.logits.shape

    def _apart(self, near: float) -> tuple[Tensor, Tensor]:
        """Where the closed form is safe, and logits that are safe everywhere."""
        far = self.logits.abs() > near
        return far, torch.where(far, self.logits, torch.ones_like(self.logits))

    def log_normaliser(self) -> Tensor:
        """ln C, elementwise.

        With l = logit(lambda): 1 - 2 lambda = -tanh(l / 2) and 2 atanh(1 - 2 lambda) = -l, so
        C = l / tanh(l / 2), even in l, and ln C = ln 2 + l^2 / 12 - 7 l^4 / 1440 + ... near 0.
        """
        far, safe = self._apart(self._near)
        exact = (safe / (0.5 * safe).tanh()).log()
        square = self.logits.square()
        series = 0.6931471805599453 + square * (1 / 12 - square * (7 / 1440))
        return torch.where(far, exact, series)

    @property
    def mean(self) -> Tensor:
        """E[x] = 1 / (1 - e^-l) - 1 / l, elementwise; 1/2 + l/12 - l^3/720 + ... near 0."""
        far, safe = self._apart(self._moments_near)
        # 1 / (1 - e^-l) in a form that neither overflows nor loses its gradient
        exact = 0.5 + 0.5 / (0.5 * safe).tanh() - 1 / safe
        square = self.logits.square()
        slope = 1 / 12 - square * (
            1 / 720 - square * (1 / 30240 - square * (1 / 1209600 - square * (1 / 47900160)))
        )
        return torch.where(far, exact, 0.5 + self.logits * slope)

    @property
    def mode(self) -> Tensor:
        """The density is monotone: its mode is at one of the two ends."""
        return (self.logits > 0).to(self.logits.dtype)

    @property
    def variance(self) -> Tensor:
        """Var[x] = 1/l^2 - 1/(4 sinh^2(l/2)), elementwise; 1/12 - l^2/240 + ... near 0."""
        far, safe = self._apart(self._moments_near)
        exact = safe.square().reciprocal() - 0.25 / (0.5 * safe.clamp(-80, 80)).sinh().square()
        square = self.logits.square()
        series = 1 / 12 - square * (
            1 / 240 - square * (1 / 6048 - square * (1 / 172800 - square * (1 / 5322240)))
        )
        return torch.where(far, exact, series)

    def rsample(self, sample_shape: SampleShape = ()) -> Tensor:
        """Inverse distribution function of a uniform u: ln(1 + u (e^l - 1)) / l."""
        shape = self._extended_shape(sample_shape)
        u = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        far, safe = self._apart(0.01)  # the series below is of first order only
        # for l > 0: [l + ln(u + (1 - u) e^-l)] / l, which cannot overflow; mirrored for l < 0
        size = safe.abs()
        upper = (size + torch.log(u + (1 - u) * (-size).exp())) / size
        exact = torch.where(safe > 0, upper, 1 - upper)
        series = u + 0.5 * self.logits * u * (1 - u)
        return torch.where(far, exact, series).clamp(0, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """(*sample, *batch), nats."""
        coins = logit_log_prob(value, self.logits, self.event_dims)
        return coins + sum_event(self.log_normaliser(), self.event_dims)
