"""The numbers behind the figures, each against a computation of its own."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.distributions import Categorical, Independent, Normal

from vaekit import recipes
from vaekit.data.arrays import ArrayData
from vaekit.data.spec import Sound, Spec
from vaekit.disentanglement import discretise, mutual_information
from vaekit.errors import UnsupportedError
from vaekit.metrics.codes import code_shares
from vaekit.report import between, codebooks, copying, factors, groups, marginals, nearest, texts
from vaekit.report.codes import encode
from vaekit.report.columns import Columns
from vaekit.report.curves import curves, recorded
from vaekit.report.history import history
from vaekit.report.pictures import Pixels
from vaekit.report.write import write_report

from .conftest import run_of, splits_of

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"


@pytest.fixture
def image(make_run):
    run = make_run("image")
    return run, encode(run.trained, run.splits.test, 40)


# -- nearest training data ---------------------------------------------------------------------------------


def test_nearest_training_data_are_those_of_brute_force(image):
    run, codes = image
    train = run.splits.train
    samples = torch.rand(7, 1, 6, 6)
    samples[3] = train.x[11].float()  # a planted copy
    found = nearest.find_nearest(samples, train, torch.arange(len(train)), codes)
    for i, sample in enumerate(samples):
        errors = [float(((sample - x.float()) ** 2).mean()) for x in train.x]
        assert float(found.distance[i]) == pytest.approx(math.sqrt(min(errors)), abs=1e-6)
        assert errors[int(found.rows[i])] == pytest.approx(min(errors), abs=1e-7)
    assert float(found.distance[3]) == 0
    assert torch.equal(train.x[int(found.rows[3])], train.x[11])


def test_pixels_that_are_drawn_stay_as_they_were_compared(make_run):
    run = make_run("image")
    grey = torch.randint(0, 256, (600, 1, 6, 6), dtype=torch.uint8)
    train = ArrayData(replace(run.spec, levels=256, size=600), grey, binarise=True)
    codes = encode(run.trained, run.splits.test, 40)
    found = nearest.find_nearest(codes.batch["x"], train, torch.arange(600), codes)
    direct = (codes.batch["x"] - found.x).square().flatten(1).mean(1).sqrt()
    torch.testing.assert_close(found.distance, direct)
    drawn = train.take(range(600))["x"]  # one block: the draw that was compared
    assert torch.equal(found.x, drawn[found.rows])
    best = torch.cdist(codes.batch["x"].flatten(1).double(), drawn.flatten(1).double()).min(1).values / 6
    torch.testing.assert_close(found.distance.double(), best, atol=1e-5, rtol=1e-5)


def test_only_the_given_rows_are_looked_at(image):
    run, codes = image
    query = run.splits.train.x[5:6].float()
    rows = torch.tensor([i for i in range(40) if not torch.equal(run.splits.train.x[i], query[0].long())])
    rows = rows[[i for i, row in enumerate(rows) if int(row) % 2 == 0]]
    found = nearest.find_nearest(query, run.splits.train, rows, codes)
    assert int(found.rows[0]) in rows.tolist()


def test_copying_is_the_chance_that_a_sample_is_nearer():
    near = nearest.Closeness(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 2.0, 3.0]), None, 5, 5)
    assert near.nearer == pytest.approx((3 + 1 + 0.5) / 6)  # 0 < all three; 2 < 3, and a tie
    assert near.nearer_se == pytest.approx(math.sqrt((2 + 3 + 1) / (12 * 2 * 3)))
    smooth = replace(near, rebuilt=torch.tensor([5.0]))
    assert smooth.nearer == 1.0
    alike = torch.linspace(0, 1, 50)
    assert nearest.Closeness(alike, alike, None, 5, 5).nearer == pytest.approx(0.5)


def test_a_model_that_copies_is_found_out(image):
    run, codes = image
    train = run.splits.train
    copies, _ = nearest.closeness(codes, train, train.x[:30].float(), smooth=True)
    assert copies.samples.max() == 0
    assert copies.nearer > 0.95
    words = copying.verdict(copies, "test")
    assert "nearer to the training data than unseen data do" in words
    assert "30 of 30 samples equal a training datum exactly" in words
    far, _ = nearest.closeness(codes, train, 5 + torch.rand(30, 1, 6, 6), smooth=True)
    assert far.nearer == 0
    assert "no sign of copying, and some" in copying.verdict(far, "test")
    honest, _ = nearest.closeness(codes, train, codes.batch["x"], smooth=False)
    assert honest.rebuilt is None
    assert honest.nearer == pytest.approx(0.5)
    assert "no sign of copying" in copying.verdict(honest, "test")


def test_held_out_and_reconstructed_distances_are_of_the_held_out_data(image):
    run, codes = image
    found, _ = nearest.closeness(codes, run.splits.train, torch.rand(4, 1, 6, 6), smooth=True)
    train = run.splits.train.x.float().flatten(1)
    with torch.no_grad():
        back = run.trained.decode({"z": codes.means}).mean
    for values, x in ((found.held, codes.batch["x"]), (found.rebuilt, back)):
        direct = torch.cdist(x.flatten(1).double(), train.double()).min(1).values / math.sqrt(36)
        torch.testing.assert_close(values.double(), direct, atol=1e-5, rtol=1e-5)


def test_the_pairs_show_a_sample_above_its_training_picture(image, monkeypatch):
    run, codes = image
    train = run.splits.train
    planted = train.x[:60].float().repeat(2, 1, 1, 1)[:60]

    class Copies:
        def generate(self, n, context=None):
            return Normal(planted[:n], 1.0)

    figure = copying.pictures_beside(Pixels.of(run.spec), replace(codes, source=Copies()), train, "test")
    image = np.asarray(Image.open(io.BytesIO(figure.pictures[0].png)))
    gap = image.shape[0] - 12
    assert np.array_equal(image[:6], image[6 + gap :])  # each sample equals its neighbour
    assert "later stages" in figure.caption
    assert "equal a training datum exactly" in figure.found


# -- nearest training texts --------------------------------------------------------------------------------


@pytest.fixture
def lines(tmp_path):
    """A model of short texts of the tokens a to d, as names: token 3 is no farther from 0 than token 1."""
    spec = Spec("lines", (6,), "categorical", 40, levels=4, vocabulary=("a", "b", "c", "<d>"))
    x = torch.randint(0, 4, (100, 6), generator=torch.Generator().manual_seed(0)).float()
    run = run_of(tmp_path, spec, recipes.vae(spec, latents=2, hidden=(8,)).model, splits_of(spec, x))
    return run, encode(run.trained, run.splits.test, 40)


def test_texts_are_as_far_apart_as_places_at_which_they_differ(lines):
    run, codes = lines
    train = run.splits.train
    asked = torch.cat([train.x[7:8], 3 - train.x[:5], codes.batch["x"][:6]])
    found = nearest.find_nearest(asked, train, torch.arange(len(train)), codes)
    for i, text in enumerate(asked):
        differ = (train.x != text).sum(1)
        assert float(found.distance[i]) == pytest.approx(int(differ.min()) / 6)
        assert int(differ[int(found.rows[i])]) == int(differ.min())
    assert float(found.distance[0]) == 0
    names = torch.tensor([[0.0] * 6, [3.0] * 6, [1.0] * 6])
    few = ArrayData(run.spec, torch.tensor([[0.0] * 5 + [3.0], [1.0] * 6]))
    told = nearest.find_nearest(names, few, torch.arange(2), codes)
    assert told.distance.tolist() == pytest.approx([1 / 6, 5 / 6, 0.0])
    assert told.rows.tolist() == [0, 0, 1]  # by numbers, 3 3 3 3 3 3 would be nearer to 1 1 1 1 1 1


def test_a_model_that_repeats_texts_is_found_out(lines):
    run, codes = lines
    train = run.splits.train

    class Copies:
        def generate(self, n, context=None):
            rows = torch.nn.functional.one_hot(train.x.long(), 4).double()[torch.arange(n) % 40]
            return Independent(Categorical(probs=rows), 1)

    figure = copying.texts_beside(run.spec, replace(codes, source=Copies()), train, "test")
    beside, numbers = figure.tables
    assert [row[0] for row in beside.rows] == ["0 % differ"] * 8
    assert all(row[1] == row[2] for row in beside.rows)
    assert numbers.rows[0][:4] == ("samples", "0", "0", "0")
    assert "60 of 60 samples equal a training datum exactly" in figure.found
    assert "repeat what the model was" in figure.found


def test_texts_that_differ_are_marked_where_they_do(lines):
    run, codes = lines
    figure = copying.texts_beside(run.spec, codes, run.splits.train, "test")
    beside = figure.tables[0]
    assert "beside the training text" in figure.how
    for said, sample, theirs in beside.rows:
        mine, other = ("".join(piece for piece, _ in cell).replace("<d>", "d") for cell in (sample, theirs))
        differ = sum(a != b for a, b in zip(mine, other, strict=True))
        assert said == f"{100 * differ / 6:.0f} % differ"
        assert sum(len(piece.replace("<d>", "d")) for piece, marked in theirs if marked) == differ
    assert [row[0] for row in beside.rows] == sorted(
        (row[0] for row in beside.rows), key=lambda r: int(r.split()[0])
    )


# -- between two data --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["image", "conditional", "chain"])
def test_the_ends_of_a_way_are_the_reconstructions(kind, make_run):
    run = make_run(kind)
    codes = encode(run.trained, run.splits.test, 20)
    pairs = between.pairs_of(codes)
    lines = between.ways(codes, pairs, 5)
    assert lines.shape == (len(pairs), 5, 1, 6, 6)
    with torch.no_grad():
        back = codes.decode(codes.means, codes.context(slice(None))).mean
        middle = 0.5 * (codes.means[pairs[0][0]] + codes.means[pairs[0][1]])
        context = codes.context(slice(None))
        given = None if context is None else 0.5 * (context[[pairs[0][0]]] + context[[pairs[0][1]]])
        half = codes.decode(middle.unsqueeze(0), given).mean
    for line, (first, second) in zip(lines, pairs, strict=True):
        torch.testing.assert_close(line[0], back[first], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(line[-1], back[second], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(lines[0, 2], half[0], atol=1e-5, rtol=1e-5)


def test_pairs_are_of_different_classes_and_use_each_datum_once(image):
    _, codes = image
    pairs = between.pairs_of(codes)
    y = codes.batch["y"]
    assert len(pairs) == 6
    assert len({row for pair in pairs for row in pair}) == 12
    assert all(int(y[a]) != int(y[b]) for a, b in pairs)
    alone = replace(codes, batch={**codes.batch, "y": torch.zeros_like(y)})
    assert between.pairs_of(alone) == []
    with pytest.raises(UnsupportedError, match="no two held-out data"):
        between.pictures_between(Pixels.of(Spec("b", (1, 6, 6), "binary", 1)), alone, "test")


def test_evenness_of_a_walk():
    straight = torch.linspace(0, 1, 9).view(9, 1)
    assert between.evenness(straight) == pytest.approx(1.0)
    assert between.evenness((straight > 0.5).float()) == pytest.approx(8.0)
    assert between.evenness(torch.zeros(9, 1)) == 1.0


def test_the_table_between_two_rows_is_in_original_units(make_run):
    run = make_run("table")
    codes = encode(run.trained, run.splits.test, 10)
    columns = Columns.of(run.spec, codes.batch["x"])
    table = between.rows_between(columns, codes, "test").tables[0]
    first, second = between.pairs_of(codes)[0]
    values = columns.values(codes.batch["x"])
    assert table.rows[0][0] == "height"
    assert float(table.rows[0][1]) == pytest.approx(values[first, 0], rel=1e-3)
    assert float(table.rows[2][-1]) == pytest.approx(values[second, 2], rel=1e-3)


# -- codes against the prior -------------------------------------------------------------------------------


def test_histograms_hold_all_codes_and_the_mass_of_the_prior(image):
    _, codes = image
    found, given = marginals.marginals(codes)
    assert not given
    assert [one.column for one in found] == codes.order
    for one in found:
        values = codes.draws[:, one.column].double()
        assert one.data.sum() == pytest.approx(1.0)
        inside = (values >= one.edges[3]) & (values < one.edges[4])
        assert one.data[3] == pytest.approx(float(inside.double().mean()))
        edges = torch.as_tensor(one.edges)
        expected = Normal(torch.zeros(()).double(), 1.0).cdf(edges).diff()
        np.testing.assert_allclose(one.prior, expected.numpy(), atol=1e-9)
        assert one.mean == pytest.approx(float(values.mean()))


def test_a_prior_without_closed_form_is_drawn_from(make_run):
    run = make_run("chain")
    codes = encode(run.trained, run.splits.test, 40)
    found, given = marginals.marginals(codes)
    assert given  # the lower level's prior hangs on the upper one
    for one in found:
        assert one.data.sum() == pytest.approx(1.0)
        assert one.prior.sum() == pytest.approx(1.0, abs=1e-3)


def test_the_marginal_kl_of_the_evaluation_is_shown_as_it_is(image, evaluation):
    run, codes = image
    figure = marginals.against_prior(codes, run.splits.test, evaluation, "test", 0)
    rows = {row[0]: row[1] for row in figure.tables[0].rows}
    assert rows["Marginal KL"] == "1.250 nats"
    assert rows["Two-sample test"].startswith("p = ")
    fresh = marginals.against_prior(codes, run.splits.test, {}, "test", 0)
    assert {row[0] for row in fresh.tables[0].rows} == set(rows)
    assert fresh.tables[0].rows[0][1] != rows["Marginal KL"]


def test_shares_of_a_codebook(tmp_path, page):
    spec = Spec("blobs", (1, 6, 6), "binary", 40)
    x = (torch.rand(100, 1, 6, 6) < 0.5).float()
    model = recipes.vq_vae(spec, codes=6, dims=2, positions=4, hidden=(8,)).model
    run = run_of(tmp_path, spec, model, splits_of(spec, x))
    codes = encode(run.trained, run.splits.test, 40)
    used = model.encode({"x": codes.batch["x"]})["z"].flatten()
    counts = sorted((int((used == k).sum()) for k in range(6)), reverse=True)
    shares = [count / (40 * 4) for count in counts]
    assert code_shares(used, 6).tolist() == pytest.approx([float((used == k).sum()) / 160 for k in range(6)])
    spread = math.exp(-sum(p * math.log(p) for p in shares if p > 0))
    figure = codebooks.code_use(codes, "test")
    assert f"from {100 * shares[0]:.2g} % downwards" in figure.pictures[0].alt
    assert f"as many as {spread:.1f} used alike" in figure.found
    found = page(write_report(run).read_text(encoding="utf-8"))
    assert set(found.sections) >= {"reconstructions", "samples", "nearest", "prior"}
    assert not {"traversals", "between", "use"} & set(found.sections)
    assert f"{sum(c > 0 for c in counts)} of 6 codes occur" in found.said("prior", "found")


# -- classes -----------------------------------------------------------------------------------------------


def test_neighbours_by_hand():
    rng = np.random.Generator(np.random.PCG64(0))
    train, y, test = rng.normal(size=(30, 2)), rng.integers(0, 3, 30), rng.normal(size=(9, 2))
    told = groups.neighbour_classes(train, y, test, 5)
    for point, one in zip(test, told, strict=True):
        order = np.argsort(((train - point) ** 2).sum(1))[:5]
        assert one == np.bincount(y[order], minlength=3).argmax()
    right, error = groups.share_right(np.array([1, 1, 0, 2]), np.array([1, 0, 0, 2]))
    assert (right, error) == (0.75, pytest.approx(math.sqrt(0.75 * 0.25 / 4)))


def test_the_accuracy_of_the_codes_is_that_of_the_codes(image):
    run, codes = image
    figure = groups.classes(codes, run.spec, run.splits.train, "test")
    with torch.no_grad():
        train = run.trained.encode({"x": run.splits.train.x.float()})["z"].numpy()
    y, truth = run.splits.train.y.numpy(), codes.batch["y"].numpy()
    told = []
    for point in codes.means.numpy():
        order = np.argsort(((train - point) ** 2).sum(1), kind="stable")[:5]
        told.append(np.bincount(y[order]).argmax())
    right = (np.array(told) == truth).mean()
    error = math.sqrt(right * (1 - right) / len(truth))
    assert figure.tables[0].rows[0][1] == f"{100 * right:.1f} ± {100 * error:.1f} %"
    assert figure.tables[0].rows[3][0] == "always the commonest class"
    assert "learnt from 40 training data, asked about 40 test data" in figure.caption


def test_clusters_that_are_the_classes_have_index_one():
    rng = np.random.Generator(np.random.PCG64(0))
    y = np.arange(60) % 3
    x = rng.normal(size=(60, 2)) * 0.1 + 10 * np.array([[0, 0], [0, 1], [1, 0]])[y]
    told = groups.clusters(x, x, 3)
    assert all(len(set(told[y == k])) == 1 for k in range(3))
    assert len(set(told)) == 3
    assert (groups.linear_classes(x, y, x) == y).all()


def test_unknown_labels_take_no_part(image):
    run, codes = image
    y = codes.batch["y"].clone()
    y[::2] = -1
    some = replace(codes, batch={**codes.batch, "y": y})
    found = groups.labelled(some, run.splits.train)
    assert len(found.test) == 20
    assert (found.test_y >= 0).all()
    with pytest.raises(UnsupportedError, match="two classes"):
        groups.labelled(replace(codes, batch={**codes.batch, "y": torch.full_like(y, -1)}), run.splits.train)


def test_confusion_is_counted_by_class():
    told, truth = torch.tensor([0, 1, 1, 2, 0]), torch.tensor([0, 1, 0, 2, -1])
    shares = groups.confusion(told, truth, 3)
    np.testing.assert_allclose(shares, [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]])


def test_a_classifying_model_shows_what_it_confuses(tmp_path, page):
    spec = Spec("blobs", (1, 6, 6), "binary", 40, classes=3, labelled=20, class_names=("a", HOSTILE, "c"))
    y = torch.arange(100) % 3
    x = (torch.rand(100, 1, 6, 6) < 0.2 + 0.2 * y[:, None, None, None]).float()
    model = recipes.m2(spec, latents=2, hidden=(8,)).model
    run = run_of(tmp_path, spec, model, splits_of(spec, x, y=y))
    text = write_report(run).read_text(encoding="utf-8")
    found = page(text)
    assert "<script" not in text
    assert "confusion" in found.sections
    told = model.classify({"x": run.splits.test.x}).argmax(-1)
    right = float((told == run.splits.test.y).double().mean())
    assert f"{100 * right:.1f} ±" in found.said("confusion", "found")
    codes = encode(model, run.splits.test, 40)
    assert groups.labelled(codes, run.splits.train).train.shape[1] == 2  # the label itself is left out


# -- factors -----------------------------------------------------------------------------------------------


def test_importance_is_the_share_of_what_can_be_known(image):
    _, codes = image
    n = 400
    truth = torch.stack([torch.arange(n) % 4, (torch.arange(n) // 4) % 3, torch.zeros(n).long()], 1)
    means = torch.stack([truth[:, 1].float(), torch.randn(n), truth[:, 0].float()], 1)
    spec = Spec("s", (1, 6, 6), "binary", 40, factors={"a": 4, HOSTILE: 3, "one": 1})
    made = replace(codes, means=means, batch={"x": codes.batch["x"], "factors": truth})
    shares, names, floor, gap, count = factors.importance(made, spec)
    assert names == ["a", HOSTILE]  # the constant one is left out
    assert count == n
    assert shares[2, 0] == pytest.approx(1.0)
    assert shares[0, 1] == pytest.approx(1.0)
    direct = mutual_information(discretise(means.double().numpy(), 20), truth[:, :2].numpy())
    np.testing.assert_allclose(shares * [math.log(4), math.log(3)], direct, atol=1e-3)
    assert 0 < floor < 0.2
    assert gap == pytest.approx(
        np.mean([shares[2, 0] - max(shares[:2, 0]), shares[0, 1] - max(shares[1:, 1])]), abs=1e-3
    )


def test_recorded_scores_stand_in_a_table(image):
    _, codes = image
    truth = torch.stack([torch.arange(40) % 4, torch.arange(40) % 3], 1)
    spec = Spec("s", (1, 6, 6), "binary", 40, factors={"a": 4, "b": 3})
    made = replace(codes, batch={**codes.batch, "factors": truth})
    record = {"disentanglement": {"modern mean": {"values": {"mig": 0.125, "sap": None, HOSTILE: 1.0}}}}
    table = factors.factor_map(made, spec, record, "test").tables[0]
    assert table.head == ("score, 1 is best", "modern mean", "what it asks")
    assert [row[:2] for row in table.rows] == [("MIG", "0.125"), ("SAP", "none")]
    assert factors.score_table({"disentanglement": {"x": 3}}) is None
    assert "--scores modern" in factors.factor_map(made, spec, {}, "test").caption


def test_parameters_are_correlated_by_rank(image):
    _, codes = image
    theta = torch.stack([codes.means[:, 0].exp(), -codes.means[:, 1]], 1)
    spec = Spec("s", (1, 6, 6), "binary", 40, theta=("p", "q"))
    figure = factors.parameter_map(replace(codes, batch={**codes.batch, "theta": theta}), spec, "test")
    text = figure.pictures[0].svg
    assert "+1.00" in text
    assert "\u22121.00" in text


# -- sequences, curves -------------------------------------------------------------------------------------


def test_tokens_become_text_and_differences_are_marked():
    spec = Spec("lines", (3,), "categorical", 40, levels=5, vocabulary=("a", "b", "\n", "<", "\x1bc"))
    assert texts.text(spec, torch.tensor([0, 1, 3])) == (("ab<", False),)
    back = texts.text(spec, torch.tensor([0, 0, 2]), torch.tensor([0, 1, 2]))
    assert back == (("a", False), ("a", True), ("\u23ce", False))
    assert texts.text(spec, torch.tensor([4])) == (("c", False),)


def test_every_named_value_has_a_curve_and_players_keep_together():
    rows = [
        {
            "epoch": i + 1, "step": i, "seconds": 1.0,
            "train/model/loss": 5.0 - i, "train/critic/loss": 1.0, "valid/model/loss": 6.0 - i,
            "train/model/wide": 1000.0 / (i + 1) ** 2, "train/critic/moves": 0.1 * i, "weight/rate": 0.1 * i,
            **{f"train/model/term_{k}": float(i + k) for k in range(9)},
        }
        for i in range(12)
    ]  # fmt: skip
    found = recorded(rows)
    assert [c.player for c in found] == ["model"] * 11 + ["critic"] * 2 + [""]
    assert found[0].name == "model/loss"
    np.testing.assert_array_equal(found[0].lines["valid"], 6.0 - np.arange(12))
    rates = {"valid/rates": {f"z {k}": 0.1 * k for k in range(50)}}
    more = recorded([{**row, **rates} for row in rows])
    assert [curve.name for curve in more] == [curve.name for curve in found]  # not fifty curves more
    figure = curves(rows, 3)
    assert len(figure.pictures) == 13
    assert figure.pictures[-1].label == "Weight of rate"
    assert "critic/loss 1" in figure.caption  # constant: said, not drawn
    assert [p.label for p in figure.pictures if p.label.endswith("log")] == ["wide · log"]
    groups_of = [p.group for p in figure.pictures]
    assert groups_of == sorted(groups_of, key=groups_of.index)
    assert set(groups_of) == {"player model", "player critic", "weights, and what else moved"}


def test_when_each_latent_came_into_use():
    """Twelve latents: ten lines, the largest ones; who is asleep at the end, and since when."""
    lines = {f"z {k + 1}": [0.02 + 0.1 * k] * 5 for k in range(12)}
    lines["z 5"] = [0.5, 0.02, 0.001, 0.0, 0.002]
    lines["z 6"] = [0.5, 0.001, 0.5, 0.001, None]  # a value that is none does not count
    lines["z 7"] = [0.6, 0.001, 0.002, 0.001, 0.3]  # it wakes up again
    rows = [
        {"epoch": i + 1, "valid/rates": {name: line[i] for name, line in lines.items()}} for i in range(5)
    ]
    figure = history([{"epoch": 0, "valid/rate": 1.0}, *rows], 4)
    names = [key.text for key in figure.keys]
    assert names[:10] == [f"z {k}" for k in range(3, 13)]
    assert "the other 2 were never above 0.12 nats" in figure.caption
    asleep = "z 5 since epoch 3 of 5; z 6 since epoch 4 of 5"
    assert figure.found == f"2 of 12 latents are asleep at the end: {asleep}."
    assert "z 12 1.12" in figure.pictures[0].alt
    assert figure.how.count(".") == 1
    assert history(rows[:1], None) is None
    odd = [{"epoch": "one", "valid/rates": {"z\u0007" * 30: "much", "z 1": i}} for i in range(3)]
    figure = history([{"valid/rates": [1.0]}, *odd], None)  # a record from strangers
    assert "\u0007" not in "".join(key.text for key in figure.keys)
    assert history([{"epoch": 1, "valid/rate": 1.0}] * 3, None) is None


def test_a_sequence_has_texts_in_its_report(tmp_path, page):
    spec = Spec("lines", (5,), "categorical", 40, levels=4, vocabulary=("a", "b", "<i>", "d"))
    x = torch.randint(0, 4, (100, 5)).float()
    model = recipes.vae(spec, latents=2, hidden=(8,)).model
    run = run_of(tmp_path, spec, model, splits_of(spec, x))
    text = write_report(run).read_text(encoding="utf-8")
    found = page(text)
    assert {"reconstructions", "samples", "nearest", "between", "use"} <= set(found.sections)
    assert "<i>" not in text
    with torch.no_grad():
        codes = encode(model, run.splits.test, 40)
        back = model.decode({"z": codes.means[:8]}).mode
    right = float((codes.batch["x"][:8] == back).double().mean())
    assert f"{100 * right:.0f} % of these tokens come back" in found.said("reconstructions", "found")
    wrong = int((codes.batch["x"][:8] != back).sum())
    marked = sum(len(piece.replace("<i>", "i")) for piece in found.text[("reconstructions", "mark")])
    assert marked == wrong


def test_low_tones_are_at_the_bottom():
    sound = Sound(rate=8000, window=14, hop=7, low=-3.5, high=1.0)
    spec = Spec("tones", (1, 8, 6), "unit", 40, sound=sound)
    x = torch.zeros(1, 1, 8, 6)
    x[0, 0, 0] = 1.0  # the lowest bin
    assert Pixels.of(spec).values(x)[0, 0, -1].tolist() == [1.0] * 6
    assert "low tones are at the bottom" in Pixels.of(spec).remark.lower()
