"""`vaekit explore`: a page on which one moves through what a model has learned."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Literal

from vaekit.cli.outputs import place
from vaekit.cli.progress import say
from vaekit.errors import UserError
from vaekit.explorer.export import export_page
from vaekit.explorer.guard import Door
from vaekit.runs import Run, latest


def explore_command(
    run: Path | None = None,
    /,
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    export: Path | None = None,
    precision: Literal["float32", "float16", "int8"] | None = None,
    no_browser: bool = False,
) -> int:
    """Open a page in the browser: a slider for every latent, the map of the data, own pictures, new samples.

    Args:
        run: the run directory; by default the one below runs/ that was started last.
        port: where the page is served; by default 8722, or any free port where that is taken.
        host: the address that the server listens at; the default can be reached from this machine alone.
        export: write the page to this .html file instead: it needs no server, no network and no vaekit.
        precision: of the weights in the exported page; by default float32, or float16 where the page would
            be larger than 8 MB.
        no_browser: do not open the browser; the address is printed in any case.
    """
    if run is None:
        run = latest()
        say(f"Exploring {run}")
    opened = Run.open(run)
    if export is not None:
        path = place(export, opened.path, "explorer", ".html", (".html", ".htm"))
        print(export_page(opened, path, precision=precision))
        return 0
    if precision is not None:
        raise UserError(f"--precision is {precision}, but no page is exported: add --export page.html")
    from vaekit.explorer.serving import serve

    say("Looking at the held-out data")
    serve(opened, host=host, port=port, opened=lambda door: _tell(door, no_browser))
    return 0


def _tell(door: Door, no_browser: bool) -> None:
    print(door.address, flush=True)
    if not door.local:
        say(
            f"The server listens at {door.host}: everybody who can reach this machine over the network and "
            "knows the address above can use the page. It is not encrypted."
        )
    if no_browser:
        say("Open this address in a browser; Ctrl-C stops the server.")
    elif _has_display() and webbrowser.open(door.address):
        say("The page opens in your browser; Ctrl-C stops the server.")
    else:
        say("No browser was found here: open the address yourself; Ctrl-C stops the server.")


def _has_display() -> bool:
    """Whether a window can be opened: without one, a browser of the terminal would take it over."""
    if sys.platform.startswith(("win", "darwin")):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
