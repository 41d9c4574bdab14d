"""What is left over of pictures, and whether neighbouring pixels have it in common."""

from __future__ import annotations

from torch import Tensor

from vaekit.errors import UnsupportedError


def neighbour_correlation(residuals: Tensor, inside: Tensor | None = None) -> float:
    """Correlation of pixels one step apart, to the right and downwards, pooled over pictures.

    sum over pairs of r_i r_j / number of pairs, over the mean of r^2: 0 for independent residuals of mean
    zero, 1 where neighbours are always equal. The mean is not subtracted: that of residuals is an error.

    Args:
        residuals: (N, channels, height, width).
        inside: (N, channels, height, width), pixels that count; a pair counts where both do. All by default.

    Raises:
        UnsupportedError: if they are no pictures, or no pair is inside.
    """
    if residuals.dim() != 4:
        raise UnsupportedError(
            f"neighbours are pixels of pictures (N, channels, height, width); got {tuple(residuals.shape)}"
        )
    counted = residuals.new_ones(()).expand_as(residuals) if inside is None else inside.to(residuals.dtype)
    products = pairs = 0.0
    for axis in (2, 3):
        reach = residuals.shape[axis] - 1
        both = counted.narrow(axis, 0, reach) * counted.narrow(axis, 1, reach)
        product = residuals.narrow(axis, 0, reach) * residuals.narrow(axis, 1, reach)
        products += float((product * both).sum())
        pairs += float(both.sum())
    if not pairs:
        raise UnsupportedError("no two neighbouring pixels are inside: there is nothing to correlate")
    power = float((residuals.square() * counted).sum() / counted.sum())
    return products / pairs / power
