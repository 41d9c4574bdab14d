"""What the page shows of rows, texts, sounds and codes; and the page that asks a server."""

from __future__ import annotations

import json
import time
from importlib import resources

import numpy as np
import pytest
import torch

from vaekit.explorer import assemble
from vaekit.explorer.scripts import joined

HOME = "http://127.0.0.1:8000/"
PAGE = resources.files("vaekit.explorer").joinpath("page")


def until(page, true, seconds=8.0):
    """Wait until something is so; meanwhile the page is given what it asks its server for."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not become so"
        page.wait_for_timeout(20)


@pytest.fixture(scope="module")
def context(browser):
    found = browser.new_context(viewport={"width": 1200, "height": 900})
    yield found
    found.close()


@pytest.fixture
def served(context, small):
    """Opens a page whose server is this function's: `answer(path, body)` gives what it says."""
    page = context.new_page()
    said, asked = [], []
    page.on("pageerror", lambda error: said.append(str(error)))

    def open_page(payload, answer):
        def serve(route):
            path = route.request.url.removeprefix(HOME.rstrip("/"))
            if path == "/":
                return route.fulfill(body=assemble(payload), content_type="text/html")
            asked.append((path, route.request.headers, json.loads(route.request.post_data)))
            status, found = answer(path, asked[-1][2])
            return route.fulfill(status=status, body=json.dumps(found), content_type="application/json")

        page.route("**/*", serve)
        page.goto(HOME)
        page.wait_for_selector("html[data-state]", state="attached")
        return page, asked

    yield open_page
    page.close()
    assert said == []


def plain(small, decode, spread=None, encode=None):
    """A server that computes what these functions say."""

    def answer(path, body):
        if path == "/api/decode":
            z = small.unpacked(body["codes"])
            stddev = None if spread is None else small.packed(spread(z))
            return 200, {"mean": small.packed(decode(z)), "stddev": stddev}
        if path == "/api/encode":
            return 200, {"mean": small.packed(encode(small.unpacked(body["x"]))), "stddev": None}
        drawn = np.full((body["n"], small.LATENTS), body["seed"], dtype=np.float32)
        return 200, {"codes": small.packed(drawn)}

    return answer


def without_pictures(small, values, **changes):
    points = {**small.payload()["points"], "pictures": None, "values": small.packed(values)}
    return small.payload(points=points, **changes)


def test_rows_are_shown_in_their_units_with_what_a_slider_changes(served, small):
    across = np.array([[1, 0, 0], [0, -1, 0], [0, 0, 0.01]], dtype=np.float32)
    rows = np.array([[-3, -3, -3], [3, 3, 3]], dtype=np.float32)
    payload = without_pictures(
        small,
        rows,
        view="values",
        shape=[3],
        kind="real",
        columns=["length", small.HOSTILE, "weight"],
        offset=[100.0, 0.0, 0.0],
        scale=[10.0, 1.0, 1.0],
    )
    spread = np.full(3, 0.5, dtype=np.float32)
    decode = lambda z: z @ across.T  # noqa: E731
    page, _ = served(
        payload, plain(small, decode, lambda z: np.tile(spread, (len(z), 1)), lambda x: x @ across)
    )
    page.locator("#latent-0").fill("1.5")
    until(page, lambda: page.locator("#picture .value").first.inner_text() == "115")
    assert page.locator("#picture .name").nth(1).inner_text() == small.HOSTILE
    until(page, lambda: page.locator("#sliders .effect").nth(1).inner_text() == "\u2191\u00a0length")
    said = page.locator("#sliders .effect").nth(0).inner_text().replace("\u00a0", " ")
    assert small.HOSTILE.strip() in said
    page.keyboard.press("u")
    until(page, lambda: page.locator("#picture .value").first.inner_text() == "115 \u00b1 5")
    for column, value in enumerate((90, 2, 0)):
        page.locator(f"#column-{column}").fill(str(value))
    page.locator("#encode").click()
    until(page, lambda: page.locator("#latent-0").get_attribute("aria-valuetext") == "-1.00")
    assert page.locator("#latent-1").get_attribute("aria-valuetext") == "-2.00"
    page.locator("#column-2").fill("")
    page.locator("#encode").click()
    until(page, lambda: "weight is empty" in page.locator("#verdict").inner_text())


def test_texts_are_the_likeliest_tokens(served, small):
    words = ["a", "b", "<b>"]
    shift = np.arange(4)

    def decode(z):  # the token at place t is the whole part of z1, plus t, around the vocabulary
        tokens = (np.floor(z[:, :1]).astype(int) + shift) % 3
        return np.eye(3, dtype=np.float32)[tokens]

    payload = without_pictures(
        small,
        np.array([[0, 1, 2, 0]], dtype=np.int32),
        view="sequence",
        shape=[4],
        kind="categorical",
        vocabulary=words,
    )
    page, asked = served(payload, plain(small, decode, encode=lambda x: np.repeat(x[:, :1], 3, axis=1)))
    page.locator("#latent-0").fill("1.5")
    until(page, lambda: page.locator("#picture").inner_text().split() == ["b", "<b>", "a", "b"])
    page.locator("#own-text").fill("<b> a b")
    page.locator("#own-text").press("Enter")
    until(page, lambda: page.locator("#picture").inner_text().split() == ["<b>", "a", "b", "<b>"])
    sent = [small.unpacked(body["x"]).tolist() for path, _, body in asked if path == "/api/encode"]
    assert sent == [[[2.0, 0.0, 1.0, 0.0]]]
    page.locator("#own-text").fill("a c")
    page.locator("#own-text").press("Enter")
    until(page, lambda: "\u201cc\u201d is not among" in page.locator("#verdict").inner_text())


def test_codes_of_a_book_have_no_sliders_but_points_and_samples(served, small):
    codes = np.arange(small.COUNT * 3, dtype=np.int32).reshape(-1, 3) % 8
    book = np.random.default_rng(0).uniform(0.1, 0.9, size=(8, small.AREA)).astype(np.float32)
    payload = small.payload(
        discrete=True,
        start=small.packed(codes[0]),
        samplers=[{"name": "uniform", "codes": small.packed(codes[:9]), "how": "drawn uniformly"}],
        uncertainty=False,
    )
    payload["points"]["codes"] = small.packed(codes)
    page, asked = served(payload, plain(small, lambda z: book[z[:, 0].astype(int)]))
    assert page.locator("input[type=range]").count() == 0
    assert "nothing between two entries" in page.locator("#sliders").inner_text()
    page.locator("#samples .grid button").nth(3).click()
    wanted = codes[3].tolist()
    until(page, lambda: any(small.unpacked(body["codes"]).tolist() == [wanted] for _, _, body in asked))


def test_the_server_is_asked_with_its_token_and_its_refusal_is_shown(served, small):
    healthy = plain(small, small.decode)
    broken = []

    def answer(path, body):
        return (400, {"error": "the run is <b>gone</b>"}) if broken else healthy(path, body)

    payload = small.payload(
        token="secret",
        uncertainty=False,
        samplers=[{"name": "prior", "codes": small.packed(small.DRAWN[:4]), "how": "drawn"}],
        context={"values": small.packed(np.eye(2, dtype=np.float32)), "names": ["left", small.HOSTILE]},
    )
    page, asked = served(payload, answer)
    assert all(headers["x-vaekit-token"] == "secret" for _, headers, _ in asked)
    assert small.unpacked(asked[-1][2]["context"])[0].tolist() == [1.0, 0.0]
    page.locator("#condition").select_option("1")
    until(page, lambda: small.unpacked(asked[-1][2]["context"])[0].tolist() == [0.0, 1.0])
    page.locator("#more").click()  # the four of the page have been seen: new ones come from the server
    until(page, lambda: any(path == "/api/sample" and body["sampler"] == "prior" for path, _, body in asked))
    broken.append(True)
    page.locator("#latent-0").fill("1.5")
    until(page, lambda: "the run is <b>gone</b>" in page.locator("[role=alert]").inner_text())
    broken.clear()
    page.locator("#latent-0").fill("1")
    until(page, lambda: not page.locator("[role=alert]").is_visible())


def test_the_server_draws_under_the_condition_that_is_chosen(served, small):
    healthy = plain(small, small.decode)

    def answer(path, body):
        if path != "/api/sample":
            return healthy(path, body)
        which = int(small.unpacked(body["context"])[0].argmax())
        drawn = np.full((body["n"], small.LATENTS), which + 0.1 * (body["seed"] % 10), dtype=np.float32)
        return 200, {"codes": small.packed(drawn)}

    payload = small.given(uncertainty=False)
    page, asked = served(payload, answer)
    first = page.locator("#samples .grid button").first
    page.locator("#more").click()
    page.locator("#more").click()  # those of the page have been seen

    def led_to():
        """The number to which the first sample leads: the condition, then the seed's last figure."""
        first.click()
        return page.locator("#latent-0").get_attribute("aria-valuetext")

    until(page, lambda: led_to().startswith("0.") and led_to().endswith("0"))
    seed = led_to()[1:]
    page.locator("#condition").select_option("2")
    until(page, lambda: led_to() == f"2{seed}")
    sent = [body for path, _, body in asked if path == "/api/sample"]
    assert [small.unpacked(body["context"]).tolist() for body in sent] == [
        [[1.0, 0.0, 0.0]],
        [[0.0, 0.0, 1.0]],
    ]
    assert sent[0]["seed"] == sent[1]["seed"]


def test_an_own_text_is_refined_by_the_server(served, small):
    better = np.array([[1.25, 0.5, -0.75]], dtype=np.float32)
    gains = iter([2.5, 0.0])

    def answer(path, body):
        if path != "/api/refine":
            return plain(
                small, lambda z: np.eye(3, dtype=np.float32)[[[0] * 4] * len(z)], encode=lambda x: x[:, :3]
            )(path, body)
        after = small.packed(np.array([next(gains) - 9], dtype=np.float32))
        return 200, {"codes": small.packed(better), "before": small.packed(np.float32([-9])), "after": after}

    payload = without_pictures(
        small, np.zeros((1, 4), dtype=np.int32), view="sequence", shape=[4], kind="categorical",
        vocabulary=["a", "b", "c"],
    )  # fmt: skip
    page, asked = served(payload, answer)
    assert not page.locator("#refine").is_visible()
    page.locator("#own-text").fill("baca")
    page.locator("#own-text").press("Enter")
    page.locator("#refine").click()
    until(page, lambda: "\u22129 before, \u22126.50 now" in page.locator("#verdict").inner_text())
    shown = [float(page.locator(f"#latent-{k}").get_attribute("aria-valuetext")) for k in range(3)]
    assert shown == [1.25, 0.5, -0.75]
    page.locator("#refine").click()  # from where it is now
    until(page, lambda: "No better code" in page.locator("#verdict").inner_text())
    sent = [body for path, _, body in asked if path == "/api/refine"]
    assert [body["steps"] for body in sent] == [7, 7]
    assert small.unpacked(sent[0]["x"]).tolist() == [[1.0, 0.0, 2.0, 0.0]]
    assert [small.unpacked(body["codes"]).tolist() for body in sent] == [[[1.0, 0.0, 2.0]], better.tolist()]


def test_a_sound_is_shown_and_played(served, small):
    bins, frames, window, hop = 9, 12, 16, 8
    tone = np.zeros((bins, frames), dtype=np.float32)
    tone[3] = 1.0
    payload = without_pictures(
        small,
        tone.reshape(1, 1, bins, frames),
        view="sound",
        shape=[1, bins, frames],
        display={"low": 0.0, "high": 1.0},
        sound={"rate": 8000, "window": window, "hop": hop, "low": -2.0, "high": 1.0},
    )
    page, _ = served(payload, plain(small, lambda z: np.tile(tone, (len(z), 1, 1))))
    look = "c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
    until(page, lambda: max(page.locator("#picture").evaluate(look)[0::4]) > 200)
    pixels = np.array(page.locator("#picture").evaluate(look)).reshape(bins, frames, 4)[..., 0]
    assert pixels[bins - 1 - 3].min() > 200  # low tones are below
    assert np.delete(pixels, bins - 1 - 3, axis=0).max() < 10
    page.locator("#listen").click()
    assert page.locator(".fault").is_visible() is False


@pytest.mark.parametrize("size", [12, 16])
def test_the_fourier_transform_is_that_of_numpy(context, size):
    x = np.random.default_rng(0).normal(size=(2, size))
    script = f"""() => {{ {joined(PAGE, "griffin")}
      const [re, im] = {json.dumps(x.tolist())};
      of_griffin.fourier(re, im);
      const there = [[...re], [...im]];
      of_griffin.fourier(re, im, true);
      return [there, [re, im]];
    }}"""
    page = context.new_page()
    there, back = np.array(page.evaluate(script))
    page.close()
    expected = np.fft.fft(x[0] + 1j * x[1])
    np.testing.assert_allclose(there[0] + 1j * there[1], expected, atol=1e-10)
    np.testing.assert_allclose(back, x, atol=1e-12)


def test_a_sound_is_found_again_from_its_spectrogram(context):
    """The waveform that the page plays has the magnitudes it was made from; its own analysis is torch's."""
    window, hop, frames = 48, 12, 40
    t = np.arange(hop * (frames - 1))
    wave = np.sin(0.4 * t) * np.hanning(len(t)) + 0.5 * np.sin(1.1 * t + 1)
    transformed = torch.stft(
        torch.from_numpy(wave),
        window,
        hop,
        window=torch.hann_window(window, dtype=torch.float64),
        return_complex=True,
    )
    magnitude = transformed.abs().numpy()
    sound = {"window": window, "hop": hop, "low": -6.0, "high": 2.0}
    payload = {"shape": [1, *magnitude.shape], "sound": sound}
    script = f"""() => {{ {joined(PAGE, "ownsound")}
      const wave = Float32Array.from({json.dumps(wave.tolist())});
      const magnitude = Float32Array.from({json.dumps(magnitude.reshape(-1).tolist())});
      const found = of_griffin.griffinLim(magnitude, {magnitude.shape[0]}, {frames}, {window}, {hop});
      const values = (x) => Array.from(of_ownsound.spectrogram(x, {json.dumps(payload)}));
      return [values(wave), values(found)];
    }}"""
    page = context.new_page()
    own, found = (10 ** (8 * np.array(v).reshape(magnitude.shape) - 6) for v in page.evaluate(script))
    page.close()
    np.testing.assert_allclose(own, magnitude, rtol=1e-4, atol=1e-4)
    assert np.linalg.norm(found - magnitude) / np.linalg.norm(magnitude) < 0.15
