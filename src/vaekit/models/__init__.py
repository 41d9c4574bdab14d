"""Models: modules with `forward(batch) -> Trace` and `generate(n)`. A model never owns its loss."""

from vaekit.models.chain import Chain
from vaekit.models.explicit import Explicit
from vaekit.models.flat import Flat
from vaekit.models.model import Model
from vaekit.models.top_down import TopDown

__all__ = ["Chain", "Explicit", "Flat", "Model", "TopDown"]
