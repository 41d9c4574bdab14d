"""Models of data whose labels are sometimes known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vaekit.conditionals import OneHot
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import LabelMarginal
from vaekit.networks import Architecture
from vaekit.wiring.models import gaussian_vae
from vaekit.wiring.names import LikelihoodName
from vaekit.wiring.networks import Dense, encoder_of, unconditional


def labels_of(spec: Spec, system: str) -> int:
    """The number of classes of data with labels and without another condition.

    Raises:
        UnsupportedError: if there are no labels, or there is a condition.
    """
    unconditional(spec, system)
    if spec.classes is None:
        raise UnsupportedError(
            f"{system} needs data with labels, and {spec.name!r} has none: name the column of a table with "
            "the data option `labels`, give them as (x, y), or take a recipe without labels, such as vae"
        )
    if spec.labelled == 0:
        raise UnsupportedError(f"none of the training data of {spec.name!r} has a label: {system} needs some")
    return spec.classes


def label_marginal(
    spec: Spec,
    system: str,
    latents: int,
    likelihood: LikelihoodName,
    architecture: Architecture,
    hidden: Sequence[int] | None,
    dense: Dense,
) -> LabelMarginal:
    """A Gaussian VAE whose condition is the label, and a classifier q(y|x) of the same size; p(y) = 1/C."""
    classes = labels_of(spec, system)
    given = replace(spec, context=(classes,))
    inner = gaussian_vae(given, latents, likelihood, architecture, hidden, dense)
    classifier = OneHot(encoder_of(spec, architecture, hidden, dense=dense), classes)
    return LabelMarginal(inner, classifier, classes)
