"""The server behind the page: it decodes, encodes and draws for one run, and gives nothing else away."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from torch import Tensor

from vaekit.errors import UnsupportedError, UserError
from vaekit.explorer.arrays import pack
from vaekit.explorer.guard import HEADERS, NOTHING, Door, policy_of
from vaekit.explorer.refine import refinable, refine
from vaekit.explorer.requests import BODY, SCHEMAS, codes_of, condition_of, conforms, data_of, pairs_of
from vaekit.explorer.subject import Subject

PATIENCE = 60.0
"""Seconds that an answer may take, and that a request may take to arrive."""
WAITING = 16
"""Requests that may wait for the one that is worked on."""

T = TypeVar("T")
Answer = Callable[[dict[str, Any]], dict[str, Any]]

_log = logging.getLogger(__name__)


def app(subject: Subject, page: str, door: Door, *, patience: float = PATIENCE) -> ASGIApp:
    """The server as an ASGI application.

    Args:
        subject: what is explored.
        page: the HTML of the page.
        door: who may ask.
        patience: seconds that an answer may take.
    """
    # one worker: torch's results, and the noise of draws, are those of one thread
    worker = ThreadPoolExecutor(1, thread_name_prefix="vaekit-explorer")
    room = asyncio.Semaphore(WAITING)
    policy = policy_of(page)

    async def at_work(work: Callable[[], T]) -> T:
        if room.locked():
            raise HTTPException(429, "the server is busy: try again in a moment")
        async with room:
            return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(worker, work), patience)

    async def show(request: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    def route(path: str, answer: Answer) -> Route:
        async def respond(request: Request) -> Response:
            body = await _body(request, patience)
            conforms(body, SCHEMAS[path])
            return JSONResponse(await at_work(lambda: answer(body)))

        return Route(path, respond, methods=["POST"])

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        worker.shutdown(wait=False, cancel_futures=True)

    answers = _answers(subject)
    inner = Starlette(
        routes=[Route("/", show), *(route(path, answer) for path, answer in answers.items())],
        exception_handlers={
            HTTPException: _refuse,
            ValueError: _refuse,
            TimeoutError: _late,
            Exception: _fail,
        },
        lifespan=lifespan,
    )
    inner.router.redirect_slashes = False
    return Guarded(inner, door)


def _answers(subject: Subject) -> dict[str, Answer]:
    def decode(body: dict[str, Any]) -> dict[str, Any]:
        return _pair(*subject.decode(*codes_of(body, subject)))

    def encode(body: dict[str, Any]) -> dict[str, Any]:
        return _pair(*subject.encode(*data_of(body, subject)))

    def sample(body: dict[str, Any]) -> dict[str, Any]:
        name = body["sampler"]
        if name not in subject.samplers:
            raise ValueError(f"there is no such sampler; there are {', '.join(subject.samplers)}")
        condition = condition_of(body, subject)
        try:
            drawn = subject.draw(name, body["n"], body["seed"], condition)
            return {"codes": pack(subject.coded(_finite(drawn)))}
        except (UnsupportedError, UserError) as error:
            raise ValueError(str(error)) from error

    able = refinable(subject)

    def better(body: dict[str, Any]) -> dict[str, Any]:
        if not able:
            raise ValueError("the codes of this model cannot be refined: it has no density to go uphill on")
        found = refine(subject, *pairs_of(body, subject), body["steps"])
        return {
            "codes": pack(_finite(found.codes)),
            "before": pack(_finite(found.before)),
            "after": pack(_finite(found.after)),
        }

    return {"/api/decode": decode, "/api/encode": encode, "/api/sample": sample, "/api/refine": better}


def _pair(mean: Tensor, stddev: Tensor | None) -> dict[str, Any]:
    return {"mean": pack(_finite(mean)), "stddev": None if stddev is None else pack(_finite(stddev))}


def _finite(values: Tensor) -> Tensor:
    if not bool(values.isfinite().all()):
        raise ValueError("the model gives numbers that are not finite there: stay nearer to the data")
    return values


async def _body(request: Request, patience: float) -> Any:
    """The JSON of a request; nothing is read beyond `BODY` bytes."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "expected a body of the type application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "expected a body that is not compressed")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 12 or int(length) > BODY):
        raise HTTPException(413, f"the request is too large; expected {BODY:,} bytes at most")

    async def read() -> bytes:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > BODY:
                raise HTTPException(413, f"the request is too large; expected {BODY:,} bytes at most")
            parts.append(part)
        return b"".join(parts)

    try:
        raw = await asyncio.wait_for(read(), patience)
    except TimeoutError:
        raise HTTPException(408, "the request did not arrive in time") from None
    except ClientDisconnect:
        raise HTTPException(400, "the request broke off") from None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the request is no JSON") from None


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        said = {404: "there is no such page", 405: "the method is not allowed here"}
        return JSONResponse({"error": said.get(error.status_code, error.detail)}, error.status_code)
    return JSONResponse({"error": " ".join(str(error).split())}, 422)


async def _late(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the answer took too long: ask for less at once"}, 503)


async def _fail(request: Request, error: Exception) -> Response:
    """What went wrong is for the terminal; the page hears that something did."""
    said = "something went wrong: the terminal of `vaekit explore` says what"
    return JSONResponse({"error": said}, 500)


class Guarded:
    """What stands before the application: it refuses whom the door does not know, and sets the headers.

    Args:
        inner: the application.
        door: who may ask.
    """

    def __init__(self, inner: ASGIApp, door: Door) -> None:
        self.inner, self.door = inner, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self.inner(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:  # a websocket: closed before it is accepted
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                extra = {"Content-Security-Policy": NOTHING, **HEADERS}
                added = [
                    (name.lower().encode(), value.encode())
                    for name, value in extra.items()
                    if name.lower().encode() not in known
                ]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        request = Request(scope)
        token = (
            request.query_params.get("token", "")
            if scope["path"] == "/"
            else request.headers.get("x-vaekit-token", "")
        )
        reason = self.door.refusal(scope["path"], headers, token)
        respond: ASGIApp = self.inner if reason is None else JSONResponse({"error": reason}, 403)
        try:
            await respond(scope, receive, sealed)
        except Exception:  # it has been answered already
            _log.exception("the explorer failed to answer %s %s", scope["method"], scope["path"])
