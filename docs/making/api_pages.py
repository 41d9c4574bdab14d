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
    "vaekit.networks": "Networks",
    "vaekit.wiring": "Wiring of recipes",
    "vaekit.stages": "Stages and samplers",
    "vaekit.metrics": "Metrics",
    "vaekit.disentanglement": "Disentanglement",
    "vaekit.disruption": "Disruption",
    "vaekit.studies": "Studies",
    "vaekit.doctor": "Doctor",
    "vaekit.exporting": "Export",
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
    if hasattr(module, "__all__"):
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
        lines += [f"::: {name}", ""]
    return "\n".join(lines)
