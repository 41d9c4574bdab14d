"""The command line: `vaekit COMMAND ...`.

A command is a function with typed arguments; its options and its help come from signature and docstring. What
a user can cause ends with one line and exit code 2; anything else is a bug and shows its traceback.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module

from vaekit.cli.words import overview
from vaekit.errors import UnsupportedError, UserError, nearest

COMMANDS: dict[str, tuple[str, str, str]] = {
    "train": ("vaekit.cli.train", "train_command", "train a recipe on data, evaluate it, write a report"),
    "resume": ("vaekit.cli.train", "resume_command", "go on with a run that was stopped"),
    "evaluate": ("vaekit.cli.measure", "evaluate_command", "measure a trained model on held-out data"),
    "report": ("vaekit.cli.measure", "report_command", "write the report of a run again"),
    "sample": ("vaekit.cli.produce", "sample_command", "draw new data: a picture, a table or an array"),
    "encode": ("vaekit.cli.produce", "encode_command", "turn data into latents"),
    "reconstruct": ("vaekit.cli.produce", "reconstruct_command", "send data through the latents and back"),
    "export": ("vaekit.cli.export", "export_command", "write a model for other runtimes, or for the hub"),
    "disrupt": (
        "vaekit.cli.disrupt",
        "disrupt_command",
        "break the latents in turn: which factors go?",
    ),
    "doctor": ("vaekit.cli.doctor", "doctor_command", "examine data before training, or a run after it"),
    "explore": ("vaekit.cli.explore", "explore_command", "move through the latents on a page"),
    "import": ("vaekit.cli.importing", "import_command", "make a run of a model trained elsewhere"),
    "study": ("vaekit.cli.study", "study_command", "carry out many runs from one file, in one table"),
    "reproduce": ("vaekit.cli.catalogue", "reproduce_command", "check a published claim"),
    "list": ("vaekit.cli.catalogue", "list_command", "list recipes, data, studies or reproductions"),
}
"""Name -> (module, function, one line). Modules are imported when used: help does not wait for torch."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: done. 1: a bug. 2: something the user gave cannot be used. 130 and 143: stopped by Ctrl-C or SIGTERM.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or os.environ.get("VAEKIT_DEBUG", "0") not in ("", "0")
    arguments = [argument for argument in arguments if argument != "--debug"]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that knows no such letter shows a question mark
            stream.reconfigure(errors="replace")
    try:
        with _terminations():
            code = _dispatch(arguments)
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        # nobody reads on, as in `vaekit list recipes | head -1`; what is still buffered has nowhere to go
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (UserError, UnsupportedError) as error:
        if debug:
            raise
        print(f"vaekit: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"vaekit: {str(stop) or 'stopped'}", file=sys.stderr)
        return 143 if _was_terminated(stop) else 130


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview([(name, line) for name, (_, _, line) in COMMANDS.items()]))
        return 0
    if arguments[0] in ("-V", "--version"):
        from vaekit import __version__

        print(f"vaekit {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}{nearest(name, list(COMMANDS))}")
    module, function, _ = COMMANDS[name]
    command: Callable[..., int] = getattr(import_module(module), function)
    try:
        if name in ("train", "doctor"):  # with options of a recipe, or of data, besides their own
            return command(rest)
        from vaekit.cli.parsing import call

        return call(command, rest, f"vaekit {name}")
    except SystemExit as stop:  # the parser has shown the help of a command
        return int(stop.code or 0)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which stops a run as Ctrl-C does."""


def _was_terminated(stop: BaseException | None) -> bool:
    while stop is not None:
        if isinstance(stop, Terminated):
            return True
        stop = stop.__cause__ or stop.__context__
    return False


@contextmanager
def _terminations() -> Iterator[None]:
    """SIGTERM is an interruption like Ctrl-C; the handler of the caller is put back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
