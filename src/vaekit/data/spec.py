"""What a data set says of itself.

A `Spec` travels with every data set, into the run directory and back. Recipes read it and nothing else, so
that a system can be built without touching the data.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

Kind = Literal["binary", "unit", "real", "count", "categorical"]
"""binary: {0, 1}. unit: [0, 1]. real: any finite number. count: 0, 1, 2, ... categorical: 0 .. levels-1."""

Pairs = int | Literal["uniform"]
"""Number of factors in which a datum and its partner may differ; uniform: from 1 to all but one."""


@dataclass(frozen=True)
class Sound:
    """How a spectrogram was made of a recording, so that it can be heard again.

    A datum (1, bins, frames) holds log10 |X| of the short-time Fourier transform X (Hann window, frames
    around multiples of `hop`), brought from [low, high] to [0, 1]; the first row is 0 Hz.

    Args:
        rate: samples a second.
        window: samples under the window; bins = window / 2 + 1.
        hop: samples between frames.
        low, high: log10 magnitudes that become 0 and 1; what lies outside is clamped.
    """

    rate: int
    window: int
    hop: int
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.window or self.rate < 1 or not self.low < self.high:
            raise ValueError(f"got {self}; expected 0 < hop <= window, rate >= 1 and low < high")


@dataclass(frozen=True)
class Spec:
    """Description of one datum `x` and of the set it comes from.

    Args:
        name: the name of the data set.
        shape: event shape of `x`: (channels, height, width) for images, (columns,) for tables.
        kind: the values that `x` can take; the default likelihood follows from it.
        size: number of training data.
        levels: number of equally spaced values when a `unit` set is quantised (256 for 8 bit), or the number
            of classes of a `categorical` one.
        classes: number of classes of the label `y` (0 .. classes-1), if there is one.
        labelled: number of training data whose label is known, the others have y = -1, or whose parameters
            are, the others have theta = NaN; None where all are.
        context: event shape of the condition `c` that comes with every datum, if there is one.
        columns: names of the columns of a table.
        factors: ground-truth factor name -> number of values, in the order of the label columns.
        theta: names of continuous ground-truth parameters, in the order of the columns of `theta`.
        note: what was done to the original values, in words for people.
        class_names: names of the classes of `y`, if they have any.
        offset, scale: constants of standardised columns, or channels: stored = (original - offset) / scale.
        binarised: how a binary set was made from grey levels: pixels drawn with the level as probability,
            anew in every batch of the training set and once for validation and test ("dynamic"), or set where
            the level is at least one half ("threshold").
        picture, quadrants: in a prediction task, the shape of the whole picture, and how many of its
            quadrants (1 to 3) are the condition; `vaekit.data.assemble` joins the parts.
        pairs: of data that come with a partner (`partner` in a batch): how many factors of the two were drawn
            anew, or "uniform" for a number drawn for each pair; all others are shared.
        sound: of spectrograms, how they were made.
        vocabulary: of sequences of tokens (T,), the text of every token 0 .. levels-1. Tokens are names, not
            amounts: encoders see them one-hot, and what is shown of them is the most probable one.
    """

    name: str
    shape: tuple[int, ...]
    kind: Kind
    size: int
    levels: int | None = None
    classes: int | None = None
    context: tuple[int, ...] | None = None
    columns: tuple[str, ...] | None = None
    factors: dict[str, int] | None = field(default=None)
    note: str = ""
    class_names: tuple[str, ...] | None = None
    offset: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    binarised: Literal["dynamic", "threshold"] | None = None
    picture: tuple[int, ...] | None = None
    quadrants: int | None = None
    labelled: int | None = None
    theta: tuple[str, ...] | None = None
    pairs: Pairs | None = None
    sound: Sound | None = None
    vocabulary: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"`kind` is {self.kind!r}; expected one of {', '.join(get_args(Kind))}")
        if not self.shape or any(n < 1 for n in self.shape):
            raise ValueError(f"`shape` is {self.shape}; expected one or more positive sizes")
        if self.kind == "categorical" and (self.levels is None or self.levels < 2):
            raise ValueError(f"a categorical set needs `levels` >= 2; got {self.levels}")
        if (self.offset is None) != (self.scale is None):
            raise ValueError("`offset` and `scale` belong together; got one of them")
        known = (self.classes is None) != (self.theta is None)  # there is one thing that can be known
        if self.labelled is not None and not (known and 0 <= self.labelled <= self.size):
            raise ValueError(
                f"`labelled` is {self.labelled}, of {self.size} data with {self.classes} classes and the "
                f"parameters {self.theta}; expected 0 to all of the data, and a number of classes, or names "
                "of parameters"
            )
        if self.pairs is not None:
            check_pairs(self.pairs, self.factors)
        if self.sound is not None and (len(self.shape), self.shape[0], self.shape[-2]) != (
            3, 1, self.sound.window // 2 + 1,
        ):  # fmt: skip
            raise ValueError(
                f"`sound` has a window of {self.sound.window} samples and `shape` is {self.shape}; expected "
                f"(1, {self.sound.window // 2 + 1}, frames)"
            )
        if self.vocabulary is not None and (
            self.kind != "categorical" or len(self.shape) != 1 or self.levels != len(self.vocabulary)
        ):
            raise ValueError(
                f"`vocabulary` has {len(self.vocabulary)} tokens, for {self.kind} data of shape {self.shape} "
                f"with {self.levels} levels; expected categorical data (T,) with as many levels as tokens"
            )
        if self.columns is not None and len(self.columns) != self.dimensions:
            raise ValueError(
                f"`columns` has {len(self.columns)} entries; expected {self.dimensions}, one a column"
            )
        for name in ("offset", "scale"):
            constants = getattr(self, name)
            if constants is not None and len(constants) not in (self.dimensions, self.shape[0]):
                raise ValueError(
                    f"`{name}` has {len(constants)} entries; expected {self.dimensions}, one a column, or "
                    f"{self.shape[0]}, one a channel"
                )

    @property
    def dimensions(self) -> int:
        """Number of elements D of one datum."""
        product = 1
        for n in self.shape:
            product *= n
        return product

    @property
    def is_image(self) -> bool:
        """Whether one datum is (channels, height, width) with one or three channels."""
        return len(self.shape) == 3 and self.shape[0] in (1, 3)

    def class_labels(self, count: int | None = None) -> list[str]:
        """A text for every class of `y`: its name, or its number where classes have no names.

        Args:
            count: number of classes, where the spec does not say it.
        """
        return list(self.class_names or (str(k) for k in range(self.classes or count or 0)))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `Spec.from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Spec:
        """Rebuild a spec; unknown or missing names raise `ValueError`."""
        known = {f.name for f in fields(cls)}
        if unknown := set(record) - known:
            raise ValueError(f"a data spec has no {', '.join(sorted(unknown))}")
        values = dict(record)
        for name in (
            "shape",
            "context",
            "columns",
            "class_names",
            "offset",
            "scale",
            "picture",
            "theta",
            "vocabulary",
        ):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        try:
            if values.get("sound") is not None:
                values["sound"] = Sound(**values["sound"])
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"incomplete data spec: {error}") from None


def check_pairs(pairs: Pairs, factors: dict[str, int] | None) -> None:
    """Refuse a number of factors that leaves a pair nothing to share, or nothing to differ in.

    Raises:
        ValueError: if it does, or if no factors are known.
    """
    varying = sum(size > 1 for size in (factors or {}).values())
    if varying < 2:
        raise ValueError(
            f"`pairs` is {pairs!r}, but the known factors are {factors}; expected two or more that have two "
            "values or more, so that pairs can share one and differ in another"
        )
    if pairs != "uniform" and (isinstance(pairs, bool) or pairs not in range(1, varying)):
        raise ValueError(
            f"`pairs` is {pairs!r}; expected a number of factors to draw anew, 1 to {varying - 1}, or uniform"
        )
