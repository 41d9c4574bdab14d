"""Models: modules with `forward(batch) -> Trace` and `generate(n)`. A model never owns its loss."""

from vaekit.models.chain import Chain
from vaekit.models.explicit import Explicit
from vaekit.models.flat import Flat
from vaekit.models.labels import LabelMarginal
from vaekit.models.model import Classifier, Model, levels_of, without_withheld
from vaekit.models.pairwise import Averaging, Pairwise
from vaekit.models.top_down import TopDown

__all__ = [
    "Averaging",
    "Chain",
    "Classifier",
    "Explicit",
    "Flat",
    "LabelMarginal",
    "Model",
    "Pairwise",
    "TopDown",
    "levels_of",
    "without_withheld",
]
