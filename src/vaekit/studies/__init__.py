"""Studies: many runs from one file, carried out on this machine or on a cluster, in one table.

Names are imported when they are used: listing the studies that ship imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaekit.studies.algebra import chain, fixed, product, sweep, zipped
    from vaekit.studies.call import Call
    from vaekit.studies.reading import names, read
    from vaekit.studies.study import Study

_HOMES = {
    "Call": "call",
    "Study": "study",
    "chain": "algebra",
    "fixed": "algebra",
    "names": "reading",
    "product": "algebra",
    "read": "reading",
    "sweep": "algebra",
    "zipped": "algebra",
}

__all__ = ["Call", "Study", "chain", "fixed", "names", "product", "read", "sweep", "zipped"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vaekit.studies' has no attribute {name!r}")
    value = getattr(import_module(f"vaekit.studies.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
