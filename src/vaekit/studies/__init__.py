"""Studies: many runs from one file, carried out on this machine or on a cluster, in one table.

Names are imported when they are used: listing the studies that ship imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaekit.studies.algebra import chain, fixed, product, sweep, zipped
    from vaekit.studies.call import Call
    from vaekit.studies.queue import Progress
    from vaekit.studies.reading import names, points, read
    from vaekit.studies.runner import run
    from vaekit.studies.study import Study
    from vaekit.studies.summary import write_summary
    from vaekit.studies.table import rows, write_table

_HOMES = {
    "Call": "call",
    "Study": "study",
    "chain": "algebra",
    "fixed": "algebra",
    "names": "reading",
    "points": "reading",
    "product": "algebra",
    "Progress": "queue",
    "read": "reading",
    "rows": "table",
    "run": "runner",
    "sweep": "algebra",
    "write_summary": "summary",
    "write_table": "table",
    "zipped": "algebra",
}

__all__ = [
    "Call", "Progress", "Study", "chain", "fixed", "names", "points", "product", "read", "rows", "run",
    "sweep", "write_summary", "write_table", "zipped",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vaekit.studies' has no attribute {name!r}")
    value = getattr(import_module(f"vaekit.studies.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
