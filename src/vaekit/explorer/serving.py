"""Starting the server: a place to listen, and the loop that answers until it is stopped."""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Callable

import torch

from vaekit.errors import UserError
from vaekit.explorer.assemble import assemble
from vaekit.explorer.guard import Door, bracketed
from vaekit.explorer.loading import subject_of
from vaekit.explorer.payload import payload_of
from vaekit.runs import Run

PORT = 8722
"""Where the page is looked for if nobody says otherwise; the next free port if that is taken."""

_BACKLOG = 64
_AT_ONCE = 64  # connections


def serve(
    run: Run,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    opened: Callable[[Door], None] = lambda door: None,
) -> None:
    """Answer the page of a run until the process is stopped.

    Args:
        run: the only thing that is read.
        host: the address to listen at; everybody who can reach it may ask, if they know the token.
        port: 0 for any free one; None for the usual one, or any free one where that is taken.
        opened: called once, when the page can be opened.

    Raises:
        UserError: if a package is missing, nothing can listen there, or the run cannot be explored.
        KeyboardInterrupt: when it is stopped.
    """
    require()
    import uvicorn

    from vaekit.explorer.server import app

    place = listen(host, port)
    try:
        door = Door(host, place.getsockname()[1], secrets.token_urlsafe(24))
        subject = subject_of(run)
        page = assemble({**payload_of(subject), "token": door.token}, graphs=None)
        torch.set_num_threads(1)  # one worker decodes: more threads would only wait for each other
        settings = uvicorn.Config(
            app(subject, page, door),
            http="h11",
            ws="none",
            loop="asyncio",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nobody stands between: such headers are made up
            limit_concurrency=_AT_ONCE,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=2,
        )
        opened(door)
        uvicorn.Server(settings).run(sockets=[place])
    finally:
        place.close()


def require() -> None:
    """See that the packages are there that the server needs.

    Raises:
        UserError: if one is missing.
    """
    for name in ("starlette", "uvicorn"):
        try:
            __import__(name)
        except ImportError as error:
            raise UserError(
                f"the explorer's server needs the package {name}: python -m pip install {name}; a "
                "page that needs no server is written by --export page.html"
            ) from error


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens: what connects from now on waits until it is answered.

    Args:
        host: an address or a name of this machine.
        port: 0 for any free one; None for `PORT`, or any free one where that is taken.

    Raises:
        UserError: if there is no such address here, or the port is taken.
    """
    if port is not None and not 0 <= port <= 65535:
        raise UserError(f"--port is {port}; expected 0 .. 65535, 0 for any that is free")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, PORT if port is None else port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host is {host!r}, which is no address of this machine ({error})") from error
    place = socket.socket(family, socket.SOCK_STREAM)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind(address)
        except OSError as error:
            if port is not None or error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            place.bind((address[0], 0, *address[2:]))
        place.listen(_BACKLOG)
    except OSError as error:
        place.close()
        where = f"{bracketed(host)}:{port or PORT}"
        reason = error.strerror or str(error)
        raise UserError(f"cannot listen at {where} ({reason}): choose another --port or --host") from error
    return place
