"""What the page is told of a run."""

from __future__ import annotations

import base64
import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import vaekit
from vaekit.data import ArrayData, Splits
from vaekit.data.spec import Spec
from vaekit.errors import UserError
from vaekit.explorer import payload, samples
from vaekit.explorer.arrays import pack, unpack
from vaekit.explorer.directions import directions
from vaekit.explorer.loading import subject_of
from vaekit.explorer.points import SHEET, colours, plane, sheet
from vaekit.report.pictures import Pixels
from vaekit.runs import Run

KEYS = {
    "format", "title", "facts", "notes", "view", "shape", "kind", "levels", "display", "columns", "offset",
    "scale", "vocabulary", "sound", "classes", "latents", "order", "discrete", "points", "plane",
    "directions", "samplers", "start", "encoder", "uncertainty", "context", "refine",
}  # fmt: skip


@pytest.mark.parametrize("name", ["digits", "table", "squares"])
def test_it_is_json_and_the_same_every_time(name, request):
    first = request.getfixturevalue(f"{name}_payload")
    assert set(first) == KEYS
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    before = torch.random.get_rng_state()
    assert payload(request.getfixturevalue(f"{name}_run")) == first
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", ["digits", "table", "squares"])
def test_codes_are_those_of_the_data(name, request):
    found, run = (request.getfixturevalue(f"{name}_{what}") for what in ("payload", "run"))
    subject = subject_of(run)
    codes = unpack(found["points"]["codes"])
    assert len(codes) == len(run.data().test)
    x = subject.codes.batch["x"]
    with torch.no_grad():
        assert torch.allclose(run.model().encode({"x": x})["z"], codes, atol=1e-6)
    assert torch.equal(unpack(found["start"]), codes[0])
    for i, latent in enumerate(found["latents"]):
        draws = subject.codes.draws[:, i]
        assert latent["mean"] == pytest.approx(float(draws.mean()), abs=1e-6)
        assert latent["std"] == pytest.approx(float(draws.std()), abs=1e-6)
        assert latent["low"] == pytest.approx(latent["mean"] - 3 * latent["std"], abs=1e-5)
        assert latent["high"] == pytest.approx(latent["mean"] + 3 * latent["std"], abs=1e-5)
        assert latent["name"] == f"z {i + 1}"
    rates = [latent["rate"] for latent in found["latents"]]
    assert [rates[i] for i in found["order"]] == sorted(rates, reverse=True)


def test_pictures_are_those_of_the_points(squares_payload, squares_run):
    about = squares_payload["points"]["pictures"]
    raw = base64.b64decode(about["png"].removeprefix("data:image/png;base64,"))
    assert len(raw) <= SHEET
    whole = np.asarray(Image.open(io.BytesIO(raw)))
    assert (about["width"], about["height"], about["count"]) == (64, 64, 80)
    x = subject_of(squares_run).codes.batch["x"]
    for i in (0, 1, 79):
        down, across = divmod(i, about["across"])
        tile = whole[down * 64 : down * 64 + 64, across * 64 : across * 64 + 64]
        assert np.array_equal(tile, (x[i, 0] * 255).byte().numpy())


@pytest.mark.parametrize(("channels", "count"), [(1, 40), (3, 400)])
def test_pictures_that_weigh_too_much_become_smaller_and_fewer(channels, count, monkeypatch):
    from vaekit.explorer import points

    monkeypatch.setattr(points, "SHEET", 60_000)
    noise = torch.rand(count, channels, 80, 40)
    spec = Spec("noise", (channels, 80, 40), "unit", count)
    about = sheet(Pixels.of(spec, noise), noise, None)
    raw = base64.b64decode(about["png"].split(",")[1])
    assert len(raw) <= 60_000
    assert about["height"] == 2 * about["width"]
    assert 1 <= about["count"] <= count
    size = Image.open(io.BytesIO(raw)).size
    rows = -(-about["count"] // about["across"])
    assert size == (about["across"] * about["width"], rows * about["height"])


def test_a_table_brings_its_rows_its_names_and_its_constants(table_payload, table_run):
    spec = table_run.spec
    assert table_payload["view"] == "values"
    assert table_payload["columns"] == list(spec.columns) == ["age", "income", '<b>"x"</b> & y', "height"]
    assert table_payload["offset"] == list(spec.offset)
    assert table_payload["scale"] == list(spec.scale)
    rows = unpack(table_payload["points"]["values"])
    assert torch.equal(rows, subject_of(table_run).codes.batch["x"])
    income = next(c for c in table_payload["points"]["colours"] if c["name"] == "income")
    original = rows[:, 1] * spec.scale[1] + spec.offset[1]
    assert torch.allclose(unpack(income["values"]), original, rtol=1e-5, atol=1e-3)
    assert table_payload["points"]["pictures"] is None
    assert (table_payload["plane"]["kind"], table_payload["plane"]["axes"]) == ("pair", [0, 1])


def test_factors_are_colours_and_constants_are_not(squares_payload):
    found = {c["name"]: c for c in squares_payload["points"]["colours"]}
    assert set(found) == {"hollow", "x", "y", "size"}
    assert found["hollow"]["kind"] == found["size"]["kind"] == "class"
    assert found["hollow"]["names"] == ["0", "1"]
    assert found["x"]["kind"] == "number"


def test_unknown_labels_and_parameters_stay_unknown():
    spec = Spec("s", (2,), "real", 4, classes=2, class_names=("a", "b"))
    batch = {"x": torch.zeros(4, 2), "y": torch.tensor([0, 1, -1, 1])}
    (label,) = colours(spec, batch)
    assert unpack(label["values"]).tolist() == [0, 1, -1, 1]
    assert label["names"] == ["a", "b"]
    assert colours(spec, {**batch, "y": torch.full((4,), -1)}) == []
    theta = Spec("s", (2,), "real", 4, theta=("heat",))
    (heat,) = colours(theta, {"x": batch["x"], "theta": torch.tensor([[1.0], [torch.nan], [2.0], [3.0]])})
    assert unpack(heat["values"]).isnan().tolist() == [False, True, False, False]


def test_the_map_is_that_of_principal_components():
    z = torch.randn(400, 6) @ torch.diag(torch.tensor([0.1, 3.0, 0.2, 0.1, 2.0, 0.3])) + 5
    found = plane(z)
    components, centre = unpack(found["components"]), unpack(found["centre"])
    assert torch.allclose(components @ components.T, torch.eye(2), atol=1e-5)
    assert torch.allclose(centre, z.mean(0), atol=1e-5)
    places = (z - centre) @ components.T
    exact = torch.linalg.svdvals(z - z.mean(0))[:2]
    assert torch.allclose(places.norm(dim=0), exact, rtol=1e-4)
    assert components[0].abs().argmax() == 1
    assert components[0, 1] > 0


def test_a_map_of_one_latent_is_a_line():
    found = plane(torch.randn(9, 1))
    assert unpack(found["components"]).tolist() == [[1.0], [0.0]]


def test_directions_are_differences_of_means_and_slopes():
    z, y = torch.randn(300, 3), torch.arange(300) % 3
    z[y == 1] += torch.tensor([2.0, 0.0, -1.0])
    heat = 0.5 * z[:, 1] + 7
    given = [
        {"name": "label", "kind": "class", "values": pack(y.int()), "names": ["0", "one", "2"]},
        {"name": "heat", "kind": "number", "values": pack(heat)},
        {"name": "nothing", "kind": "number", "values": pack(torch.randn(300))},
        {"name": "constant", "kind": "number", "values": pack(torch.ones(300))},
    ]
    found = {d["name"]: unpack(d["vector"]) for d in directions(z, given)}
    assert set(found) == {"class 0", "one", "class 2", "heat"}
    assert torch.allclose(found["one"], z[y == 1].mean(0) - z[y != 1].mean(0), atol=1e-5)
    centred = heat - heat.mean()
    slope = (z - z.mean(0)).T @ centred / centred.square().sum()  # least squares of the codes on the number
    assert torch.allclose(found["heat"], slope * centred.square().mean().sqrt(), atol=1e-5)


def test_directions_leave_unknown_data_out():
    z = torch.randn(40, 2)
    y = torch.arange(40) % 2
    z[y == 1] += 3
    z[:10] += 1000
    y[:10] = -1
    label = {"name": "label", "kind": "class", "values": pack(y.int()), "names": ["a", "b"]}
    found = directions(z, [label])[1]
    known = z[10:], y[10:]
    assert torch.allclose(
        unpack(found["vector"]), known[0][known[1] == 1].mean(0) - known[0][known[1] == 0].mean(0), atol=1e-4
    )


# -- other models ------------------------------------------------------------


def trained(folder, name, recipe, data="digits", **arguments):
    path = folder / name
    if path.exists():
        return Run.open(path)
    return vaekit.train(recipe, data, steps=1, device="cpu", out=path, **arguments)


def test_codes_of_a_codebook_are_whole_numbers(folder):
    run = trained(folder, "vq", "vq_vae")
    found = payload(run)
    assert found["discrete"]
    assert found["plane"] is None
    assert found["directions"] == []
    assert [s["name"] for s in found["samplers"]] == ["stages", "prior"]
    for packed in (found["points"]["codes"], found["start"], *(s["codes"] for s in found["samplers"])):
        assert packed["dtype"] == "int32"
    subject = subject_of(run)
    codes = unpack(found["samplers"][0]["codes"])
    mean, _ = subject.decode(codes, None)
    assert mean.shape == (len(codes), 1, 8, 8)


def test_classes_are_conditions_to_choose_from(given_payload, given_run):
    assert given_payload["context"]["names"] == [str(k) for k in range(10)]
    assert torch.equal(unpack(given_payload["context"]["values"]), torch.eye(10))
    # the page begins under the first class, at a datum of this class
    codes = subject_of(given_run).codes
    first = int((codes.batch["y"] == 0).nonzero()[0])
    assert torch.equal(unpack(given_payload["start"]), codes.means[first])


def test_samples_of_a_condition_come_from_its_own_prior(given_payload, given_run):
    (prior,) = given_payload["samplers"]
    assert prior["conditional"]
    codes = unpack(prior["codes"])
    assert codes.shape == (10, 64, 3)
    with torch.no_grad():
        p = given_run.model().priors[0](torch.eye(10))
    noise = (codes - p.mean.unsqueeze(1)) / p.stddev.unsqueeze(1)
    assert torch.allclose(noise, noise[:1].expand_as(noise), atol=1e-3)  # the same for every condition
    assert noise.std() == pytest.approx(1, abs=0.15)
    # which would not be so for the codes of another class
    apart = (p.mean[1:] - p.mean[:1]) / p.stddev[0]
    assert apart.abs().amax(1).min() > 3


def test_samplers_that_look_at_no_condition_are_drawn_from_once(folder, given_run):
    options = {"context": "labels"}
    run = trained(folder, "one-prior", "cvae", latents=3, hidden=(8,), prior="standard", data_options=options)
    (prior,) = payload(run)["samplers"]
    assert not prior["conditional"]
    assert unpack(prior["codes"]).shape == (64, 3)
    path = folder / "fitted-given"
    shutil.copytree(given_run.path, path)
    fitted = Run.open(path)
    vaekit.fit_sampler(fitted, "hypersphere")
    assert [s["conditional"] for s in payload(fitted)["samplers"]] == [True, False]


def test_many_conditions_have_fewer_samples_each(given_run, monkeypatch):
    subject = subject_of(given_run)
    many = replace(subject, contexts=(torch.eye(10).repeat(5, 1)[:47], [str(k) for k in range(47)]))
    assert samples.drawn(many, "prior")[0].shape == (47, 64, 3)
    monkeypatch.setattr(samples, "_NUMBERS", 1000)
    codes, conditional = samples.drawn(many, "prior")
    assert conditional
    assert codes.shape == (47, 7, 3)  # 987 numbers
    assert torch.equal(codes[46], subject.draw("prior", 7, 0, torch.eye(10)[6:7]))
    monkeypatch.setattr(samples, "_NUMBERS", 10)
    assert samples.drawn(many, "prior")[0].shape == (47, 1, 3)


def test_of_very_many_classes_the_page_offers_some(given_run, monkeypatch):
    from vaekit.explorer import loading

    monkeypatch.setattr(loading, "_CLASSES", 4)
    found = payload(given_run)
    assert found["context"]["names"] == ["0", "1", "2", "3"]
    assert torch.equal(unpack(found["context"]["values"]), torch.eye(4, 10))
    assert any("first 4 of the 10 classes" in note for note in found["notes"])


def test_conditions_that_are_labels_are_known_without_being_told(folder):
    y = torch.arange(30) % 3
    spec = Spec("mine", (3,), "real", 30, context=(3,), classes=3, class_names=("a", "b", "c"))
    data = ArrayData(spec, torch.randn(30, 3), y=y, c=torch.eye(3)[y])
    run = trained(folder, "mine", "cvae", Splits(data, data, data), latents=2, hidden=(8,))
    assert payload(run)["context"]["names"] == ["a", "b", "c"]


def test_codes_are_refined_where_there_is_a_density_to_go_uphill_on(digits_payload, given_payload, folder):
    assert digits_payload["refine"] == given_payload["refine"] == {"steps": 40}
    assert payload(trained(folder, "vq", "vq_vae"))["refine"] is None
    options = {"context": "quadrant2"}
    part = trained(folder, "quadrants", "cvae", latents=3, hidden=(8,), data_options=options)
    assert payload(part)["refine"] is None  # nothing is encoded there
    label = trained(folder, "m2", "m2", latents=3, hidden=(8,), data_options={"labelled": 100})
    assert payload(label)["refine"] is None
    point = trained(folder, "id_gan", "id_gan")
    assert payload(point)["refine"] is None


def test_parts_of_pictures_become_whole_ones(folder):
    options = {"context": "quadrant2"}
    run = trained(folder, "quadrants", "cvae", latents=3, hidden=(8,), data_options=options)
    found = payload(run)
    assert (found["view"], found["shape"], found["encoder"]) == ("image", [1, 8, 8], False)
    subject = subject_of(run)
    z, given = torch.randn(2, 3), unpack(found["context"]["values"])[:2]
    whole, _ = subject.decode(z, given)
    hidden = run.model().decode({"z": z}, given).mean
    assert torch.equal(whole, vaekit.data.assemble(run.spec, hidden, given))
    assert torch.equal(subject.model.decode({"z": z}, given).mean, whole)
    x = vaekit.data.assemble(run.spec, torch.rand(2, 32), given)
    again = subject.model.encode({"x": x, "c": given})["z"]
    part = x.flatten(1)[:, subject.model.hidden]
    assert torch.equal(again, run.model().encode({"x": part, "c": given})["z"])


def test_a_label_that_is_a_latent_has_sliders_from_none_to_all(folder):
    run = trained(folder, "m2", "m2", latents=3, hidden=(8,), data_options={"labelled": 100})
    found = payload(run)
    shares = [latent for latent in found["latents"] if latent["name"].startswith("y ")]
    assert [latent["name"] for latent in shares] == [f"y {k}" for k in range(10)]
    assert all((latent["low"], latent["high"]) == (0.0, 1.0) for latent in shares)


def test_a_stage_on_the_data_takes_over(folder):
    run = trained(folder, "id_gan", "id_gan")
    subject = subject_of(run)
    z = torch.randn(2, subject.size)
    with torch.no_grad():
        expected = run.generator().decode({"z": z}).mean
        assert not torch.equal(expected, run.model().decode({"z": z}).mean)
    assert torch.equal(subject.decode(z, None)[0], expected)
    assert list(subject.samplers) == ["prior"]
    assert not payload(run)["uncertainty"]


def test_samplers_of_the_run_come_beside_the_prior(digits_run, folder):
    path = folder / "with-sampler"
    shutil.copytree(digits_run.path, path)
    run = Run.open(path)
    vaekit.fit_sampler(run, "hypersphere")
    found = payload(run)
    assert [s["name"] for s in found["samplers"]] == ["prior", "hypersphere"]
    norms = unpack(found["samplers"][1]["codes"]).norm(dim=1)
    assert torch.allclose(norms, norms[:1], atol=1e-4)
    (path / "samplers" / "mixture.safetensors").write_bytes(b"broken")
    noted = payload(run)
    assert [s["name"] for s in noted["samplers"]] == ["prior", "hypersphere"]
    assert "mixture" in noted["notes"][0]


def test_tokens_are_shown_by_their_probabilities(folder):
    spec = Spec("words", (6,), "categorical", 60, levels=4, vocabulary=("a", "b", "<", "\u2028"))
    data = ArrayData(spec, torch.randint(4, (60, 6)))
    run = trained(folder, "words", "vae", Splits(data, data, data), latents=2, hidden=(8,))
    found = payload(run)
    assert (found["view"], found["vocabulary"]) == ("sequence", ["a", "b", "<", "\u2028"])
    assert found["points"]["values"]["dtype"] == "int32"
    assert not found["uncertainty"]
    mean, stddev = subject_of(run).decode(torch.randn(3, 2), None)
    assert mean.shape == (3, 6, 4)
    assert torch.allclose(mean.sum(-1), torch.ones(3, 6), atol=1e-5)
    assert stddev is None


def test_black_and_white_of_real_pictures_are_those_of_the_data(folder):
    spec = Spec("field", (1, 5, 5), "real", 30)
    data = ArrayData(spec, 40 * torch.randn(30, 1, 5, 5))
    run = trained(folder, "field", "vae", Splits(data, data, data), latents=2, hidden=(8,))
    found = payload(run)
    x = subject_of(run).codes.batch["x"]
    assert found["display"] == {"low": float(x.min()), "high": float(x.max())}
    assert found["uncertainty"]


# -- what cannot be had ------------------------------------------------------------


def test_without_data_the_prior_says_how_far_the_sliders_go(squares_run):
    run = Run.open(squares_run.path)  # its data were in memory
    found = payload(run)
    assert found["points"] is None
    assert found["plane"] is None
    assert found["directions"] == []
    assert "in memory" in found["notes"][0]
    assert unpack(found["start"]).shape == (6,)
    for latent in found["latents"]:
        assert latent["rate"] is None
        assert latent["used"]
        assert latent["low"] == pytest.approx(-3, abs=0.3)
        assert latent["high"] == pytest.approx(3, abs=0.3)


def test_conditions_that_are_gone_are_asked_for(folder):
    spec = Spec("given", (3,), "real", 20, context=(2,), classes=2)  # conditions that are no labels
    data = ArrayData(spec, torch.randn(20, 3), c=torch.randn(20, 2))
    run = trained(folder, "given", "cvae", Splits(data, data, data), latents=2, hidden=(8,))
    assert len(payload(run)["context"]["names"]) == 20
    assert torch.equal(unpack(payload(run)["context"]["values"]), data.c)
    with pytest.raises(UserError, match="conditions"):
        payload(Run.open(run.path))


def test_a_model_without_latents_is_refused(folder):
    data = ArrayData(Spec("rows", (2,), "real", 20), torch.randn(20, 2))
    run = trained(folder, "density", "flow_density", Splits(data, data, data))
    with pytest.raises(UserError, match="no latents"):
        payload(run)


def test_an_unfinished_run_is_shown_as_far_as_it_got(digits_run, folder):
    path = folder / "unfinished"
    shutil.copytree(digits_run.path, path)
    run = Run.open(path)
    run.update(status="interrupted")
    assert "interrupted" in payload(run)["notes"][0]
    (path / "weights.safetensors").unlink()
    with pytest.raises(UserError, match="vaekit resume"):
        payload(Run.open(path))


# -- arrays ------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [torch.randn(3, 4), torch.arange(6).view(2, 3), torch.zeros(0, 2), torch.tensor(2.5)]
)
def test_arrays_come_back(values):
    packed = pack(values)
    assert packed["shape"] == list(values.shape)
    assert torch.equal(unpack(packed).to(values.dtype), values)


def test_arrays_are_little_endian():
    assert base64.b64decode(pack(torch.tensor([1]))["data"]) == b"\x01\0\0\0"
    assert base64.b64decode(pack(torch.tensor([1.0]))["data"]) == b"\0\0\x80\x3f"
