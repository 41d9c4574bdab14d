"""The area under the receiver operating characteristic, exactly, from ranks."""

from __future__ import annotations

import numpy as np

from vaekit.disentanglement.points import Array, Floats


def auroc(scores: Array, positive: Array) -> Floats:
    """P(score of a positive > score of a negative) + 1/2 P(equal), of every score for every label.

    It is U / (n_+ n_-) with the statistic U of Mann and Whitney: the sum of the average ranks of the
    positives, less n_+ (n_+ + 1) / 2.

    Args:
        scores: (N, d).
        positive: truth values, (N, A).

    Returns:
        (d, A); NaN where a label has no positive or no negative.
    """
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=0)
    truth = np.asarray(positive, np.float64)
    count = truth.sum(0)
    pairs = count * (len(truth) - count)
    above = ranks.T @ truth - count * (count + 1) / 2
    return np.asarray(np.divide(above, pairs, out=np.full(above.shape, np.nan), where=pairs > 0), np.float64)
