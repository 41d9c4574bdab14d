"""What the page may ask of the server, as JSON schemas, and how a request is held against them.

The schemas are the one place where the form of a request stands: the server checks by them, and the fuzz
test makes its requests from them. What depends on the run (the size of a code, the shape of a datum, which
samplers there are) is checked after them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaekit.data.spec import Spec
from vaekit.explorer.arrays import unpack
from vaekit.explorer.subject import Subject

ROWS = 256
"""Largest number of codes or data in a request."""
DRAWS = 64
"""Largest number of codes that are drawn for a request."""
UPHILL = 16
"""Largest number of codes that are refined for a request."""
LONGEST = 100
"""Largest number of steps by which they are."""
NUMBERS = 1 << 21
"""Largest number of elements that a request may have decoded: rows times the size of a datum."""
BODY = 8 << 20
"""Largest request, bytes."""

_BASE64 = BODY * 4 // 3

ARRAY: dict[str, Any] = {
    "type": "object",
    "required": ["dtype", "shape", "data"],
    "additionalProperties": False,
    "properties": {
        "dtype": {"enum": ["float32", "int32"]},
        "shape": {
            "type": "array",
            "minItems": 1,
            "maxItems": 6,
            "items": {"type": "integer", "minimum": 1, "maximum": NUMBERS},
        },
        "data": {"type": "string", "maxLength": _BASE64},
    },
}

_MAYBE = {"anyOf": [{"type": "null"}, ARRAY]}

SCHEMAS: dict[str, dict[str, Any]] = {
    "/api/decode": {
        "type": "object",
        "required": ["codes"],
        "additionalProperties": False,
        "properties": {"codes": ARRAY, "context": _MAYBE},
    },
    "/api/encode": {
        "type": "object",
        "required": ["x"],
        "additionalProperties": False,
        "properties": {"x": ARRAY, "context": _MAYBE},
    },
    "/api/sample": {
        "type": "object",
        "required": ["sampler", "n", "seed"],
        "additionalProperties": False,
        "properties": {
            "sampler": {"type": "string", "maxLength": 100},
            "n": {"type": "integer", "minimum": 1, "maximum": DRAWS},
            "seed": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
            "context": _MAYBE,
        },
    },
    "/api/refine": {
        "type": "object",
        "required": ["x", "steps"],
        "additionalProperties": False,
        "properties": {
            "x": ARRAY,
            "codes": _MAYBE,
            "context": _MAYBE,
            "steps": {"type": "integer", "minimum": 1, "maximum": LONGEST},
        },
    },
}
"""Path -> JSON schema of the body, in the few words of JSON Schema that `conforms` reads."""

_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "null": (type(None),),
}


def conforms(value: Any, schema: dict[str, Any], name: str = "the request") -> None:
    """Hold a JSON value against a schema; it looks no deeper than the schema does.

    Raises:
        ValueError: naming the first place that does not fit.
    """
    if "anyOf" in schema:
        allowed = schema["anyOf"]
        chosen = [part for part in allowed if part.get("type") == "null" and value is None]
        return conforms(value, (chosen or allowed[-1:])[0], name)
    if "enum" in schema:
        if not isinstance(value, str) or value not in schema["enum"]:
            raise ValueError(f"{name} is unknown; expected {' or '.join(schema['enum'])}")
        return None
    kind = schema["type"]
    if type(value) not in _KINDS[kind]:  # `isinstance` would take true for an integer
        raise ValueError(f"{name} is of the wrong type; expected {_A[kind]}")
    if kind == "object":
        _object(value, schema, name)
    elif kind == "array":
        if not schema["minItems"] <= len(value) <= schema["maxItems"]:
            raise ValueError(
                f"{name} has {len(value)} entries; expected {schema['minItems']} to {schema['maxItems']}"
            )
        for item in value:
            conforms(item, schema["items"], f"an entry of {name}")
    elif kind == "string" and len(value) > schema["maxLength"]:
        raise ValueError(f"{name} is too long; expected {schema['maxLength']} letters at most")
    elif kind == "integer" and not schema["minimum"] <= value <= schema["maximum"]:
        raise ValueError(f"{name} is out of range; expected {schema['minimum']} to {schema['maximum']}")
    return None


_A = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "null": "null",
}


def _object(value: dict[str, Any], schema: dict[str, Any], name: str) -> None:
    known = schema["properties"]
    if missing := [key for key in schema["required"] if key not in value]:
        raise ValueError(f"{name} has no `{missing[0]}`")
    if any(key not in known for key in value):
        raise ValueError(f"{name} has an unknown entry; expected {', '.join(known)}")
    for key, inner in value.items():
        conforms(inner, known[key], f"`{key}`")


def codes_of(body: dict[str, Any], subject: Subject) -> tuple[Tensor, Tensor | None]:
    """Codes (N, K) and conditions of a request to decode.

    Raises:
        ValueError: if they do not fit the model.
    """
    codes = unpack(body["codes"])
    dtype = torch.int32 if subject.whole else torch.float32
    _fits(codes, (subject.size,), dtype, "codes", subject.spec)
    return codes, _context(body, len(codes), subject.spec)


def data_of(body: dict[str, Any], subject: Subject) -> tuple[Tensor, Tensor | None]:
    """Data (N, *event) and conditions of a request to encode.

    Raises:
        ValueError: if they do not fit the model, or contradict the kind of its data.
    """
    spec = subject.spec
    if not subject.encodes:
        raise ValueError("this model encodes a part of a picture given the rest: the page has no such pair")
    x = unpack(body["x"])
    _fits(x, spec.shape, x.dtype, "x", spec)
    x = x.float()
    least, most = {
        "binary": (0.0, 1.0),
        "unit": (0.0, 1.0),
        "count": (0.0, 1e6),
        "categorical": (0.0, float((spec.levels or 2) - 1)),
    }.get(spec.kind, (-1e6, 1e6))
    if bool((x < least).any()) or bool((x > most).any()):
        raise ValueError(f"`x` holds {spec.kind} data; expected numbers from {least:g} to {most:g}")
    if spec.kind in ("count", "categorical") and bool((x != x.round()).any()):
        raise ValueError(f"`x` holds {spec.kind} data; expected whole numbers")
    return x, _context(body, len(x), spec)


def pairs_of(body: dict[str, Any], subject: Subject) -> tuple[Tensor, Tensor, Tensor | None]:
    """Data (N, *event), codes (N, K) and conditions of a request to refine; by default the encoder's codes.

    Raises:
        ValueError: if they do not fit the model, or each other.
    """
    x, context = data_of(body, subject)
    if len(x) > UPHILL:
        raise ValueError(f"`x` has {len(x)} rows; expected {UPHILL} at most to refine")
    if body.get("codes") is None:
        return x, subject.encode(x, context)[0], context
    codes, _ = codes_of(body, subject)
    if len(codes) != len(x):
        raise ValueError(f"`codes` has {len(codes)} rows; expected {len(x)}, one a row of `x`")
    return x, codes, context


def condition_of(body: dict[str, Any], subject: Subject) -> Tensor | None:
    """The one condition (1, *context) under which a request wants codes drawn.

    Raises:
        ValueError: if it does not fit the model.
    """
    return _context(body, 1, subject.spec)


def _context(body: dict[str, Any], rows: int, spec: Spec) -> Tensor | None:
    given = body.get("context")
    if spec.context is None:
        if given is not None:
            raise ValueError("`context` is given, but this model takes no condition: leave it out")
        return None
    if given is None:
        raise ValueError("`context` is missing: this model takes a condition with every row")
    context = unpack(given)
    _fits(context, spec.context, torch.float32, "context", spec)
    if len(context) != rows:
        raise ValueError(f"`context` has {len(context)} rows; expected {rows}")
    return context


def _fits(values: Tensor, shape: tuple[int, ...], dtype: torch.dtype, name: str, spec: Spec) -> None:
    most = max(1, min(ROWS, NUMBERS // (spec.dimensions * len(spec.vocabulary or (1,)))))
    if tuple(values.shape[1:]) != tuple(shape):
        raise ValueError(f"`{name}` has shape {list(values.shape)}; expected [rows, {str(list(shape))[1:]}")
    if len(values) > most:
        raise ValueError(f"`{name}` has {len(values)} rows; expected {most} at most")
    if values.dtype != dtype:
        raise ValueError(f"`{name}` is of the wrong type; expected {str(dtype).removeprefix('torch.')}")
    # the sum of squares of a code has to fit into float32
    if values.is_floating_point() and not bool((values.abs() <= 1e6).all()):
        raise ValueError(f"`{name}` holds a number that is not finite, or beyond a million")
