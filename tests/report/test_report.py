"""The report: one file that asks for nothing, escapes everything, explains every picture, is whole."""

from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from vaekit import recipes
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.errors import UserError
from vaekit.report import Figure, Picture, report_html, write_report
from vaekit.report.codes import encode
from vaekit.report.columns import Columns
from vaekit.report.look import draw, label_text
from vaekit.report.pictures import Pixels
from vaekit.terms import Rate

KINDS = ["image", "table", "vector", "conditional", "quadrants", "chain"]
LOADS = {"src", "href", "srcset", "action", "poster", "data", "background", "xlink:href", "formaction"}
HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"


def written(run, **options):
    return write_report(run, **options).read_text(encoding="utf-8")


def check_page(text, Page):
    """What holds for every page, whatever it shows."""
    page = Page(text)
    assert not page.open
    names = {tag for tag, _ in page.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "audio", "video", "form", "base"}
    policy = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{tag} has {name}"
            if name in LOADS:
                assert value.startswith(("#", "data:image/png;base64,")), f"{tag} {name}={value[:60]}"
            for place in re.findall(r"url\(([^)]*)\)", value or ""):
                assert place.startswith("#"), f"{tag} {name} asks for {place}"
    assert "@import" not in text
    assert not re.search(r"(src|href)\s*=\s*[\"']?\s*(https?:|//|file:)", text)
    assert not re.search(r"url\(\s*[\"']?(?!#)", text)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    known = set(ids)
    for _, attributes in page.elements:
        target = attributes.get("href", "")
        if target.startswith("#"):
            assert target[1:] in known
        for place in re.findall(r"url\(#([^)]*)\)", " ".join(v or "" for v in attributes.values())):
            assert place in known
    for tag, attributes in page.elements:
        if tag == "img":
            assert len(attributes["alt"]) > 10
            with Image.open(io.BytesIO(base64.b64decode(attributes["src"].split(",")[1]))) as picture:
                picture.load()
    figures = [a["id"] for tag, a in page.elements if tag == "section" and a.get("class") == "figure"]
    for key in figures:
        inside = page.sections[key]
        drawn = [a for tag, a in inside if tag == "img" or a.get("role") == "img"]
        assert drawn or any(tag == "table" for tag, _ in inside)
        assert sum(tag == "svg" for tag, _ in inside) == sum(a.get("role") == "img" for _, a in inside)
        assert all(len(a.get("alt") or a.get("aria-label") or "") > 10 for a in drawn)
        how = page.said(key, "how")
        assert how.endswith(".")
        assert len(how) > 30
    return page, figures


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_has_a_whole_report(kind, make_run, page):
    run = make_run(kind)
    path = write_report(run)
    assert path == run.path / "report.html"
    assert path.stat().st_size < 1_500_000
    found, figures = check_page(path.read_text(encoding="utf-8"), page)
    expected = {"curves", "reconstructions", "nearest", "traversals", "map", "use", "prior"}
    expected |= {"columns"} if kind in ("table", "vector") else {"samples"}
    expected |= {"between"} if kind != "vector" else set()
    expected |= {"classes"} if kind == "image" else set()
    assert set(figures) == expected
    assert "note" not in {a.get("class") for _, a in found.elements}


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_has_its_chapter(kind, make_run, page):
    run = make_run(kind)
    rates = {"valid/rates": {"z 1": 0.5, "z 2": 0.001}}
    course = [row | rates for row in run.metrics()]
    run.metrics = lambda: course
    text = written(run)
    assert "history" in page(text).sections
    assert "<h2>How it learnt" in text
    assert "<h2>More" not in text


def test_same_run_same_page_and_the_callers_random_numbers_are_left_alone(make_run):
    run = make_run("image")
    before = torch.get_rng_state()
    first = written(run)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    assert written(run) == first
    assert not run.trained.training


def test_text_from_data_and_record_is_escaped(make_run, page):
    run = make_run("table", columns=(HOSTILE, "$\\frac{1}{0}$", "age\x00\x1b"))
    run.spec = replace(run.spec, name=HOSTILE, note=HOSTILE)
    run.record |= {"recipe": HOSTILE, "versions": {HOSTILE: HOSTILE}, "arguments": {HOSTILE: HOSTILE}}
    run.record |= {"started": HOSTILE, "seed": HOSTILE, "device": HOSTILE, "evaluation": {"seed": HOSTILE}}
    run.record |= {"data": {"source": HOSTILE}, "training": {HOSTILE: [HOSTILE]}, "status": HOSTILE}
    text = written(run)
    check_page(text, page)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search("[\x00\x1b]", text)
    assert "<img src=x" not in text


def test_names_of_terms_and_classes_are_escaped_in_drawings(make_run, rows, page):
    run = make_run("image")
    run.spec = replace(run.spec, class_names=("<b>", "&amp;", "$x^2$", HOSTILE))
    text = written(run)
    check_page(text, page)
    assert "<script" not in text
    hostile = [{**row, f"train/{HOSTILE}": 1.0} for row in rows]
    text = report_html("title", {}, hostile, [], None)
    check_page(text, page)
    assert "<script" not in text


def test_figures_of_the_evaluation_stand_in_strip_and_table(page, evaluation):
    found, _ = check_page(report_html("t", {}, [], [], evaluation), page)
    strip = found.said(None, "value")
    for value in ("\u221221.25", "18.50", "2.750", "20.50", "0.462", "2 of 3"):
        assert value in strip
    assert "± 0.31" in found.said(None, "error")
    assert "5000 importance samples each" in found.said(None, "unit")
    table = found.said("numbers", "unit")
    assert "40 test data, 5000 importance samples each, 812 effective (median)" in table
    assert "N = 40" in table
    rows = [tag for tag, a in found.sections["numbers"] if tag == "th" and a.get("scope") == "row"]
    reads = found.text[("numbers", "read")]
    assert len(rows) == 8
    assert len([text for text in reads if text.strip().endswith(".")]) == 8
    summary = found.said(None, "summary")
    assert "0.75 nats below" in summary  # -nll - elbo = -20.5 + 21.25
    assert "1 of 3 latents carries nothing" in summary


def test_without_an_evaluation_the_best_epoch_stands_in(make_run, page):
    run = make_run("table")
    del run.record["evaluation"]
    text = written(run)
    found, figures = check_page(text, page)
    assert "use" in figures
    strip = found.said(None, "value")
    assert "\u221217" in strip  # epoch 5: valid/elbo = 4 - 21
    assert "at epoch 5" in found.said(None, "summary")
    assert "measure the likelihood" in text


def test_a_run_without_data_or_weights_says_so(make_run, page):
    run = make_run("table")
    run.splits = None
    found, figures = check_page(written(run), page)
    assert figures == ["curves"]
    assert "the data at table.csv are gone" in found.said(None, "note")


def test_a_run_that_was_interrupted_says_so_and_how_to_go_on(make_run, page):
    run = make_run("image", status="interrupted", evaluation=None)
    run.splits = None
    text = written(run)
    found, _ = check_page(text, page)
    assert "interrupted" in found.said(None, "note")
    assert f"vaekit resume {run.path}" in text


def test_a_page_of_nothing_but_a_title(page):
    found, figures = check_page(report_html("a title", {}, [], [], None), page)
    assert not figures
    assert found.said(None, "h1") == "a title"


def test_numbers_that_are_missing_or_not_finite_break_nothing(page, evaluation):
    rows = [{"epoch": 1, "train/loss": None, "valid/loss": float("nan")}, {"epoch": 2, "train/loss": 3.0}]
    evaluation |= {"nll": None, "nll_se": None, "notes": {"nll": "a point mass has no density"}}
    found, figures = check_page(report_html("t", {"best": {}}, rows, [], evaluation), page)
    assert figures == ["curves"]
    assert "NLL" not in found.said(None, "dt")
    assert "No Negative log-likelihood: a point mass has no density" in found.said("numbers", "caption")


def test_a_failed_write_leaves_the_old_report(make_run, monkeypatch):
    run = make_run("image")
    run.splits = None
    path = write_report(run)
    path.write_text("the old one", encoding="utf-8")

    def refuse(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UserError, match="No space left"):
        write_report(run)
    assert path.read_text(encoding="utf-8") == "the old one"
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_out_names_another_place(make_run, tmp_path):
    place = tmp_path / "elsewhere.html"
    run = make_run("chain")
    run.splits = None
    assert write_report(run, out=place) == place
    assert not (run.path / "report.html").exists()
    with pytest.raises(UserError, match="cannot write"):
        write_report(run, out=tmp_path / "nowhere" / "report.html")


def test_the_best_epoch_and_the_values_of_the_curves(rows, page):
    record = {"best": {"epoch": 5, "value": 1}}
    found, _ = check_page(report_html("t", record, rows, [], None), page)
    labels = [a["aria-label"] for _, a in found.sections["curves"] if a.get("role") == "img"]
    assert [text.split(" over")[0] for text in labels] == ["Loss: what is minimised", "Distortion", "Rate"]
    assert "training from 18 at epoch 1 to 13 at epoch 6; held-out from 19 at epoch 1 to 14" in labels[1]
    assert "best epoch (5)" in found.said("curves", "keys") + found.said("curves", "li")
    other = [{**row, "valid/elbo": row["valid/elbo"] - 3} for row in rows]  # a loss that is not the bound
    found, _ = check_page(report_html("t", record, other, [], None), page)
    assert sum(a.get("role") == "img" for _, a in found.sections["curves"]) == 4


def test_reconstructions_are_pixel_for_pixel_the_models(make_run):
    run = make_run("image")
    with torch.no_grad():
        codes = encode(run.trained, run.splits.test, 12)
        pixels = Pixels.of(run.spec, codes.batch["x"])
        tiles = pixels.values(codes.batch["x"])
        picture = pixels.grid(tiles, 12, "twelve pictures")
    image = np.asarray(Image.open(io.BytesIO(picture.png)))
    gap = max(1, round(4 / pixels.zoom))
    assert image.shape == (6, 12 * 6 + 11 * gap, 2)
    for i in range(12):
        left = i * (6 + gap)
        assert np.array_equal(image[:, left : left + 6, 0], np.rint(tiles[i, 0].numpy() * 255))
    assert (image[:, 6 : 6 + gap, 1] == 0).all()
    assert picture.crisp


def test_colour_and_large_pictures_stay_within_the_size(make_run, page):
    spec = Spec("photos", (3, 128, 128), "unit", 40)
    x = torch.rand(100, 3, 128, 128)
    source = make_run("image")
    model = recipes.vae(spec, latents=12, hidden=(4,), architecture="mlp").model.eval()
    data = source.splits
    some = [ArrayData(spec, x[: len(part)]) for part in (data.train, data.valid, data.test)]
    run = replace(source, spec=spec, trained=model, splits=Splits(*some))
    path = write_report(run)
    check_page(path.read_text(encoding="utf-8"), page)
    assert path.stat().st_size < 2_500_000
    assert "shrunk to 96x96" in path.read_text(encoding="utf-8")


def test_rates_of_a_flat_model_add_up_to_its_rate(make_run):
    run = make_run("image")
    codes = encode(run.trained, run.splits.test, 40)
    with torch.no_grad():
        trace = run.trained(codes.batch)
    latent = trace.latents["z"]
    whole = torch.distributions.kl_divergence(latent.q, latent.p).mean()
    torch.testing.assert_close(codes.rates.sum(), whole)
    assert codes.labels == ["z 1", "z 2", "z 3"]
    assert codes.order == sorted(range(3), key=lambda i: -float(codes.rates[i]))


def test_rates_of_a_chain_are_the_ratio_at_its_draws(make_run):
    run = make_run("chain")
    codes = encode(run.trained, run.splits.test, 40)
    assert codes.labels == ["z1 1", "z1 2", "z1 3", "z1 4", "z2 1", "z2 2"]
    with torch.no_grad():
        draws = [Rate("auto")(run.trained(codes.batch)).mean() for _ in range(150)]
        own = [encode(run.trained, run.splits.test, 40).rates.sum() for _ in range(150)]
    difference = torch.stack(draws).mean() - torch.stack(own).mean()
    error = (torch.stack(draws).var() / 150 + torch.stack(own).var() / 150).sqrt()
    assert abs(difference) < 4 * error + 1e-6


def test_walks_move_one_latent_and_reach_the_data_from_the_top_of_a_chain(make_run):
    run = make_run("chain")
    flat = make_run("image")
    with torch.no_grad():
        codes = encode(run.trained, run.splits.test, 20)
        values = torch.linspace(-3, 3, 5)
        for column in range(6):
            walk = codes.walk(0, column, values)
            assert walk.shape == (5, 1, 6, 6)
            assert not torch.equal(walk[0], walk[-1])
        codes = encode(flat.trained, flat.splits.test, 20)
        rows = codes.means[:1].repeat(5, 1)
        rows[:, 1] = values
        torch.testing.assert_close(codes.walk(0, 1, values), flat.trained.decode({"z": rows}).mean)


def test_tables_are_shown_in_their_original_units(make_run):
    run = make_run("table")
    x = run.splits.test.take(range(10))["x"]
    shown = Columns.of(run.spec, x).values(x)
    np.testing.assert_allclose(shown, x.double().numpy() * [10, 12, 15] + [170, 70, 40], rtol=1e-6)
    text = written(run)
    assert "Original units." in text
    mean = run.splits.test.x[:, 0].double().mean() * 10 + 170
    assert f"Column height: mean {float(mean):.4g}" in text


def test_two_latents_are_drawn_as_they_are(make_run, page):
    found, figures = check_page(written(make_run("image", latents=2)), page)
    assert "plane" in figures
    assert "the two latents themselves" in found.said("map", "caption")
    assert "coloured by class" in found.said("map", "caption")


def test_more_latents_are_projected_and_labels_may_be_absent(make_run, page):
    found, figures = check_page(written(make_run("image", latents=3, classes=None)), page)
    assert "plane" not in figures
    assert "principal components of all 3 latents" in found.said("map", "caption")
    assert "coloured" not in found.said("map", "caption")


def test_one_latent_and_few_data(make_run, page):
    run = make_run("image", latents=1)
    splits = run.splits
    run.splits = Splits(*(part.subset([0]) for part in (splits.train, splits.valid, splits.test)))
    check_page(written(run), page)


def test_a_drawing_takes_its_colours_from_the_page_and_its_names_are_its_own():
    picture = draw("one", "a line", lambda ax: ax.plot([0, 1], [1, 0]) and ax.set_title("a<b & $c$"))
    assert "a&lt;b &amp; $c$" in picture.svg
    assert "var(--soft)" in picture.svg
    assert "#0102" not in picture.svg
    assert "http" not in picture.svg
    other = draw("two", "a line", lambda ax: ax.plot([0, 1], [1, 0]) and ax.set_title("a<b & $c$"))
    ids = [set(re.findall(r'id="([^"]*)"', p.svg)) for p in (picture, other)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_names_in_drawings_are_short_and_clean():
    assert label_text("a\x00b\n c") == "ab c"
    assert label_text("x" * 50) == "x" * 23 + "…"


def test_parts_refuse_what_cannot_be_shown():
    with pytest.raises(ValueError, match="alt"):
        Picture(alt="", svg="<svg></svg>")
    with pytest.raises(ValueError, match="exactly one"):
        Picture(alt="nothing")
    with pytest.raises(ValueError, match="no picture"):
        Figure("key", "title", "how.", ())
    with pytest.raises(ValueError, match="one sentence"):
        Figure("key", "title", "", (Picture(alt="a", svg="<svg></svg>"),))
    one = Figure("key", "title", "Look at it.", (Picture(alt="a drawing", svg="<svg></svg>"),))
    with pytest.raises(ValueError, match="once"):
        report_html("t", {}, [], [one, one], None)


def test_importing_the_package_loads_no_plotting():
    heavy = ("matplotlib", "jinja2", "PIL", "sklearn")
    code = f"import sys, vaekit.report; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
