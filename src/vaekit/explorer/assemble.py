"""From what is known of a run to one HTML page, which asks its server or carries the model inside."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from vaekit.explorer.scripts import checked, joined, runtime
from vaekit.report.render import render, shared_style

if TYPE_CHECKING:
    from vaekit.exporting import Graphs

_FACTS = 4  # of a run that are seen at once
_LONG = 72  # letters of a fact that is not seen at once
_VIEWS = {
    "image": "picture",
    "values": "row",
    "sequence": "text",
    "sound": "sound",
}


def assemble(payload: Mapping[str, Any], *, graphs: Graphs | None = None) -> str:
    """The page: a slider for every latent, the map of the data, own pictures, walks and new samples.

    Args:
        payload: what `vaekit.explorer.payload` says of a run: plain JSON.
        graphs: the model as ONNX. With it the page is complete in itself: it opens from a file and asks no
            network for anything. Without it the page asks the server that it came from.

    Returns:
        One HTML file with a content security policy that allows its own scripts by their hashes, and nothing
        else. Texts of the payload are escaped wherever they stand.

    Raises:
        ValueError: the payload is of another format, is not JSON, or promises an encoder that is not there.
    """
    if payload.get("format") != 1 or payload.get("view") not in _VIEWS:
        raise ValueError(
            f"`payload` has format {payload.get('format')!r} and view {payload.get('view')!r}; expected "
            f"format 1 and one of {', '.join(_VIEWS)}"
        )
    if graphs is not None and payload.get("encoder") and graphs.encoder is None:
        raise ValueError(
            "`payload` promises an encoder, but `graphs` has none: export it, or set encoder to false"
        )
    page = resources.files("vaekit.explorer").joinpath("page")
    style = shared_style() + page.joinpath("page.css").read_text(encoding="utf-8")
    scripts = [joined(page, "main")]
    held: list[tuple[str, str]] = []
    if graphs is not None:
        vendor = resources.files("vaekit.explorer").joinpath("vendor")
        scripts.insert(0, runtime(vendor.joinpath("ort.wasm.bundle.min.mjs").read_text(encoding="utf-8")))
        held.append(("runtime", _text(vendor.joinpath("ort-wasm-simd-threaded.wasm.gz").read_bytes())))
        # no time in the header: the same model gives the same page
        held.append(("decoder", _text(gzip.compress(graphs.decoder, 6, mtime=0))))
        if graphs.encoder is not None and payload.get("encoder"):
            held.append(("encoder", _text(gzip.compress(graphs.encoder, 6, mtime=0))))
    facts = [(str(name), str(value)) for name, value in payload["facts"]]
    facts.sort(key=lambda fact: len(fact[1]) > _LONG or fact[0].endswith(" version"))  # short ones first
    return render(
        "page/page.html",
        package="vaekit.explorer",
        policy=_policy(scripts, style, served=graphs is None),
        title=str(payload["title"]),
        lead=_lead(payload),
        facts=facts[:_FACTS],
        more=facts[_FACTS:],
        notes=[*payload["notes"], *(() if graphs is None else graphs.notes)],
        closing="It asks the server that it came from, and nobody else."
        if graphs is None
        else "This file is complete in itself: it asks no network for anything.",
        style=_raw(style),
        scripts=[_raw(script) for script in scripts],
        held=[(name, _raw(text)) for name, text in held],
        payload=_raw(_embedded(payload)),
    )


def _lead(payload: Mapping[str, Any]) -> str:
    noun, count = _VIEWS[payload["view"]], len(payload["latents"])
    numbers = "one number" if count == 1 else f"{count} numbers"
    kept = "a few entries of a code book" if payload["discrete"] else f"{numbers}, its code,"
    turn = "" if payload["discrete"] else " Here you can turn the numbers yourself."
    return (
        f"This model has learned to write every {noun} down as {kept} and to make it again from them.{turn}"
    )


def _policy(scripts: list[str], style: str, *, served: bool) -> str:
    allowed = {
        "default-src": "'none'",
        "script-src": " ".join(_hash(script) for script in scripts)
        + ("" if served else " 'wasm-unsafe-eval'"),
        "style-src": _hash(style),
        "img-src": "data: blob:",
        "media-src": "blob:",
        "connect-src": "'self'" if served else "'none'",
        "form-action": "'none'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _embedded(payload: Mapping[str, Any]) -> str:
    """JSON that may stand inside of a script element: ASCII, and nothing in it that HTML knows."""
    try:
        text = json.dumps(payload, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ValueError(f"`payload` is no JSON: {error}") from None
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return checked(text)


def _raw(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # not escaped: made here, or checked
