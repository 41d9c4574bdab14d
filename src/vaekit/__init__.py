"""Variational autoencoders, correctly, in one place.

>>> import vaekit
>>> vaekit.__version__
'0.1.0'

Names are imported when they are used: `import vaekit` alone does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vaekit.api import resume, train
    from vaekit.data import load
    from vaekit.errors import UnsupportedError, UserError
    from vaekit.estimator import VAE
    from vaekit.runs import Run
    from vaekit.staged import fit_sampler
    from vaekit.system import Stage, System, recipe

_HOMES = {
    "Run": "vaekit.runs",
    "Stage": "vaekit.system",
    "System": "vaekit.system",
    "UnsupportedError": "vaekit.errors",
    "UserError": "vaekit.errors",
    "VAE": "vaekit.estimator",
    "fit_sampler": "vaekit.staged",
    "load": "vaekit.data",
    "recipe": "vaekit.system",
    "resume": "vaekit.api",
    "train": "vaekit.api",
}
_MODULES = ("attributes", "conditionals", "data", "distributions", "metrics", "models", "networks", "recipes",
            "schedules", "stages", "studies", "terms", "testing", "worlds")  # fmt: skip

__all__ = [
    "VAE", "Run", "Stage", "System", "UnsupportedError", "UserError", "fit_sampler", "load", "recipe",
    "resume", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"vaekit.{name}")
    raise AttributeError(f"module 'vaekit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, *_MODULES])
