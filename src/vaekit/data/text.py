"""Text as sequences of tokens."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vaekit.data.files import locate
from vaekit.data.raw import Raw
from vaekit.data.spec import Spec

LENGTH = 64
_TRAINING = 0.9


def read_shakespeare() -> Raw:
    """Pieces of the plays one after another; the last tenth of the text is the test set.

    Raises:
        UserError: if the file is wrong or not to be had.
    """
    text = locate("tiny_shakespeare")["input.txt"].read_text("ascii")
    vocabulary = tuple(sorted(set(text)))
    pieces = tokens_of(text, vocabulary, LENGTH)
    last = round(_TRAINING * len(pieces))
    raw = Raw(
        "tiny_shakespeare", pieces[:last], vocabulary=vocabulary, valid=784,
        test=Raw("tiny_shakespeare", pieces[last:]),
    )  # fmt: skip
    raw.notes.append(
        f"{len(text):,} characters cut into pieces of {LENGTH}, the last tenth of them for test; what is "
        "left over at the end is dropped"
    )
    return raw


def tokens_of(text: str, vocabulary: tuple[str, ...], length: int) -> NDArray[np.uint8]:
    """Character numbers (N, length) of the whole pieces of a text."""
    numbers = {character: number for number, character in enumerate(vocabulary)}
    every = np.array([numbers[character] for character in text], np.uint8)
    return every[: len(every) // length * length].reshape(-1, length)


def texts(spec: Spec, tokens: Iterable[Iterable[float]]) -> list[str]:
    """Tokens as text, one for every row.

    Raises:
        ValueError: if the spec has no vocabulary.
    """
    if spec.vocabulary is None:
        raise ValueError(f"{spec.name} holds no tokens: its spec has no `vocabulary`")
    names = spec.vocabulary
    return ["".join(names[round(token)] for token in row) for row in tokens]
