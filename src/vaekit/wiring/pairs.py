"""Data with partners, for systems that learn from what two data share."""

from __future__ import annotations

from collections.abc import Mapping

from vaekit.checks import whole
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.objective import Terms
from vaekit.terms import On, Term
from vaekit.wiring.networks import unconditional


def pairs_of(spec: Spec, system: str, latents: int) -> None:
    """Refuse data without partners, or with a condition, and a single latent.

    Raises:
        UnsupportedError: if there are no partners; it says how to have them, if they can be had.
        ValueError: for fewer than two latents: the smaller half of one divergence is nothing.
    """
    if spec.pairs is not None:
        unconditional(spec, system)
        whole("latents", latents, least=2)
        return
    remedy = "has no known factors that two data could share: take data that has, such as dsprites"
    if spec.factors is not None:
        remedy = (
            "comes without partners: load it with `pairs` = 1 (--pairs 1), the number of factors that are "
            "drawn anew, or with uniform"
        )
    raise UnsupportedError(f"{system} learns from pairs that share most factors, and {spec.name!r} {remedy}")


def over_pairs(terms: Mapping[str, tuple[float, Term]]) -> Terms:
    """The mean of some terms over a pair: those of `x`, and as partner_NAME those of its partner."""
    return {
        **{name: (weight / 2, term) for name, (weight, term) in terms.items()},
        **{f"partner_{name}": (weight / 2, On("partner", term)) for name, (weight, term) in terms.items()},
    }
