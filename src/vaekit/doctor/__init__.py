"""The doctor: what is wrong with data before training, and with a run after it.

Names are imported when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaekit.doctor.data import examine_data
    from vaekit.doctor.finding import Finding
    from vaekit.doctor.run import examine_run
    from vaekit.doctor.show import record_of, told

_HOMES = {
    "Finding": "finding",
    "examine_data": "data",
    "examine_run": "run",
    "record_of": "show",
    "told": "show",
}

__all__ = ["Finding", "examine_data", "examine_run", "record_of", "told"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vaekit.doctor' has no attribute {name!r}")
    value = getattr(import_module(f"vaekit.doctor.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
