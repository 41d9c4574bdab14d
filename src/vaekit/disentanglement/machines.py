"""One-dimensional support vector machines, all at once and exact.

For code x in R and labels y = +-1, w and b minimise

    1/2 (w^2 + b^2) + sum_i c_i max(0, 1 - y_i (w x_i + b))^2,

which is what liblinear solves for `LinearSVC` (its intercept is penalised like a weight). A point counts
where y (w x + b) < 1: along a sorted code these are a stretch from one end, so that sums over them are read
off sums that run along the code, and a step of Newton's method takes time log N. The objective is quadratic
between the points where a stretch changes, so that it ends exactly.
"""

from __future__ import annotations

import numpy as np

from vaekit.disentanglement.points import Array, Floats, Integers

_STEPS = 100
_TOLERANCE = 1e-12


def decide(code: Array, labels: Integers, count: int, test: Array, penalty: float) -> Integers:
    """Labels of `test` by machines of one class against the others, weighted as `class_weight="balanced"`
    does.

    Args:
        code, labels: of training, (N,); labels in 0 .. count - 1.
        count: number of classes; one that does not occur is never told.
        test: (M,).
        penalty: C.
    """
    x = code.astype(np.float64)
    present = np.flatnonzero(np.bincount(labels, minlength=count))
    if len(present) == 1:
        return np.full(len(test), present[0], np.int64)
    sizes = np.bincount(labels, minlength=count)[present]
    balanced = penalty * len(x) / (len(present) * sizes)
    if len(present) == 2:  # one machine, with both classes weighted
        w, b = _fit(x, [labels == present[1]], balanced[1:], balanced[:1])
        return np.asarray(present[(test * w[0] + b[0] > 0).astype(np.int64)], np.int64)
    own = [labels == label for label in present]
    w, b = _fit(x, own, balanced, np.full(len(present), penalty))
    return np.asarray(present[(test[:, None] * w + b).argmax(1)], np.int64)


def _fit(x: Floats, own: list[Array], of_own: Floats, of_rest: Floats) -> tuple[Floats, Floats]:
    """w and b of each machine, (K,): machine k tells the points where own[k] from the rest."""
    w, b = np.empty(len(own)), np.empty(len(own))
    order = np.argsort(x, kind="stable")
    for k, mine in enumerate(own):
        part = mine[order]
        w[k], b[k] = _Machine(x[order][part], x[order][~part], of_own[k], of_rest[k]).solved()
    return w, b


class _Machine:
    """The objective of one machine, in sums that run along the sorted codes of either side."""

    def __init__(self, positive: Floats, negative: Floats, of_positive: float, of_negative: float) -> None:
        self.sides = [
            (side, _running(side), 2.0 * weight, sign)
            for side, weight, sign in ((positive, of_positive, 1.0), (negative, of_negative, -1.0))
        ]

    def at(self, w: float, b: float) -> tuple[float, float, float, float, float, float]:
        """Value, gradient (w, b) and Hessian (ww, wb, bb)."""
        value, gw, gb = 0.5 * (w * w + b * b), w, b
        ww, wb, bb = 1.0, 0.0, 1.0
        for side, sums, c, y in self.sides:
            n, s, q = _active(side, sums, y * w, y * b)
            # sum over the active points of (1 - y (w x + b)) and of its square
            missing = n - y * (w * s + b * n)
            square = n - 2 * y * (w * s + b * n) + w * w * q + 2 * w * b * s + b * b * n
            value += 0.5 * c * square
            gw -= c * y * (s - y * (w * q + b * s))
            gb -= c * y * missing
            ww, wb, bb = ww + c * q, wb + c * s, bb + c * n
        return value, gw, gb, ww, wb, bb

    def solved(self) -> tuple[float, float]:
        """Newton's method with halved steps."""
        w = b = 0.0
        value, gw, gb, ww, wb, bb = self.at(w, b)
        start = abs(gw) + abs(gb)
        for _ in range(_STEPS):
            if abs(gw) + abs(gb) <= _TOLERANCE * start:
                break
            determinant = ww * bb - wb * wb
            dw, db = -(bb * gw - wb * gb) / determinant, -(ww * gb - wb * gw) / determinant
            size = 1.0
            while True:
                found = self.at(w + size * dw, b + size * db)
                if found[0] <= value + 1e-4 * size * (gw * dw + gb * db) or size < 1e-10:
                    break
                size *= 0.5
            w, b = w + size * dw, b + size * db
            value, gw, gb, ww, wb, bb = found
        return w, b


def _running(side: Floats) -> tuple[Floats, Floats, Floats]:
    """Sums of 1, x and x^2 over the first 0, 1, 2, ... points."""
    zero = np.zeros(1)
    return (
        np.arange(len(side) + 1, dtype=np.float64),
        np.concatenate((zero, np.cumsum(side))),
        np.concatenate((zero, np.cumsum(side * side))),
    )


def _active(
    side: Floats, sums: tuple[Floats, Floats, Floats], w: float, b: float
) -> tuple[float, float, float]:
    """Sums of 1, x and x^2 over the points with w x + b < 1."""
    ones, first, second = sums
    if w == 0.0:
        ends = (0, len(side)) if b < 1 else (0, 0)
    elif w > 0:
        ends = (0, int(np.searchsorted(side, (1 - b) / w, "left")))
    else:
        ends = (int(np.searchsorted(side, (1 - b) / w, "right")), len(side))
    low, high = ends
    return float(ones[high] - ones[low]), float(first[high] - first[low]), float(second[high] - second[low])
