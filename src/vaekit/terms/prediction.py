"""How well each latent is predicted from the others, for a game between predictors and an encoder.

Yeats et al. 2022 (NashAE, arXiv 2209.10677). Regressors rho_i see all latents but z_i. Where they are
optimal, rho_i(z) = E[z_i | z_-i] and Cov(z_i, rho_i(z)) = Var E[z_i | z_-i] >= 0, which is zero where z_i
cannot be predicted. Values are in the units of the latents, squared.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from vaekit.distributions import squared_distance
from vaekit.terms.adversarial import View, codes
from vaekit.terms.parts import per_datum
from vaekit.trace import Trace


class PredictionError(nn.Module):
    """1/2 sum_i (z_i - rho_i(z))^2, one value per datum.

    Args:
        regressors: owned; (*axes, n) -> (*axes, n), where output i does not depend on input i.
        view: z, (*axes, n).
    """

    def __init__(self, regressors: nn.Module, view: View = codes) -> None:
        super().__init__()
        self.regressors, self.view = regressors, view

    def forward(self, trace: Trace) -> Tensor:
        """(batch,)."""
        z = self.view(trace)
        return per_datum(0.5 * squared_distance(z, self.regressors(z), 1), trace)


class Predictability:
    """sum_i Cov(sg[z_i], rho_i(z)) over the batch, one value.

    The gradient does not reach the latent that is predicted, only those that it is predicted from: otherwise
    the term would be made small by shrinking all latents. A batch of one has no covariance: the value and
    its gradient are zero.

    Args:
        regressors: borrowed from the player that owns them; see `PredictionError`.
        view: z, (*axes, n).
    """

    couples_batch = True
    gathers = True

    def __init__(self, regressors: nn.Module, view: View = codes) -> None:
        self.regressors, self.view = regressors, view

    def __call__(self, trace: Trace) -> Tensor:
        """()."""
        z = self.view(trace)
        target = z.detach()
        deviation = target - target.mean(-2, keepdim=True)
        return (deviation * cast(Tensor, self.regressors(z))).sum(-1).mean()
