"""The pages of the interface: every public name, by the package that it is imported from."""

from __future__ import annotations

from importlib import import_module

PACKAGES = {
    "vaekit": "Train, open, load",
    "vaekit.data": "Data",
    "vaekit.conditionals": "Conditionals",
    "vaekit.distributions": "Distributions",
    "vaekit.models": "Models and traces",
    "vaekit.terms": "Terms",
    "vaekit.schedules": "Schedules",
    "vaekit.procedures": "Objectives, players, procedures",
    "vaekit.wiring": "Wiring of recipes",
    "vaekit.metrics": "Metrics",
    "vaekit.disentanglement": "Disentanglement",
    "vaekit.studies": "Studies",
    "vaekit.testing": "Testing your own parts",
}
"""Package -> title of its page."""

BESIDE = {
    "vaekit.models": ["vaekit.trace.Trace", "vaekit.trace.Latent", "vaekit.trace.Observed"],
    "vaekit.procedures": ["vaekit.objective.Objective", "vaekit.objective.elbo"],
}
"""What is public and stands in a module of its own: page -> names."""


def names(package: str) -> list[str]:
    """Where the public names of a package are looked up."""
    module = import_module(package)
    if package == "vaekit":  # names that are imported when they are used
        found = [f"{getattr(module, name).__module__}.{name}" for name in module.__all__]
    elif hasattr(module, "__all__"):
        found = [f"{package}.{name}" for name in module.__all__]
    else:
        found = [f"{package}.{name}" for name, value in vars(module).items() if _own(name, value, package)]
    return found + BESIDE.get(package, [])


def _own(name: str, value: object, package: str) -> bool:
    return not name.startswith("_") and getattr(value, "__module__", None) == package


def page(package: str) -> str:
    """The page of a package, in Markdown."""
    lines = [f"# {PACKAGES[package]}", "", f"`import {package}`", ""]
    for name in names(package):
        lines += [f"::: {name}"]
        if package == "vaekit":  # it is imported from here, wherever it is defined
            lines += ["    options:", f"      heading: vaekit.{name.rpartition('.')[2]}"]
        lines += [""]
    return "\n".join(lines)
