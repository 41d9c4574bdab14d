"""Rejection by a classifier: of many draws, those that it is surest of."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from vaekit.checks import number, whole


@torch.no_grad()
def reject(
    draw: Callable[[int], Tensor],
    classify: Callable[[Tensor], Tensor],
    n: int,
    *,
    threshold: float = 0.5,
    label: int | None = None,
) -> Tensor:
    """n draws that a classifier is surest of: the best of n / (1 - threshold), in the order they were drawn.

    A draw is scored by p(label|x), or by its largest class probability where there is no label. A higher
    threshold trades diversity for quality (Razavi et al. 2019, arXiv 1906.00446, section 3.3).

    Args:
        draw: number -> so many draws (N, *event), such as `lambda n: model.generate(n).mean`.
        classify: draws -> class probabilities (N, classes).
        n: number of draws that are kept.
        threshold: share of the draws that is rejected, 0 <= threshold < 1; 0 keeps everything.
        label: class whose probability counts; None for the most probable class of each draw.

    Raises:
        ValueError: for a threshold or label out of range, or scores that are no probabilities.
    """
    whole("n", n)
    if number("threshold", threshold, least=0, most=1) == 1:
        raise ValueError("`threshold` is 1, which rejects everything; expected less than 1")
    drawn = draw(math.ceil(n / (1 - threshold) - 1e-9))  # 1 / (1 - 0.9) is a little more than 10
    scores = classify(drawn)
    if scores.dim() != 2 or len(scores) != len(drawn):
        raise ValueError(
            f"`classify` gave {tuple(scores.shape)} for {len(drawn)} draws; expected ({len(drawn)}, classes)"
        )
    if not bool(((scores >= 0) & (scores <= 1)).all()):
        raise ValueError("`classify` gave numbers outside 0 .. 1; expected probabilities: take a softmax")
    if label is not None and not 0 <= label < scores.shape[1]:
        raise ValueError(f"`label` is {label}; expected 0 to {scores.shape[1] - 1}")
    sure = scores.amax(1) if label is None else scores[:, label]
    kept = sure.topk(n).indices.sort().values
    return drawn[kept]
