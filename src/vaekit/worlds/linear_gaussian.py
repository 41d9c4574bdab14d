"""The linear-Gaussian world: p(z) = N(0, I), p(x|z) = N(W z + mu, sigma^2 I), with everything in closed form.

Evidence and posterior are Gaussian: with C = W W^T + sigma^2 I and Lambda = I + W^T W / sigma^2,

    p(x) = N(mu, C),   p(z|x) = N(Lambda^-1 W^T (x - mu) / sigma^2, Lambda^-1).

M. E. Tipping, C. M. Bishop, Probabilistic Principal Component Analysis, JRSS B 61, 1999, 611-622.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from vaekit.conditionals import CholeskyGaussian, FixedGaussian, Gaussian, StandardGaussian
from vaekit.models import Flat

LOG_2PI = math.log(2 * math.pi)


class LinearGaussian:
    """A linear-Gaussian world, in float64.

    Args:
        weight: W, (D, k).
        sigma2: variance of the noise, positive.
        mean: mu, (D,); zeros by default.

    Raises:
        ValueError: if the shapes do not fit each other or the variance is not positive.
    """

    def __init__(self, weight: Tensor, sigma2: float, mean: Tensor | None = None) -> None:
        if weight.dim() != 2:
            raise ValueError(f"`weight` has shape {tuple(weight.shape)}; expected (D, k)")
        if not sigma2 > 0 or not math.isfinite(sigma2):
            raise ValueError(f"`sigma2` is {sigma2}; expected a positive number")
        if mean is not None and mean.shape != weight.shape[:1]:
            raise ValueError(f"`mean` has shape {tuple(mean.shape)}; expected ({weight.shape[0]},)")
        self.weight = weight.detach().double()
        self.sigma2 = float(sigma2)
        self.mean = self.weight.new_zeros(len(weight)) if mean is None else mean.detach().double()

    def __repr__(self) -> str:
        return f"LinearGaussian(D={self.weight.shape[0]}, k={self.weight.shape[1]}, sigma2={self.sigma2:g})"

    @cached_property
    def covariance(self) -> Tensor:
        """C = W W^T + sigma^2 I of the data, (D, D)."""
        identity = torch.eye(len(self.weight), dtype=torch.float64)
        return self.weight @ self.weight.mT + self.sigma2 * identity

    @cached_property
    def precision(self) -> Tensor:
        """Lambda = I + W^T W / sigma^2 of the posterior, (k, k)."""
        identity = torch.eye(self.weight.shape[1], dtype=torch.float64)
        return identity + self.weight.mT @ self.weight / self.sigma2

    @cached_property
    def _encoding(self) -> Tensor:
        """Lambda^-1 W^T / sigma^2, (k, D): from a centred datum to its posterior mean."""
        encoding: Tensor = torch.linalg.solve(self.precision, self.weight.mT) / self.sigma2
        return encoding

    def log_evidence(self, x: Tensor) -> Tensor:
        """log p(x) = log N(x; mu, C): (B, D) -> (B,), nats."""
        factor = torch.linalg.cholesky(self.covariance)
        white = torch.linalg.solve_triangular(factor, (x.double() - self.mean).mT, upper=False)
        constant = factor.diagonal().log().sum() + 0.5 * LOG_2PI * len(self.mean)
        evidence: Tensor = -0.5 * white.square().sum(0) - constant
        return evidence

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, k) and covariance (k, k) of p(z|x): the covariance is the same for every x."""
        return (x.double() - self.mean) @ self._encoding.mT, torch.linalg.inv(self.precision)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Ancestral draws of x, (n, D)."""
        d, k = self.weight.shape
        z = torch.randn(n, k, dtype=torch.float64, generator=generator)
        noise = torch.randn(n, d, dtype=torch.float64, generator=generator)
        return z @ self.weight.mT + self.mean + math.sqrt(self.sigma2) * noise

    def gap(self) -> float:
        """KL(best diagonal Gaussian || p(z|x)) = 1/2 [sum_j ln Lambda_jj - ln det Lambda], nats per datum.

        It is what a diagonal posterior costs: the least possible distance of its ELBO from log p(x).
        """
        return float(0.5 * (self.precision.diagonal().log().sum() - torch.logdet(self.precision)))

    def model(self, posterior: Literal["exact", "diagonal"] | nn.Module = "exact") -> Flat:
        """This world as a model, in float64: its own prior and likelihood, and a posterior.

        Args:
            posterior: "exact" for p(z|x); "diagonal" for the diagonal Gaussian nearest to it in KL(q || p),
                with its mean and the variances 1 / Lambda_jj; or a conditional of x.
        """
        d, k = self.weight.shape
        decoder = _affine(self.weight, self.mean)
        likelihood = FixedGaussian(lambda _: decoder, (d,), math.sqrt(self.sigma2)).double()
        likelihood.log_std.fill_(0.5 * math.log(self.sigma2))  # a buffer that began as float32
        if isinstance(posterior, nn.Module):
            conditional = posterior
        elif posterior == "exact":
            factor = torch.linalg.cholesky(torch.linalg.inv(self.precision))
            rows, columns = torch.tril_indices(k, k, offset=-1)
            encoder = self._encoder(torch.cat([factor.diagonal().log(), factor[rows, columns]]))
            conditional = CholeskyGaussian(lambda _: encoder, (k,))
        elif posterior == "diagonal":
            encoder = self._encoder(-0.5 * self.precision.diagonal().log())
            conditional = Gaussian(lambda _: encoder, (k,))
        else:
            raise ValueError(f"`posterior` is {posterior!r}; expected exact, diagonal or a conditional")
        return Flat(conditional, StandardGaussian((k,)), likelihood).double()

    def _encoder(self, constants: Tensor) -> nn.Linear:
        """x -> posterior mean, followed by `constants` that do not depend on x."""
        weight = torch.cat([self._encoding, constants.new_zeros(len(constants), len(self.mean))])
        return _affine(weight, torch.cat([-self._encoding @ self.mean, constants]))


def _affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer
