"""Labels that are known for some data and not for others."""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.distributions.one_hot import OneHot

IMPOSSIBLE = -1e30
"""Logit of a class that cannot be: its probability is exactly 0, and 0 times its logarithm is 0, not NaN."""


def certain(labels: Tensor, otherwise: Tensor) -> OneHot:
    """All mass on the label where there is one; the given logits where its vector is zero.

    Args:
        labels: one-hot vectors, or zeros for labels that nobody knows, (*batch, C).
        otherwise: logits, (*batch, C).
    """
    known = labels.sum(-1, keepdim=True) > 0
    return OneHot(torch.where(known, (1 - labels) * IMPOSSIBLE, otherwise), event_dims=1)
