"""What a page is made of: pictures and tables, and figures that say how to read them."""

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
        group: a heading for this picture and those after it, until the next group.

    Raises:
        ValueError: if it has no `alt`, or not exactly one of `png` and `svg`.
    """

    alt: str
    png: bytes | None = None
    svg: str | None = None
    label: str = ""
    width: int = 320
    crisp: bool = False
    group: str = ""

    def __post_init__(self) -> None:
        if not self.alt:
            raise ValueError("a picture needs `alt`: say in words what it shows")
        if (self.png is None) == (self.svg is None):
            raise ValueError("a picture is made of `png` or of `svg`: give exactly one")

    @property
    def source(self) -> str:
        """The pixels as a data URI, for `src`."""
        return "data:image/png;base64," + base64.b64encode(self.png or b"").decode("ascii")


Cell = str | tuple[tuple[str, bool], ...]
"""What stands in a table: a text, or pieces of one, each with whether it is marked."""


@dataclass(frozen=True)
class Table:
    """Numbers or texts in rows; the first column names the row.

    Args:
        head: of the columns.
        rows: as many cells each as there are columns.
        label: a short text above.
        texts: whether all but the first column are sentences, or words of the data, and no numbers.

    Raises:
        ValueError: if there are no rows, or one has another length than the head.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    label: str = ""
    texts: bool = False

    def __post_init__(self) -> None:
        if not self.rows:
            raise ValueError(f"the table with the columns {', '.join(self.head)} has no rows")
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(
                    f"a row of a table has {len(row)} cells; expected {len(self.head)}: "
                    f"{', '.join(self.head)}"
                )

    @property
    def pieces(self) -> list[list[tuple[tuple[str, bool], ...]]]:
        """Every cell as pieces of text, each with whether it is marked."""
        return [[((cell, False),) if isinstance(cell, str) else cell for cell in row] for row in self.rows]


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
    """A section of the page: what belongs together, and one sentence on how to read it.

    Args:
        key: unique within the page, letters and dashes.
        title: the heading.
        how: one sentence on how to read it.
        pictures: in order; the page wraps them.
        keys: the legend.
        caption: what was done, with the numbers: how many data, which seed, which scale.
        tables: in order, after the pictures.
        found: what these numbers say of this model, in words; nothing if they say it themselves.

    Raises:
        ValueError: if there is neither picture nor table, or no sentence.
    """

    key: str
    title: str
    how: str
    pictures: tuple[Picture, ...] = ()
    keys: tuple[Key, ...] = ()
    caption: str = ""
    tables: tuple[Table, ...] = ()
    found: str = ""

    def __post_init__(self) -> None:
        if not self.pictures and not self.tables:
            raise ValueError(f"figure {self.key!r} has no picture and no table")
        if not self.how:
            raise ValueError(f"figure {self.key!r} needs `how`: one sentence on how to read it")
