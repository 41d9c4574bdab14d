"""The exported page in a real browser: opened from a file, without a network."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
import torch

from vaekit.explorer import assemble

LOOK = """() => {
  const canvas = document.getElementById("picture");
  const image = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from(image.data);
}"""
NAMELESS = """() => [...document.querySelectorAll("button, input, select, canvas, a, summary, output")]
  .filter((element) => !element.closest("[aria-hidden]") && !element.closest("[hidden]"))
  .filter((element) => !element.getAttribute("aria-label") && !element.textContent.trim()
    && !element.labels?.length && !element.getAttribute("aria-labelledby"))
  .map((element) => element.outerHTML.slice(0, 120))"""


def until(true, seconds=8.0):
    """Wait until something is so: what a page computes, it computes in its own time."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not become so"
        time.sleep(0.02)


class Seen:
    """A page and what it did."""

    def __init__(self, browser, html, path):
        if html is not None:
            path.write_text(html, encoding="utf-8")
        self.context = browser.new_context(offline=True, viewport={"width": 1400, "height": 900})
        self.page = self.context.new_page()
        self.requests, self.said = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        # what the tests do to look at pictures, the browser would do otherwise
        self.page.on("console", lambda m: "willReadFrequently" in m.text or self.said.append(m.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.url = path.as_uri()
        self.page.goto(self.url)
        self.page.wait_for_selector("html[data-state]", state="attached")

    def picture(self):
        """Grey levels at the model's own resolution."""
        pixels = np.array(self.page.evaluate(LOOK)).reshape(-1, 4)
        assert (pixels[:, 3] == 255).all()
        return pixels[:, :3]

    def shows(self, expected):
        """Whether the picture is this, to one of 255 levels."""
        return bool((np.abs(self.picture() - np.asarray(expected).reshape(-1, 1)) <= 1.0).all())


@pytest.fixture(scope="module")
def seen(browser, small, tmp_path_factory):
    pytest.importorskip("onnx")
    html = assemble(small.payload(), graphs=small.graphs())
    found = Seen(browser, html, tmp_path_factory.mktemp("page") / "page.html")
    yield found
    # whatever the tests did to it, it asked nobody and complained of nothing
    assert found.requests == [found.url]
    assert found.said == []
    found.context.close()


@pytest.fixture
def page(seen):
    """The page at its start."""
    seen.page.set_viewport_size({"width": 1400, "height": 900})
    seen.page.locator("#reset").click()
    return seen.page


def test_the_first_picture_is_that_of_python(seen, small, page):
    until(lambda: seen.shows(small.levels(small.decode(small.CODES[0]))))


def test_sliders_move_the_picture_and_are_taken_back(seen, small, page):
    code = small.CODES[0].copy()
    slider = page.locator("#latent-1")
    for value in (-2.4, 0.3, 2.1):
        slider.fill(str(value))
        code[1] = float(slider.input_value())
        assert abs(code[1] - value) < 0.02
        until(lambda: seen.shows(small.levels(small.decode(code))))
    assert page.locator(".knob", has=slider).locator("output").inner_text() == f"{code[1]:.2f}"
    slider.dblclick()
    until(lambda: seen.shows(small.levels(small.decode(small.CODES[0]))))


def test_sliders_stand_in_the_order_of_use_and_idle_ones_are_folded_away(page):
    names = page.locator("#sliders .knob label").all_inner_texts()
    assert names[:2] == ["z 2", "z 1"]
    assert not page.locator("#latent-2").is_visible()
    page.locator("#sliders summary").click()
    assert page.locator("#latent-2").is_visible()


def test_small_pictures_show_where_a_slider_leads(seen, small, page):
    code = small.CODES[0].copy()
    middle = page.locator(".knob", has=page.locator("#latent-0")).locator(".strip canvas").nth(3)
    look = "c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
    code[0] = 1.5  # the fourth of five from -3 to 3
    expected = small.levels(small.decode(code))[0]
    until(lambda: (np.abs(np.array(middle.evaluate(look))[::4] - expected) <= 1.0).all())
    middle.click()
    until(lambda: seen.shows(expected))


def test_keys_move_sliders_and_do_what_the_help_says(seen, small, page):
    slider = page.locator("#latent-1")
    slider.focus()
    before = float(slider.input_value())
    page.keyboard.press("ArrowRight")
    assert 0 < float(slider.input_value()) - before < 0.1
    page.keyboard.press("r")
    until(lambda: seen.shows(small.levels(small.decode(small.CODES[0]))))
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    page.keyboard.press("p")  # plays the slider that has the focus
    until(lambda: abs(float(slider.input_value()) - before) > 0.2)
    page.keyboard.press("Escape")
    until(lambda: seen.shows(small.levels(small.decode(small.CODES[0]))))


def test_a_screen_reader_hears_names_and_what_happened(page):
    assert page.evaluate(NAMELESS) == []
    slider = page.locator("#latent-1")
    slider.fill("1.5")
    until(lambda: page.locator("#state").inner_text().startswith("z 2 is 1.50. Closest in the data: label "))
    assert slider.get_attribute("aria-valuetext") == "1.50"
    assert "z 2 is 1.50" in page.locator("#picture").get_attribute("aria-label")


def test_a_click_on_the_map_goes_there(seen, small, page):
    chart = page.locator("#map")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    # beside all data: two numbers move, the third stays
    chart.click(position={"x": 3, "y": 3})
    moved = [float(page.locator(f"#latent-{k}").get_attribute("aria-valuetext")) for k in range(3)]
    assert moved[0] < small.CODES[:, 0].min()
    assert moved[1] > small.CODES[:, 1].max()
    assert moved[2] == pytest.approx(float(small.CODES[0, 2]), abs=0.006)
    page.keyboard.press("Enter")  # to the nearest of the data, all of its code
    until(lambda: any(seen.shows(small.levels(small.decode(code))) for code in small.CODES))
    # on a datum: its picture and what is known of it, and a click loads its code
    tip = page.locator(".tip")
    middle = range(int(0.3 * box["height"]), int(0.8 * box["height"]), 14)
    for x, y in ((x, y) for y in middle for x in range(int(0.3 * box["width"]), int(0.7 * box["width"]), 14)):
        chart.hover(position={"x": x, "y": y})
        if tip.is_visible():
            break
    which = int(float(tip.inner_text().split("number ")[1]))
    assert tip.locator("canvas").count() == 1
    chart.click(position={"x": x, "y": y})
    until(lambda: seen.shows(small.levels(small.decode(small.CODES[which]))))
    before = float(page.locator("#latent-0").get_attribute("aria-valuetext"))
    page.keyboard.press("ArrowRight")
    until(lambda: float(page.locator("#latent-0").get_attribute("aria-valuetext")) > before)


def test_an_own_picture_is_encoded_and_comes_back(seen, small, page):
    from PIL import Image

    drawn = np.random.default_rng(3).integers(0, 256, size=(12, 10), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, format="PNG")
    given = {"name": "own.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    page.locator("#file").set_input_files(given)
    x = (0.1 + 0.8 * (drawn.reshape(-1) / 255)).astype(np.float32)
    code = small.encode(x)
    until(lambda: seen.shows(small.levels(small.decode(code))))
    assert not page.locator("#refine").is_visible()  # no server, no slopes
    for k in range(3):
        said = float(page.locator(f"#latent-{k}").get_attribute("aria-valuetext"))
        assert said == pytest.approx(float(code[0, k]), abs=0.0051)
    error = float(((x - small.decode(code)) ** 2).sum())
    said = page.locator("#verdict").inner_text()
    assert float(said.removeprefix("Squared error ").split()[0]) == pytest.approx(error, rel=0.01)
    page.locator("#invert").check()
    until(lambda: seen.shows(small.levels(small.decode(small.encode(1.0 - x)))))
    page.locator("#file").set_input_files({**given, "buffer": b"no picture"})
    until(lambda: "no picture that the browser can read" in page.locator("#verdict").inner_text())


def test_walks_go_straight_or_on_an_arc(seen, small, page):
    page.locator("#set-a").click()
    page.locator("#samples .grid button").nth(4).click()
    page.locator("#set-b").click()
    a, b = small.CODES[0], small.DRAWN[4]
    page.locator("#between").fill("0.5")
    until(lambda: seen.shows(small.levels(small.decode((a + b) / 2))))
    page.locator("#bend").select_option("round")
    page.locator("#between").fill("0.25")
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    arc = (np.sin(0.75 * angle) * a + np.sin(0.25 * angle) * b) / np.sin(angle)
    until(lambda: seen.shows(small.levels(small.decode(arc))))
    page.locator("#bend").select_option("straight")


def test_samples_are_those_that_were_drawn(seen, small, page):
    cells = page.locator("#samples .grid button")
    cells.nth(2).click()
    until(lambda: seen.shows(small.levels(small.decode(small.DRAWN[2]))))
    page.locator("#more").click()  # 24 of 30 have been seen: six new ones, then from the first on
    cells.nth(5).click()
    until(lambda: seen.shows(small.levels(small.decode(small.DRAWN[29]))))
    cells.nth(6).click()
    until(lambda: seen.shows(small.levels(small.decode(small.DRAWN[0]))))
    page.locator("#sampler").select_option("1")
    cells.nth(0).click()
    until(lambda: seen.shows(small.levels(small.decode(small.CODES[-1]))))


def levels_of(canvas):
    look = "c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
    return np.array(canvas.evaluate(look))[::4]


def test_another_condition_has_samples_of_its_own(browser, small, tmp_path):
    pytest.importorskip("onnx")
    found = Seen(browser, assemble(small.given(), graphs=small.graphs()), tmp_path / "page.html")
    page, cells = found.page, found.page.locator("#samples .grid button")

    def shown(codes):
        """Whether the first and the last picture are those of these codes, and lead to them."""
        for place in (0, 23):
            expected = small.levels(small.decode(codes[place]))
            until(
                lambda i=place, e=expected: (np.abs(levels_of(cells.nth(i).locator("canvas")) - e) <= 1).all()
            )
            cells.nth(place).click()
            until(lambda e=expected: found.shows(e))

    shown(small.GIVEN[0])
    page.locator("#condition").select_option("2")
    shown(small.GIVEN[2])
    assert "Drawn and shown given: right." in page.locator("#samples .caption").inner_text()
    page.locator("#random").click()
    until(lambda: any(found.shows(small.levels(small.decode(code))) for code in small.GIVEN[2]))
    page.locator("#more").click()
    page.locator("#condition").select_option("1")  # the same places of another condition
    shown(np.roll(small.GIVEN[1], -24, axis=0))
    assert small.HOSTILE in page.locator("#samples .caption").inner_text()
    page.locator("#sampler").select_option("1")
    shown(small.CODES[::-1])
    page.locator("#condition").select_option("0")  # of this sampler nothing hangs on it
    assert (
        "Drawn whatever the condition, and shown given: left."
        in page.locator("#samples .caption").inner_text()
    )
    shown(small.CODES[::-1])
    assert found.requests == [found.url]
    assert found.said == []
    found.context.close()


def test_an_attribute_moves_the_code_along_its_vector(seen, small, page):
    slider = page.locator("#direction-0")
    slider.fill("1")
    amount = float(slider.input_value())
    assert amount > 0.9
    until(lambda: seen.shows(small.levels(small.decode(small.CODES[0] + amount * small.WAY))))


def test_the_uncertainty_is_shown(seen, small, page):
    page.keyboard.press("u")
    spread = small.spread(small.CODES[0])[0]
    until(lambda: seen.picture().sum(1).argmax() == spread.argmax())
    assert f"up to {spread.max():.3f}" in page.locator("#about").inner_text()
    page.keyboard.press("u")
    until(lambda: seen.shows(small.levels(small.decode(small.CODES[0]))))


def test_texts_of_the_data_are_texts(seen, small, page):
    assert page.locator("h1").inner_text().startswith("small </script><img")
    assert small.HOSTILE in page.locator(".legend").text_content()
    assert page.locator("img").count() == 0
    assert page.evaluate("typeof window.hurt") == "undefined"


def test_nothing_is_wider_than_the_window(page):
    for width in (1400, 1000, 700, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_policy_stops_what_somebody_puts_in(seen, page):
    before = len(seen.said), len(seen.requests)
    stopped = seen.page.evaluate("""async () => {
      const stopped = [];
      document.addEventListener("securitypolicyviolation", (event) => stopped.push(event.effectiveDirective));
      const script = document.createElement("script");
      script.textContent = "window.hurt = 1";
      document.body.append(script);
      const image = document.createElement("img");
      image.src = "https://example.org/x.png";
      document.body.append(image);
      const far = document.createElement("script");
      far.src = "https://example.org/x.js";
      document.body.append(far);
      await fetch("https://example.org/").catch(() => {});
      await new Promise((go) => setTimeout(go, 100));
      return stopped;
    }""")
    assert {"script-src-elem", "img-src", "connect-src"} <= set(stopped)
    assert seen.page.evaluate("typeof window.hurt") == "undefined"
    assert len(seen.said) > before[0]  # the browser says what it stopped
    del seen.said[before[0] :]
    del seen.requests[before[1] :]  # begun, and stopped


@pytest.mark.slow
def test_the_page_of_a_conditional_run_shows_samples_of_its_prior(
    browser, given_run, given_payload, tmp_path
):
    """Under every condition that is chosen, with the graphs that are exported in truth."""
    pytest.importorskip("onnxscript")
    from vaekit.explorer.arrays import unpack
    from vaekit.explorer.export import export_page

    path = tmp_path / "page.html"
    export_page(given_run, path)
    found = Seen(browser, None, path)
    codes, classes = unpack(given_payload["samplers"][0]["codes"]), torch.eye(10)
    for k in (0, 7, 3):
        found.page.locator("#condition").select_option(str(k))
        found.page.locator("#samples .grid button").nth(2).click()
        with torch.no_grad():
            mean = given_run.model().decode({"z": codes[k, 2:3]}, classes[k : k + 1]).mean
        expected = 255 * mean.reshape(-1).numpy()
        until(lambda e=expected: found.shows(e))
    assert found.requests == [found.url]
    assert found.said == []
    found.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("which", ["digits_run", "squares_run"])
def test_the_page_of_a_trained_run_shows_what_its_model_decodes(browser, request, tmp_path, which):
    """From the run directory to pixels, with the graphs that are exported in truth."""
    pytest.importorskip("onnxscript")
    from vaekit.explorer.export import export_page
    from vaekit.explorer.loading import subject_of

    run = request.getfixturevalue(which)
    path = tmp_path / "page.html"
    export_page(run, path)
    subject = subject_of(run)
    seen = Seen(browser, None, path)
    code = subject.middle.clone().reshape(1, -1)

    def python():
        with torch.no_grad():
            mean = subject.decode(code, None)[0]
        return 255 * mean.clamp(0, 1).reshape(-1).numpy()

    until(lambda: seen.shows(python()))
    slider = seen.page.locator("#sliders .knobs input").first
    column = int(slider.get_attribute("id").removeprefix("latent-"))
    slider.focus()
    for key in ("End", "PageDown", "Home", "PageUp"):
        seen.page.keyboard.press(key)
        code[0, column] = float(slider.input_value())
        until(lambda: seen.shows(python()))
    assert seen.requests == [seen.url]
    assert seen.said == []
    seen.context.close()
