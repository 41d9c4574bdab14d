"""How a broken contract is said."""

from __future__ import annotations

import torch
from torch import Tensor


def require(holds: bool, words: str) -> None:
    """Raise `AssertionError` with these words unless the contract holds; works under `python -O` too."""
    if not holds:
        raise AssertionError(words)


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-9) -> bool:
    """Equal shapes, and equal values up to `tolerance` relative to the largest of them."""
    if found.shape != expected.shape:
        return False
    size = max(1.0, float(expected.detach().abs().max())) if expected.numel() else 1.0
    return bool(torch.allclose(found, expected, rtol=0, atol=tolerance * size))
