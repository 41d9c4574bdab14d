"""One style for every drawing: inline SVG in the colours of the page, so that it follows light and dark."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vaekit.report.parts import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

CLASSES = 10
"""Colours for classes; more classes than this share colours."""

# matplotlib knows numbers, the page knows names: these colours are put in and taken out again in `draw`
_NAMES = ("ink", "soft", "line", "data", "model", "paper", *(f"class-{i}" for i in range(CLASSES)))
_CODES = {name: f"#0102{i:02x}" for i, name in enumerate(_NAMES, start=0xA0)}
INK, SOFT, LINE, DATA, MODEL, PAPER = (_CODES[name] for name in _NAMES[:6])

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "vaekit",
    "text.parse_math": False,  # names from the data are text, whatever they hold
    "path.simplify": False,
    "axes.formatter.useoffset": False,
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 5,
    "ytick.major.pad": 4,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}

_PREAMBLE = re.compile(r"^.*?(?=<svg )", re.DOTALL)
_METADATA = re.compile(
    r"\s*<metadata>.*?</metadata>|\s*<style.*?</style>|\s+xmlns(?::\w+)?=\"[^\"]*\"", re.DOTALL
)
_SIZE = re.compile(r'(<svg )width="[^"]*" height="[^"]*" ')
_FONT = re.compile(r" font-family: [^;\"]*;?")
_ID = re.compile(r'(\bid="|href="#|url\(#)')
_GROUP = re.compile(r'<g id="[^"]*">')
_SHAPE = re.compile(r'(?<= )(d|x|y|transform|width|height)="([^"]*)"')
_LONG = re.compile(r"(\d\.\d\d)\d+")
_TURN = re.compile(r' transform="rotate\(-?0 [^"]*\)"')
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def class_colour(number: int) -> str:
    """The colour of a class in a drawing."""
    return _CODES[f"class-{number % CLASSES}"]


def clean_text(text: str) -> str:
    """A text of the data without control characters, which a page cannot hold."""
    return _CONTROL.sub("", text)


def label_text(text: str, longest: int = 24) -> str:
    """A name as it may stand in a drawing: one line, no control characters, not too long."""
    clean = clean_text(" ".join(text.split()))
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def draw(
    key: str,
    alt: str,
    paint: Callable[[Axes], None],
    *,
    size: tuple[float, float] = (3.5, 2.5),
    label: str = "",
) -> Picture:
    """A drawing with one pair of axes.

    Args:
        key: unique within the page; it keeps the names inside the drawing apart from those of others.
        alt: what it shows, in words.
        paint: draws on the axes.
        size: in units of 100 CSS pixels.
        label: a short text beside the picture.
    """
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # whatever a matplotlibrc says
        settings: Any = matplotlib.rcParams
        settings.update(_STYLE)
        # the browser draws the text, with its own fonts: what matplotlib's font lacks does not matter
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas = Canvas(figsize=(size[0] * 100 / 72, size[1] * 100 / 72))
        ax = canvas.add_axes((0, 0, 1, 1))
        paint(ax)
        _place(ax, 100 * size[0], 100 * size[1])
        svg = _markup(canvas, key)
    return Picture(alt=alt, svg=svg, label=label, width=round(100 * size[0]))


def _place(ax: Axes, width: float, height: float) -> None:
    """Leave room for the labels, estimated by their length: measuring them would draw everything twice."""
    bottom = _room(ax.xaxis, ax.get_xlim(), upright=False) + (17 if ax.get_xlabel() else 0)
    left = _room(ax.yaxis, ax.get_ylim(), upright=True) + (19 if ax.get_ylabel() else 0)
    right, top = 13, 8
    ax.set_position((left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height))


def _room(axis: Any, limits: tuple[float, float], upright: bool) -> float:
    """CSS pixels for the labels of an axis: their length beside it, or their height below it."""
    low, high = sorted(limits)
    places = [tick for tick in axis.get_major_locator().tick_values(low, high) if low <= tick <= high]
    longest = max((len(text) for text in axis.get_major_formatter().format_ticks(places)), default=0)
    angle = math.radians(axis.get_major_ticks()[0].label1.get_rotation()) if places else 0.0
    if upright:
        return 8 + 6.6 * longest if longest else 8
    return 21 + 6 * longest * math.sin(angle) if longest else 8


def _markup(canvas: Figure, key: str) -> str:
    buffer = io.StringIO()
    canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = _METADATA.sub("", _PREAMBLE.sub("", buffer.getvalue()))
    svg = _SIZE.sub(r"\1", svg, count=1).replace("xlink:href", "href")
    svg = _TURN.sub("", _FONT.sub("", _GROUP.sub("<g>", svg)))
    svg = _SHAPE.sub(_shorter, svg)
    svg = _ID.sub(rf"\g<1>{key}-", svg)
    for name, code in _CODES.items():
        svg = svg.replace(code, f"var(--{name})")
    return re.sub(r">\s+<", "><", svg.strip())


def _shorter(found: re.Match[str]) -> str:
    """Two decimals for every length: a hundredth of a pixel."""
    lengths = _LONG.sub(r"\1", found[2])
    return f'{found[1]}="{" ".join(lengths.split())}"'


def dots(ax: Axes, x: Array, y: Array, colour: str, size: float = 4.0, alpha: float = 0.8) -> None:
    """Points as one path of round ends: a fraction of the size of as many markers."""
    gap = np.full(len(x), np.nan)
    across, up = (
        np.stack([v, v, gap], axis=1).reshape(-1) for v in (np.asarray(x, float), np.asarray(y, float))
    )
    ax.plot(
        across,
        up,
        color=colour,
        linewidth=size,
        alpha=alpha,
        solid_capstyle="round",
        scalex=True,
        scaley=True,
    )


def plain_ticks(axis: Any, most: int = 5, whole: bool = False) -> None:
    """A few round numbers on an axis."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=whole))


def log_ticks(axis: Any) -> None:
    """Plain numbers on a logarithmic axis, also where it spans less than a decade or two."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0), numticks=5))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
