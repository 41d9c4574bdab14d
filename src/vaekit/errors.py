"""The two errors that are vaekit's own."""

from __future__ import annotations


class UserError(Exception):
    """Something the user gave cannot be used: data, a file, an option, a run directory.

    The message is one line that says what was got, what was expected and what to do. The command line prints
    it without a traceback and ends with exit code 2.
    """


class UnsupportedError(TypeError):
    """A combination of parts that has no meaning, such as a density asked of a point mass."""
