"""Who may ask the server: pages that it gave itself, by a name that it is known under, with its token.

A server on the loopback address can still be reached by any page that is open in a browser of the machine:
by a form or a script of another site (what `Origin` and `Sec-Fetch-Site` tell), or by a name that its owner
lets point to 127.0.0.1 (what `Host` tells). A random token in the address keeps out other people of the same
machine.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
"""Of every answer; the policy of the page itself comes beside them."""

NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""The content security policy of an answer that is no page."""


@dataclass(frozen=True)
class Door:
    """By which names the server is known.

    Args:
        host: the address or name that it is bound to.
        port: where it listens.
        token: what requests have to carry.
    """

    host: str
    port: int
    token: str

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def address(self) -> str:
        """Where the page is opened, the token included."""
        host = self.host
        if _is_any(host):
            host = socket.gethostname() or "127.0.0.1"
        return f"http://{bracketed(host)}:{self.port}/?token={self.token}"

    def known(self, host: str) -> bool:
        """Whether a Host header names this server.

        Bound to all addresses, it answers to every address in figures: names that somebody else controls
        are what has to be kept out.
        """
        host = host.lower()
        suffix = f":{self.port}"
        if host.endswith(suffix):
            name = host.removesuffix(suffix)
        elif self.port == 80:
            name = host
        else:
            return False
        names = {bracketed(self.host).lower()}
        if self.local:
            names |= {"127.0.0.1", "localhost", "[::1]"}
        if _is_any(self.host):
            names |= {"localhost", socket.gethostname().lower()}
            return name in names or _is_figures(name)
        return name in names

    def refusal(self, path: str, headers: Mapping[str, list[str]], token: str) -> str | None:
        """Why a request is refused, in one sentence; None if it may pass.

        Args:
            path: of the request.
            headers: by their names in small letters; a header may come several times.
            token: what the request carries, in its address or its header.
        """
        host = headers.get("host", [])
        if len(host) != 1 or not self.known(host[0]):
            return "this server is not known under that name: open the address that `vaekit explore` printed"
        origin = headers.get("origin", [])
        if origin and (len(origin) > 1 or origin[0].lower() != f"http://{host[0].lower()}"):
            return "requests from other sites are refused"
        site = headers.get("sec-fetch-site", [])
        # a link from another program of this machine may open the page, which needs the token all the same
        allowed = ("same-origin", "none", "same-site") if path == "/" else ("same-origin",)
        if site and any(value.lower() not in allowed for value in site):
            return "requests from other sites are refused"
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return "the token is missing or wrong: open the address that `vaekit explore` printed"
        return None


def is_loopback(host: str) -> bool:
    """Whether an address or name is that of this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """An address as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_figures(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def policy_of(page: str) -> str:
    """The content security policy that a page states of itself, and that nobody may frame it."""
    reader = _Policy()
    reader.feed(page)
    return f"{reader.found.rstrip('; ')}; frame-ancestors 'none'" if reader.found else NOTHING


class _Policy(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "meta" and (given.get("http-equiv") or "").lower() == "content-security-policy":
            self.found = self.found or (given.get("content") or "")
