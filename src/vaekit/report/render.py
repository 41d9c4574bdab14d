"""From a template of this folder to a page: frame.html is what all pages share."""

from __future__ import annotations

from importlib import resources
from typing import Any

from vaekit.report.look import clean_text


def render(template: str, *, package: str = "vaekit.report", **values: Any) -> str:
    """A page. Texts are escaped; what a template does not find among the values is an error.

    Args:
        template: name of a file of the package.
        package: where the templates lie.
        **values: that the template asks for.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = resources.files(package)
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # a browser would show control characters of the data as boxes, or end the page at them
    return clean_text(environment.get_template(template).render(**values))
