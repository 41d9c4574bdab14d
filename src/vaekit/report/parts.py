"""What a page is made of: pictures, and figures that say how to read them."""

from __future__ import annotations

import base64
from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """One picture: pixels (`png`) or a drawing (`svg`), never both.

    Args:
        alt: what it shows, in words, for those who do not see it.
        png: the bytes of a PNG file.
        svg: inline markup made by `vaekit.report.look.draw`, which escapes its texts.
        label: a short text beside the picture.
        width: in CSS pixels, where there is room.
        crisp: whether pixels stay squares when the picture is enlarged.

    Raises:
        ValueError: if it has no `alt`, or not exactly one of `png` and `svg`.
    """

    alt: str
    png: bytes | None = None
    svg: str | None = None
    label: str = ""
    width: int = 320
    crisp: bool = False

    def __post_init__(self) -> None:
        if not self.alt:
            raise ValueError("a picture needs `alt`: say in words what it shows")
        if (self.png is None) == (self.svg is None):
            raise ValueError("a picture is made of `png` or of `svg`: give exactly one")

    @property
    def source(self) -> str:
        """The pixels as a data URI, for `src`."""
        return "data:image/png;base64," + base64.b64encode(self.png or b"").decode("ascii")


@dataclass(frozen=True)
class Key:
    """One line of a legend: what a colour and a line stand for.

    Args:
        text: what it stands for.
        colour: name of a colour of the page's style, such as "data", "model" or "class-3".
        dashed: whether the line is dashed.
        point: a dot instead of a line.
    """

    text: str
    colour: str
    dashed: bool = False
    point: bool = False


@dataclass(frozen=True)
class Figure:
    """A section of the page: pictures that belong together, and one sentence on how to read them.

    Args:
        key: unique within the page, letters and dashes.
        title: the heading.
        how: one sentence on how to read it.
        pictures: in order; the page wraps them.
        keys: the legend.
        caption: what was done, with the numbers: how many data, which seed, which scale.

    Raises:
        ValueError: if there is no picture or no sentence.
    """

    key: str
    title: str
    how: str
    pictures: tuple[Picture, ...]
    keys: tuple[Key, ...] = ()
    caption: str = ""

    def __post_init__(self) -> None:
        if not self.pictures:
            raise ValueError(f"figure {self.key!r} has no picture")
        if not self.how:
            raise ValueError(f"figure {self.key!r} needs `how`: one sentence on how to read it")
