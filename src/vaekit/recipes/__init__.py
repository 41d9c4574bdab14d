"""Recipes: one published system a file, one function a file, of the same name.

A file added here is a recipe: its name, its command line and its page follow from it.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

names: list[str] = sorted(module.name for module in pkgutil.iter_modules(__path__))

for _name in names:
    # the function takes the place of its module: `vaekit.recipes.vae(spec)`
    globals()[_name] = getattr(import_module(f"{__name__}.{_name}"), _name)
