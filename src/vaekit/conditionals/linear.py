"""The exact posterior of a linear-Gaussian model, from the parameters of its likelihood."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from vaekit.conditionals.variance import SharedGaussian
from vaekit.distributions import CholeskyNormal


class LinearPosterior(nn.Module):
    """x -> p(z|x) for p(z) = N(0, I), p(x|z) = N(W z + mu, sigma^2 I); it has no parameters of its own.

    p(z|x) = N(Lambda^-1 W^T (x - mu) / sigma^2, Lambda^-1),  Lambda = I + W^T W / sigma^2
    (Tipping and Bishop 1999, equations 6 and 7). With it log p(x, z) - log q(z|x) = log p(x) for every z.

    Args:
        likelihood: a Gaussian with one variance and an affine network.
        layer: the one layer of that network, W and mu.

    Raises:
        ValueError: if the layer does not end in the event of the likelihood, or this has several variances.
    """

    def __init__(self, likelihood: SharedGaussian, layer: nn.Linear) -> None:
        super().__init__()
        if layer.out_features != prod(likelihood.event):
            raise ValueError(
                f"`layer` ends in {layer.out_features} numbers; expected {prod(likelihood.event)}, those of "
                f"the likelihood's event {likelihood.event}"
            )
        if likelihood.head.dim():
            raise ValueError(
                f"`likelihood` has scales of shape {tuple(likelihood.head.shape)}; expected one for all"
            )
        # in a tuple, where nn.Module does not see it: the parameters belong to the likelihood, and stand once
        # in the state of the model
        self._model = (likelihood, layer)

    def forward(self, x: Tensor) -> CholeskyNormal:
        """(*lead, *event) -> distribution with batch shape (*lead)."""
        likelihood, layer = self._model
        # a covariance in bfloat16 has no Cholesky factor
        with torch.autocast(x.device.type, enabled=False):
            scaled = layer.weight * (-likelihood.log_std).exp()
            identity = torch.eye(layer.in_features, dtype=scaled.dtype, device=scaled.device)
            covariance = torch.cholesky_inverse(torch.linalg.cholesky(identity + scaled.mT @ scaled))
            offset = x.flatten(-len(likelihood.event)) - layer.bias
            mean = offset @ scaled @ covariance * (-likelihood.log_std).exp()
            factor: Tensor = torch.linalg.cholesky(covariance)
            return CholeskyNormal(mean, factor)
