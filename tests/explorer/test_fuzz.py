"""The server survives what the page would never send: requests made from its own schemas, and broken.

`VAEKIT_FUZZ=2000 pytest tests/explorer/test_fuzz.py` tries more of them, and other ones every time.
"""

from __future__ import annotations

import base64
import json
import math
import os

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaekit.explorer.arrays import pack
from vaekit.explorer.guard import Door
from vaekit.explorer.loading import subject_of
from vaekit.explorer.requests import SCHEMAS

pytest.importorskip("starlette")

from starlette.testclient import TestClient

from vaekit.explorer.server import app

DOOR = Door("127.0.0.1", 8722, "the-token")
JSON = {"Content-Type": "application/json", "X-Vaekit-Token": "the-token"}
TRIED = int(os.environ.get("VAEKIT_FUZZ", "0"))
QUICK = settings(
    max_examples=TRIED or 50,
    deadline=None,
    derandomize=not TRIED,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

paths = st.sampled_from(sorted(SCHEMAS))
garbage = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def arrays(draw, size=5):
    """An array as the schema has it: any shape, with the bytes that belong to it or not quite."""
    rows = draw(st.integers(1, 9))
    shape = draw(
        st.sampled_from([[rows, size], [rows, 1, 8, 8]]) | st.lists(st.integers(1, 9), min_size=1, max_size=4)
    )
    count = math.prod(shape) + draw(st.sampled_from([0, 0, 0, 0, -1, 1]))
    raw = draw(st.sampled_from([b"\0\0\0\0", b"\0\0\x80\x3f"]) | st.binary(min_size=1, max_size=8))
    data = (raw * (4 * count))[: 4 * count]
    dtype = draw(st.sampled_from(["float32", "float32", "int32"]))
    return {"dtype": dtype, "shape": shape, "data": base64.b64encode(data).decode()}


def of_schema(schema, arrays=arrays):
    """Values that a schema allows, by the same few words that the server reads."""
    if "anyOf" in schema:
        return st.one_of([of_schema(part) for part in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "object":
        if set(schema["properties"]) == {"dtype", "shape", "data"}:
            return arrays()
        required = {name: of_schema(schema["properties"][name]) for name in schema["required"]}
        optional = {
            name: of_schema(part) for name, part in schema["properties"].items() if name not in required
        }
        return st.fixed_dictionaries(required, optional=optional)
    if schema["type"] == "string":
        return st.text(max_size=schema["maxLength"]) | st.just("prior")
    if schema["type"] == "integer":
        return st.integers(schema["minimum"], min(schema["maximum"], 1 << 40))
    return st.none()


# what fits in all its parts is rarely made by chance
FITTING = {
    "/api/decode": st.builds(lambda n: {"codes": pack(torch.ones(n, 5))}, st.integers(1, 9)),
    "/api/encode": st.builds(lambda n: {"x": pack(torch.ones(n, 1, 8, 8))}, st.integers(1, 9)),
    "/api/refine": st.builds(
        lambda n, steps: {"x": pack(torch.ones(n, 1, 8, 8)), "steps": steps},
        st.integers(1, 9),
        st.integers(1, 9),
    ),
    "/api/sample": st.builds(lambda n: {"sampler": "prior", "n": n, "seed": 0}, st.integers(1, 9)),
}


@st.composite
def near_misses(draw, path):
    """A request as the schema has it, with one place changed to something else."""
    body = draw(of_schema(SCHEMAS[path]))
    place = body
    while True:
        key = draw(st.sampled_from(sorted(place)))
        if isinstance(place[key], dict) and draw(st.booleans()):
            place = place[key]
            continue
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            place[key] = draw(garbage)
        elif change == "remove":
            del place[key]
        else:
            place[draw(st.text(max_size=5))] = draw(garbage)
        return body


@pytest.fixture(scope="module")
def client(digits_run):
    subject = subject_of(digits_run)
    with TestClient(
        app(subject, "<p>", DOOR), base_url="http://127.0.0.1:8722", raise_server_exceptions=False
    ) as opened:
        yield opened


def check(client, path, content, headers=JSON):
    answer = client.post(path, content=content, headers=headers)
    assert answer.status_code < 500, (answer.status_code, answer.text, content[:200])
    if answer.status_code != 200:
        said = answer.json()
        assert set(said) == {"error"}
        assert "\n" not in said["error"]
        assert len(said["error"]) < 400
        assert "Traceback" not in said["error"]
        assert "File " not in said["error"]
    return answer


def as_json(body):
    return json.dumps(body).encode()


@pytest.mark.parametrize("path", sorted(SCHEMAS))
def test_requests_of_the_schema(client, path):
    seen = set()

    @QUICK
    @given(of_schema(SCHEMAS[path]) | FITTING[path])
    def ask(body):
        seen.add(check(client, path, as_json(body)).status_code)

    ask()
    assert seen == {200, 422}  # what is made here reaches the model, and what does not fit it is refused


@pytest.fixture(scope="module")
def given_client(given_run):
    with TestClient(
        app(subject_of(given_run), "<p>", DOOR),
        base_url="http://127.0.0.1:8722",
        raise_server_exceptions=False,
    ) as opened:
        yield opened


def test_requests_of_the_schema_to_a_conditional_model(given_client):
    seen = set()
    fitting = st.integers(0, 9).map(lambda k: pack(torch.eye(10)[k : k + 1]))
    asked = of_schema(SCHEMAS["/api/sample"])

    @QUICK
    @given(asked, st.none() | fitting | arrays(10))
    def ask(body, context):
        body = {**body, "context": context}
        seen.add(check(given_client, "/api/sample", as_json(body)).status_code)

    ask()
    assert seen == {200, 422}


@QUICK
@given(st.data())
def test_requests_that_miss_the_schema(client, data):
    path = data.draw(paths)
    check(client, path, as_json(data.draw(near_misses(path))))


@QUICK
@given(paths, garbage)
def test_other_json(client, path, body):
    assert check(client, path, as_json(body)).status_code == 422


@QUICK
@given(paths, st.binary(max_size=200))
def test_other_bytes(client, path, content):
    assert check(client, path, content).status_code in (400, 422)


@QUICK
@given(st.data())
def test_requests_that_are_cut_or_changed_in_transit(client, data):
    path = data.draw(paths)
    content = bytearray(as_json(data.draw(of_schema(SCHEMAS[path]))))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    check(client, path, bytes(content[: data.draw(st.integers(0, len(content)))]))


LETTERS = st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=30)


@QUICK
@given(
    paths,
    st.dictionaries(
        st.sampled_from(
            ["Host", "Origin", "Sec-Fetch-Site", "Content-Type", "Content-Encoding", "X-Vaekit-Token",
             "Content-Length", "Range", "Cookie", "X-Forwarded-Host", "Accept"]
        ),
        LETTERS,
        max_size=4,
    ),
)  # fmt: skip
def test_other_headers(client, path, headers):
    headers = {name: value.encode("latin-1") for name, value in {**JSON, **headers}.items()}
    check(client, path, b'{"codes": 1}', headers)


@QUICK
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40), st.sampled_from(["GET", "POST"])
)
def test_other_paths(client, path, method):
    answer = client.request(method, "http://127.0.0.1:8722/" + path, headers=JSON)
    assert answer.status_code < 500
    assert "weights" not in answer.text


@pytest.fixture(autouse=True, scope="module")
def still_answers(client):
    """After all of this the server decodes as before."""
    ask = as_json({"codes": pack(torch.zeros(2, 5))})
    before = check(client, "/api/decode", ask)
    yield
    after = check(client, "/api/decode", ask)
    assert before.status_code == after.status_code == 200
    assert before.json() == after.json()
