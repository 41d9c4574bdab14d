"""Attribute directions: which way the codes go as an attribute of the data grows.

class k:   v = mean of z over the data of class k - mean of z over the others
number a:  v = cov(z, a) / std(a), how far the mean code moves as a grows by one standard deviation

The first is the attribute vector of `vaekit.attributes` (Larsen et al. 2016) over codes that are there
already; the second is the slope of the regression of the codes on a, which for an attribute of two values
points the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from vaekit.explorer.arrays import pack, unpack

_LEAST = 5  # data on either side of a class
_CORRELATION = 0.2  # of the most correlated latent: below, there is no direction to speak of
_MOST = 40  # directions at most


def directions(means: Tensor, colours: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A direction for every class and every number that the codes know of.

    Args:
        means: posterior means, (N, K).
        colours: what is known of every datum, as `points.colours` gives it.
    """
    codes = means.double().cpu()
    found = []
    for given in colours:
        known = unpack(given["values"])
        pairs = _classes(given, known) if given["kind"] == "class" else _number(given, known)
        for name, attribute, rows, how in pairs:
            vector = _slope(codes[rows], attribute[rows], centred=given["kind"] == "number")
            if vector is not None:
                found.append({"name": name, "vector": pack(vector.float()), "how": how})
    return found[:_MOST]


def _classes(given: dict[str, Any], known: Tensor) -> Iterator[tuple[str, Tensor, Tensor, str]]:
    rows = known >= 0
    for number, name in enumerate(given["names"]):
        has = known == number
        inside, outside = int(has.sum()), int((rows & ~has).sum())
        if inside >= _LEAST and outside >= _LEAST:
            # a bare number does not say what it is a number of
            kind = "class" if given["name"] == "label" else given["name"]
            said = f"{kind} {name}" if name.isdigit() else name
            how = f"mean code of {said} minus that of the rest, {inside} and {outside} data"
            yield said, has.double(), rows, how


def _number(given: dict[str, Any], known: Tensor) -> Iterator[tuple[str, Tensor, Tensor, str]]:
    rows = known.isfinite()
    if int(rows.sum()) >= 2 * _LEAST:
        name = given["name"]
        how = f"how the mean code moves as {name} grows by one standard deviation, {int(rows.sum())} data"
        yield name, known.double(), rows, how


def _slope(codes: Tensor, attribute: Tensor, centred: bool) -> Tensor | None:
    """The direction, or None where no latent goes with the attribute."""
    z, a = codes - codes.mean(0), attribute - attribute.mean()
    spread = a.square().mean().sqrt()
    if not spread > 0:
        return None
    covariance = (z * a[:, None]).mean(0)
    deviation = z.square().mean(0).sqrt()
    correlation = torch.where(deviation > 0, covariance / (deviation * spread), 0.0).abs().max()
    if correlation < _CORRELATION:
        return None
    # of truth values, covariance over variance is the difference of the two means
    return covariance / (spread if centred else spread.square())
