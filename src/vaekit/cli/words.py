"""Words for the terminal that need nothing but the standard library."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO


def colourful(stream: TextIO) -> bool:
    """Whether a stream shows colours: a terminal, and neither NO_COLOR nor TERM=dumb."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def bold(text: str) -> str:
    """Bold on a terminal with colours."""
    return f"\033[1m{text}\033[0m" if colourful(sys.stdout) else text


def table(rows: Sequence[tuple[str, str]], indent: int = 2) -> str:
    """Names and what they mean, in two columns."""
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{' ' * indent}{name:<{width}}  {text}".rstrip() for name, text in rows)


def overview(commands: Sequence[tuple[str, str]]) -> str:
    """What `vaekit --help` shows."""
    examples = [
        ("vaekit train", "a VAE on handwritten digits, in about a minute"),
        ("vaekit train vae mnist", "another data set; `vaekit list data`"),
        ("vaekit train beta_vae dsprites --beta 4", "another recipe; `vaekit list recipes`"),
        ("vaekit train vae table.csv", "your own table, array or folder of pictures"),
        ("vaekit train vae --help", "the options of a recipe"),
    ]
    return "\n".join(
        [
            "Variational autoencoders, correctly, in one place.",
            "",
            f"{bold('Usage')}: vaekit COMMAND ...",
            "",
            bold("Commands"),
            table(commands),
            "",
            bold("Examples"),
            table(examples),
            "",
            "`vaekit COMMAND --help` explains a command. `--version` names the version. With `--debug`,",
            "errors come with their traceback.",
        ]
    )


def count(number: int) -> str:
    """An integer with separators: 10,000."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """A time in words: 42 s, 3 min 5 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
