"""The errors that are vaekit's own, and the end of a message that offers the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something the user gave cannot be used: data, a file, an option, a run directory.

    The message is one line that says what was got, what was expected and what to do. The command line prints
    it without a traceback and ends with exit code 2.
    """


class UnsupportedError(TypeError):
    """A combination of parts that has no meaning, such as a density asked of a point mass."""


class ArgumentError(UserError, ValueError, TypeError):
    """An argument of a recipe or of the training that is refused: a wrong value or a wrong kind."""


@contextmanager
def arguments_of(what: str) -> Iterator[None]:
    """Say whose argument it is that was refused.

    Raises:
        ArgumentError: for a `ValueError` or `TypeError` inside, and where the memory does not suffice.
    """
    try:
        yield
    except (UserError, UnsupportedError):
        raise
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise ArgumentError(f"{what}: {error or 'too large for the memory'}") from error
    except RuntimeError as error:
        # torch says with a RuntimeError of its own that a size is impossible
        if not any(word in str(error).lower() for word in ("alloc", "memory", "storage size", "overflow")):
            raise
        raise ArgumentError(f"{what} ask for more memory than there is: take smaller numbers") from error


def nearest(name: str, names: list[str]) -> str:
    """The end of an error message that offers the nearest of the known names."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f": did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"
