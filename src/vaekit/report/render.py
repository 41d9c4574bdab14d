"""From a template to a page: all pages share shell.html and shared.css, all reports frame.html."""

from __future__ import annotations

from importlib import resources
from typing import Any

from vaekit.report.look import clean_text

_HERE = "vaekit.report"


def render(template: str, *, package: str = _HERE, **values: Any) -> str:
    """A page. Texts are escaped; what a template does not find among the values is an error.

    Args:
        template: name of a file of the package.
        package: where the template lies, and what it is made of; what is not there is taken from here.
        **values: that the template asks for.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folders = [resources.files(package), resources.files(_HERE)]

    def source(name: str) -> str | None:
        files = (folder.joinpath(name) for folder in folders)
        return next((file.read_text(encoding="utf-8") for file in files if file.is_file()), None)

    environment = Environment(
        loader=FunctionLoader(source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # a browser would show control characters of the data as boxes, or end the page at them
    return clean_text(environment.get_template(template).render(**values))


def shared_style() -> str:
    """The style that all pages share: colours by day and by night, letters, what stands at the top."""
    return resources.files(_HERE).joinpath("shared.css").read_text(encoding="utf-8")
