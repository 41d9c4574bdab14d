"""Contracts that every part keeps, for our own parts and for yours: each raises `AssertionError` in words.

>>> from vaekit import conditionals, testing
>>> testing.check_conditional(conditionals.StandardGaussian((3,)), event=(3,))
"""

from vaekit.testing.conditional import check_conditional
from vaekit.testing.density import check_density
from vaekit.testing.knobs import check_knobs
from vaekit.testing.recipe import check_recipe
from vaekit.testing.select import batch_for, select
from vaekit.testing.term import check_term

__all__ = [
    "batch_for",
    "check_conditional",
    "check_density",
    "check_knobs",
    "check_recipe",
    "check_term",
    "select",
]
