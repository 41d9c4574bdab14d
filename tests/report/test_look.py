"""The page in a real browser: it fits a telephone, follows light and dark, and asks nobody for anything."""

from __future__ import annotations

import pytest

from vaekit.report import write_report


@pytest.mark.parametrize("kind", ["image", "table"])
def test_the_page_fits_says_nothing_and_asks_nobody(kind, make_run, browser):
    path = write_report(make_run(kind))
    for width, scheme in ((400, "dark"), (1400, "light")):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = context.new_page()
        said, asked = [], []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(path.as_uri())
        assert said == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert page.evaluate("document.documentElement.scrollWidth") == width
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(20, 23, 28)" if scheme == "dark" else "rgb(252, 252, 250)")
        page.click('nav a[href="#nearest"]')
        for _ in range(100):  # the page scrolls smoothly, and its policy forbids to wait inside of it
            top = page.evaluate("document.getElementById('nearest').getBoundingClientRect().top")
            if abs(top) < 3:
                break
            page.wait_for_timeout(30)
        assert abs(top) < 3
        widest = page.evaluate(
            "Math.max(...[...document.querySelectorAll('figure')].map(f => f.getBoundingClientRect().right))"
        )
        assert widest <= width
        if kind == "table":  # names of rows stay words, however narrow the page
            name = page.evaluate("document.querySelector('#between tbody th').getBoundingClientRect().width")
            assert name > 60
        context.close()
