"""What the server answers, and whom it refuses."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import torch

from vaekit.explorer.arrays import pack, unpack
from vaekit.explorer.guard import HEADERS, Door, policy_of
from vaekit.explorer.loading import subject_of
from vaekit.explorer.requests import BODY, DRAWS, ROWS

pytest.importorskip("starlette")

from starlette.testclient import TestClient

from vaekit.explorer.server import app

PAGE = (
    "<!doctype html><meta http-equiv='Content-Security-Policy' "
    "content=\"default-src 'none'; connect-src 'self'\"><p>A page.</p>"
)
DOOR = Door("127.0.0.1", 8722, "the-token")
JSON = {"Content-Type": "application/json", "X-Vaekit-Token": "the-token"}


@pytest.fixture(scope="module")
def subject(digits_run):
    return subject_of(digits_run)


@pytest.fixture(scope="module")
def client(subject):
    with TestClient(app(subject, PAGE, DOOR), base_url="http://127.0.0.1:8722") as opened:
        yield opened


def post(client, path, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, content=content, headers={**JSON, **headers})


def codes(rows=3, size=5, dtype=torch.float32):
    return pack(torch.randn(rows, size).to(dtype))


def packed(shape, count=None, dtype="float32", fill=0.0):
    count = int(np.prod(shape)) if count is None else count
    data = np.full(count, fill, "<f4" if dtype == "float32" else "<i4").tobytes()
    return {"dtype": dtype, "shape": shape, "data": base64.b64encode(data).decode()}


# -- answers ---------------------------------------------------------------------------------------------


def test_decoding_is_that_of_the_model(client, digits_run):
    z = torch.randn(7, 5)
    answer = post(client, "/api/decode", {"codes": pack(z), "context": None})
    assert answer.status_code == 200
    with torch.no_grad():
        p = digits_run.model().decode({"z": z})
    found = answer.json()
    assert torch.equal(unpack(found["mean"]), p.mean)
    assert torch.equal(unpack(found["stddev"]), p.stddev)
    assert not digits_run.model().training


def test_encoding_is_that_of_the_model(client, digits_run):
    x = digits_run.data().test.take(torch.arange(6))["x"]
    found = post(client, "/api/encode", {"x": pack(x)}).json()
    posterior = digits_run.model().posteriors[0](x)
    assert torch.equal(unpack(found["mean"]), posterior.mean)
    assert torch.equal(unpack(found["stddev"]), posterior.stddev)


def test_draws_come_from_the_seed(client):
    ask = {"sampler": "prior", "n": 50, "seed": 3}
    first, again = (post(client, "/api/sample", ask).json()["codes"] for _ in range(2))
    assert first == again
    assert first != post(client, "/api/sample", {**ask, "seed": 4}).json()["codes"]
    drawn = unpack(first)
    assert drawn.shape == (50, 5)
    assert 0.7 < float(drawn.std()) < 1.3


@pytest.fixture(scope="module")
def given(given_run):
    """A client of a model whose codes follow from the class."""
    with TestClient(app(subject_of(given_run), PAGE, DOOR), base_url="http://127.0.0.1:8722") as opened:
        yield opened


def test_draws_are_those_of_the_condition_that_is_given(given, given_run):
    for number in (0, 7):
        condition = torch.eye(10)[number : number + 1]
        ask = {"sampler": "prior", "n": 40, "seed": 3, "context": pack(condition)}
        answer = post(given, "/api/sample", ask)
        assert answer.status_code == 200
        with torch.no_grad():
            p = given_run.model().priors[0](condition)
        noise = (unpack(answer.json()["codes"]) - p.mean) / p.stddev
        assert float(noise.mean()) == pytest.approx(0, abs=0.3)
        assert float(noise.std()) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (None, "missing"),
        (pack(torch.eye(10)[:2]), "2 rows; expected 1"),
        (pack(torch.eye(9)[:1]), "shape [1, 9]"),
        (pack(torch.eye(10)[0]), "shape [10]"),
        (pack(torch.eye(10)[:1].int()), "expected float32"),
        (pack(torch.eye(10)[:1] * torch.inf), "not finite"),
    ],
)
def test_a_condition_that_does_not_fit_is_refused(given, context, words):
    answer = post(given, "/api/sample", {"sampler": "prior", "n": 2, "seed": 0, "context": context})
    assert answer.status_code == 422
    assert words in answer.json()["error"]


def joint(run, x, z):
    """log p(x, z), by hand."""
    normal = torch.distributions.Normal(0.0, 1.0)
    with torch.no_grad():
        return run.model().decode({"z": z}).log_prob(x) + normal.log_prob(z).sum(1)


def test_refined_codes_are_likelier(client, digits_run):
    x = digits_run.data().test.take(torch.arange(5))["x"]
    found = {k: unpack(v) for k, v in post(client, "/api/refine", {"x": pack(x), "steps": 30}).json().items()}
    guess = digits_run.model().posteriors[0](x).mean.detach()
    assert torch.allclose(found["before"], joint(digits_run, x, guess), atol=1e-3)
    assert torch.allclose(found["after"], joint(digits_run, x, found["codes"]), atol=1e-3)
    assert bool((found["after"] >= found["before"]).all())
    far = torch.full((5, 5), 2.0)
    led = post(client, "/api/refine", {"x": pack(x), "codes": pack(far), "steps": 100}).json()
    assert float((unpack(led["after"]) - unpack(led["before"])).min()) > 3
    # near the top, steps of any size lead nowhere better
    again = post(client, "/api/refine", {"x": pack(x), "codes": led["codes"], "steps": 1}).json()
    assert torch.equal(unpack(again["before"]), unpack(led["after"]))
    assert all(part.grad is None for part in digits_run.model().parameters())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "out of range"),
        ({"steps": 101}, "out of range"),
        ({"codes": packed([2, 5])}, "2 rows; expected 1"),
        ({"codes": packed([1, 4])}, "shape [1, 4]"),
        ({"x": packed([17, 1, 8, 8])}, "16 at most to refine"),
        ({"x": packed([1, 1, 8, 8], fill=np.nan)}, "not finite"),
        ({"context": packed([1, 3])}, "no condition"),
    ],
)
def test_what_cannot_be_refined_is_refused(client, change, words):
    answer = post(client, "/api/refine", {"x": packed([1, 1, 8, 8]), "steps": 3, **change})
    assert answer.status_code == 422
    assert words in answer.json()["error"]


def test_refining_is_under_the_condition_that_is_given(given, given_run):
    batch = given_run.data().test.take(torch.arange(3))
    ask = {"x": pack(batch["x"]), "context": pack(batch["c"]), "steps": 20}
    found = {k: unpack(v) for k, v in post(given, "/api/refine", ask).json().items()}
    model, z = given_run.model(), found["codes"]
    with torch.no_grad():
        p = model.decode({"z": z}, batch["c"])
        by_hand = p.log_prob(batch["x"]) + model.priors[0](batch["c"]).log_prob(z)
    assert torch.allclose(found["after"], by_hand, atol=1e-3)
    assert float((found["after"] - found["before"]).min()) > 0


def test_a_model_without_density_says_so(subject, monkeypatch):
    from vaekit.explorer import server

    monkeypatch.setattr(server, "refinable", lambda subject: False)
    with TestClient(app(subject, PAGE, DOOR), base_url="http://127.0.0.1:8722") as opened:
        answer = post(opened, "/api/refine", {"x": packed([1, 1, 8, 8]), "steps": 3})
    assert answer.status_code == 422
    assert "no density" in answer.json()["error"]


def test_global_random_numbers_are_left_alone(client):
    before = torch.random.get_rng_state()
    post(client, "/api/sample", {"sampler": "prior", "n": 2, "seed": 1})
    post(client, "/api/decode", {"codes": pack(torch.zeros(1, 5))})
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_page_comes_with_its_own_policy(client):
    answer = client.get("/?token=the-token")
    assert answer.text == PAGE
    policy = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"
    assert answer.headers["content-security-policy"] == policy
    assert client.head("/?token=the-token").status_code == 200


def test_a_page_without_a_policy_may_do_nothing():
    assert policy_of("<p>text</p>") == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/?token=the-token"),
        ("GET", "/"),
        ("GET", "/run.json"),
        ("POST", "/api/decode"),
        ("PUT", "/api/x"),
    ],
)
def test_every_answer_has_the_headers(client, method, path):
    answer = client.request(method, path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in answer.headers


# -- who is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1:8722", "localhost:8722", "LOCALHOST:8722", "[::1]:8722"])
def test_names_of_this_machine_are_known(client, host):
    assert client.get("/?token=the-token", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8722", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:87220", "",
        "127.0.0.1.nip.io:8722", "127.0.0.1:8722.evil.example", "127.0.0.1:8722, evil.example",
        "192.168.0.7:8722", "user@127.0.0.1:8722",
    ],
)  # fmt: skip
def test_other_names_are_refused(client, host):
    answer = client.get("/?token=the-token", headers={"Host": host})
    assert answer.status_code == 403
    assert "name" in answer.json()["error"]


def test_two_hosts_are_refused():
    headers = {"host": ["127.0.0.1:8722", "127.0.0.1:8722"]}
    assert "name" in (DOOR.refusal("/", headers, "the-token") or "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:8722"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://localhost:8722"},  # the page was opened by the other name
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_other_sites_are_refused(client, headers):
    answer = post(client, "/api/decode", {"codes": codes()}, **headers)
    assert answer.status_code == 403
    assert "sites" in answer.json()["error"]


def test_the_page_itself_is_not(client):
    headers = {"Origin": "http://127.0.0.1:8722", "Sec-Fetch-Site": "same-origin"}
    assert post(client, "/api/decode", {"codes": codes()}, **headers).status_code == 200
    for site in ("none", "same-origin", "same-site"):
        assert client.get("/?token=the-token", headers={"Sec-Fetch-Site": site}).status_code == 200
    assert client.get("/?token=the-token", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.parametrize(
    "token", ["", "wrong", "the-token ", "the-toke", "\u00e4".encode("latin-1").decode("latin-1")]
)
def test_without_the_token_there_is_nothing(client, token):
    answer = client.get("/", params={"token": token})
    assert answer.status_code == 403
    assert "A page" not in answer.text
    asked = client.post(
        "/api/decode", json={"codes": codes()}, headers={"X-Vaekit-Token": token.encode("latin-1")}
    )
    assert asked.status_code == 403


def test_the_token_of_the_address_is_no_token_of_a_request(client):
    asked = client.post("/api/decode?token=the-token", json={"codes": codes()})
    assert asked.status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/run.json", "/weights.safetensors", "/../run.json", "/%2e%2e/run.json", "/api/", "/api/decode/", "/api",
     "/api/decode/../../run.json", "//api/decode", "/static/run.json"],
)  # fmt: skip
def test_there_are_no_files(client, path):
    answer = client.get(path, headers=JSON)
    assert answer.status_code in (404, 405)
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD", "TRACE"])
def test_other_methods_are_refused(client, method):
    answer = client.request(method, "/api/decode", headers=JSON)
    assert answer.status_code == 405


def test_bound_to_everything_figures_are_known_and_foreign_names_are_not():
    door = Door("0.0.0.0", 8722, "t")
    assert not door.local
    assert door.known("192.168.0.7:8722")
    assert door.known("localhost:8722")
    assert not door.known("evil.example:8722")
    named = Door("10.0.0.3", 8722, "t")
    assert named.known("10.0.0.3:8722")
    assert not named.known("127.0.0.1:8722")
    assert Door("::1", 8722, "t").known("[::1]:8722")
    assert Door("::1", 8722, "t").address == "http://[::1]:8722/?token=t"


# -- requests that do not fit ----------------------------------------------------------------------------


def packed_as(claimed, shape):
    """The numbers of one shape under the name of another."""
    return {**packed(shape), "shape": claimed}


BAD = [
    ({}, "no `codes`"),
    ({"codes": packed([1, 5]), "more": 1}, "unknown entry"),
    ({"codes": None}, "wrong type"),
    ({"codes": packed([1, 4])}, "shape [1, 4]"),
    ({"codes": packed([5])}, "shape [5]"),
    ({"codes": packed([1, 5, 1])}, "shape [1, 5, 1]"),
    ({"codes": packed([ROWS + 1, 5])}, f"expected {ROWS} at most"),
    ({"codes": packed([1, 5], dtype="int32", fill=0)}, "expected float32"),
    ({"codes": packed([1, 5], fill=np.nan)}, "not finite"),
    ({"codes": packed([1, 5], fill=np.inf)}, "not finite"),
    ({"codes": packed([1, 5], fill=3e38)}, "beyond a million"),
    ({"codes": packed([1, 5], count=4)}, "does not fit"),
    ({"codes": packed([1, 5], count=6)}, "does not fit"),
    ({"codes": packed_as([2**20, 2], [1, 5])}, "does not fit"),
    ({"codes": packed_as([2**21] * 6, [1, 5])}, "expected 16777216 at most"),
    ({"codes": {**packed([1, 5]), "shape": [1, 2**60]}}, "out of range"),
    ({"codes": {**packed([1, 5]), "shape": [-1, 5]}}, "out of range"),
    ({"codes": {**packed([1, 5]), "shape": [0, 5]}}, "out of range"),
    ({"codes": {**packed([1, 5]), "shape": [True, 5]}}, "wrong type"),
    ({"codes": {**packed([1, 5]), "shape": [1.0, 5.0]}}, "wrong type"),
    ({"codes": {**packed([1, 5]), "shape": [1] * 2000}}, "entries"),
    ({"codes": {**packed([1, 5]), "dtype": "float64"}}, "unknown"),
    ({"codes": {**packed([1, 5]), "dtype": ["float32"]}}, "unknown"),
    ({"codes": {**packed([1, 5]), "data": "!" * 28}}, "no base64"),
    ({"codes": {**packed([1, 5]), "data": "\u00e4" * 28}}, "no base64"),
    ({"codes": {**packed([1, 5]), "data": 7}}, "wrong type"),
    ({"codes": packed([1, 5]), "context": packed([1, 3])}, "takes no condition"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "words"), BAD, ids=range(len(BAD)))
def test_what_does_not_fit_is_said(client, body, words):
    answer = post(client, "/api/decode", body)
    assert answer.status_code == 422
    assert words in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"x": packed([1, 64])}, "shape [1, 64]"),
        ({"x": packed([1, 1, 8, 8], fill=2.0)}, "from 0 to 1"),
        ({"x": packed([1, 1, 8, 8], fill=np.nan)}, "not finite"),
        ({"x": packed([1, 1, 8, 8]), "context": packed([1, 1])}, "no condition"),
    ],
)
def test_data_that_do_not_fit(client, body, words):
    answer = post(client, "/api/encode", body)
    assert answer.status_code == 422
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampler": "mixture"}, "there are prior"),
        ({"sampler": "../../etc/passwd"}, "there are prior"),
        ({"sampler": "x" * 101}, "too long"),
        ({"n": 0}, "out of range"),
        ({"n": DRAWS + 1}, "out of range"),
        ({"n": 2.5}, "wrong type"),
        ({"n": True}, "wrong type"),
        ({"seed": -1}, "out of range"),
        ({"seed": 2**60}, "out of range"),
        ({"seed": "1"}, "wrong type"),
        ({"context": packed([1, 3])}, "takes no condition"),
    ],
)
def test_draws_that_cannot_be(client, change, words):
    answer = post(client, "/api/sample", {"sampler": "prior", "n": 2, "seed": 0, **change})
    assert answer.status_code == 422
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"codes":' * 50_000, 400),
        (b"1" * 5000, 400),
        (b"NaN", 422),
        (b"null", 422),
        (b"[]", 422),
        (b"3", 422),
    ],
)
def test_bodies_that_are_no_request(client, content, status):
    assert post(client, "/api/decode", content).status_code == status


@pytest.mark.parametrize(
    "kind", ["text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data", "json"]
)
def test_only_json_is_read(client, kind):
    answer = post(client, "/api/decode", {"codes": codes()}, **{"Content-Type": kind})
    assert answer.status_code == 415


def test_json_may_say_its_letters_and_is_not_unpacked(client):
    kind = {"Content-Type": "application/json; charset=utf-8"}
    assert post(client, "/api/decode", {"codes": codes()}, **kind).status_code == 200
    assert post(client, "/api/decode", {"codes": codes()}, **{"Content-Encoding": "gzip"}).status_code == 415


def test_too_much_is_refused_by_its_length_and_by_what_comes(client):
    assert post(client, "/api/decode", b" " * (BODY + 1)).status_code == 413

    def endless():
        for _ in range(2 * (BODY >> 20)):
            yield b" " * (1 << 20)

    answer = client.post("/api/decode", content=endless(), headers=JSON)
    assert "content-length" not in {name.lower() for name in answer.request.headers}
    assert answer.status_code == 413


def test_a_failure_inside_tells_the_client_nothing(subject, monkeypatch, caplog):
    def broken(codes, context):
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(type(subject), "decode", lambda self, *given: broken(*given))
    with TestClient(app(subject, PAGE, DOOR), base_url="http://127.0.0.1:8722") as opened:
        answer = post(opened, "/api/decode", {"codes": codes()})
    assert answer.status_code == 500
    assert set(answer.json()) == {"error"}
    assert "secret" not in answer.text
    assert "secret of the inside" in caplog.text


def test_an_answer_that_takes_too_long_is_given_up(subject, monkeypatch):
    import threading

    gate = threading.Event()
    whole = type(subject).decode

    def slow(self, *given):
        gate.wait(5)
        return whole(self, *given)

    monkeypatch.setattr(type(subject), "decode", slow)
    with TestClient(app(subject, PAGE, DOOR, patience=0.05), base_url="http://127.0.0.1:8722") as opened:
        assert post(opened, "/api/decode", {"codes": codes()}).status_code == 503
        gate.set()
        monkeypatch.setattr(type(subject), "decode", whole)
    with TestClient(app(subject, PAGE, DOOR), base_url="http://127.0.0.1:8722") as opened:
        assert post(opened, "/api/decode", {"codes": codes()}).status_code == 200


def test_too_many_at_once_are_sent_away(subject, monkeypatch):
    import threading
    from concurrent.futures import ThreadPoolExecutor

    from vaekit.explorer import server

    monkeypatch.setattr(server, "WAITING", 2)
    gate = threading.Event()
    whole = type(subject).decode

    def slow(self, *given):
        gate.wait(10)
        return whole(self, *given)

    monkeypatch.setattr(type(subject), "decode", slow)
    with TestClient(app(subject, PAGE, DOOR), base_url="http://127.0.0.1:8722") as opened:
        with ThreadPoolExecutor(5) as people:
            asked = [people.submit(post, opened, "/api/decode", {"codes": codes()}) for _ in range(5)]
            while sum(one.done() for one in asked) < 3:
                pass
            gate.set()
        assert sorted(one.result().status_code for one in asked) == [200, 200, 429, 429, 429]
