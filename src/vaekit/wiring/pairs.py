"""Data with partners, for systems that learn from what two data share."""

from __future__ import annotations

from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError


def pairs_of(spec: Spec, system: str) -> None:
    """Refuse data without partners.

    Raises:
        UnsupportedError: if there are none; it says how to have them, if they can be had.
    """
    if spec.pairs is not None:
        return
    remedy = "has no known factors that two data could share: take data that has, such as dsprites"
    if spec.factors is not None:
        remedy = (
            "comes without partners: load it with `pairs` = 1 (--pairs 1), the number of factors that are "
            "drawn anew, or with uniform"
        )
    raise UnsupportedError(f"{system} learns from pairs that share most factors, and {spec.name!r} {remedy}")
