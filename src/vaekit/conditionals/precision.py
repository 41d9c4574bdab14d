"""A posterior that corrects the prior of its level by what the data say."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.distributions import DiagonalNormal, product
from vaekit.errors import UnsupportedError


class PrecisionWeighted(nn.Module):
    """(h, p) -> q(z) ~ N(z; m(h), s(h)^2) p(z): precisions add, means are weighted by them.

    The message from the data and the prior meet as two Gaussian observations of z would. The prior is that of
    the same level in the same pass, so that its gradients come through q as well.

    Args:
        message: conditional of the features h that gives diagonal Gaussians.

    References:
        Ladder Variational Autoencoders. Sonderby, Raiko, Maaloe, Sonderby, Winther, 2016, arXiv 1602.02282,
        equations 17 to 19.
    """

    on_prior = True
    """Tells `TopDown` to hand over the prior of this level instead of the draws above."""

    def __init__(self, message: nn.Module) -> None:
        super().__init__()
        self.message = message

    def forward(self, features: Tensor, prior: DiagonalNormal) -> DiagonalNormal:
        """Features (*lead, ...) and a prior with batch axes that they broadcast against.

        Raises:
            UnsupportedError: unless both are diagonal Gaussians.
        """
        said = self.message(features)
        for part in (said, prior):
            if not isinstance(part, DiagonalNormal):
                raise UnsupportedError(
                    f"precisions are added of diagonal Gaussians; got {part}: take the conditional Gaussian"
                )
        return product(said, prior)
