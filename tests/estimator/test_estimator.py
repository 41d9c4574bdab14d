"""The estimator: units, densities, determinism, and its place among scikit-learn's tools."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vaekit
from vaekit.errors import UnsupportedError, UserError
from vaekit.estimator import VAE
from vaekit.metrics.evidence import log_evidence


def small(**settings) -> VAE:
    return VAE(
        **{"latents": 2, "hidden": (16,), "epochs": 3, "random_state": 0, "n_importance": 20} | settings
    )


@pytest.fixture(scope="module")
def line() -> np.ndarray:
    """Columns along one direction, far from zero mean and unit scale; the sixth is constant."""
    generator = np.random.default_rng(1)
    z = generator.normal(size=(400, 1))
    x = z @ np.array([[1.0, -2.0, 3.0, 0.5, 1.5]]) + 0.3 * generator.normal(size=(400, 5))
    x = x * np.array([1.0, 100.0, 0.01, 5.0, 1.0]) + np.array([0.0, 1000.0, -3.0, 20.0, 7.0])
    return np.hstack([x, np.full((400, 1), 4.25)])


@pytest.fixture(scope="module")
def fitted(line) -> VAE:
    return VAE(latents=2, hidden=(32,), epochs=60, learning_rate=1e-2, batch_size=100, random_state=0).fit(
        line
    )


def test_it_is_the_public_name():
    assert vaekit.VAE is VAE


def test_reconstruction_is_in_the_units_of_the_data(fitted, line):
    again = fitted.inverse_transform(fitted.transform(line))
    assert again.shape == line.shape
    residual = ((again - line) ** 2).mean(0)[:5] / line.var(0)[:5]
    assert (residual < 0.5).all()  # of the variance, which is the error of the mean
    np.testing.assert_allclose(again[:, 5], 4.25, atol=0.2)


def test_samples_have_the_moments_of_the_data(fitted, line):
    drawn = fitted.sample(4000)[:, :5]
    data = line[:, :5]
    np.testing.assert_allclose((drawn.mean(0) - data.mean(0)) / data.std(0), 0, atol=0.25)
    np.testing.assert_allclose(drawn.std(0) / data.std(0), 1, atol=0.25)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.corrcoef(data.T), atol=0.2)


def test_samples_carry_the_noise_of_the_likelihood(fitted):
    # mean and noise are drawn apart: without noise the samples would lie on the decoder's surface
    drawn = fitted.sample(500)
    surface = fitted.inverse_transform(fitted.transform(drawn))
    sigma = float(fitted.model_.likelihood.log_std.exp().detach())
    residual = ((drawn - surface) / np.array(fitted.spec_.scale))[:, :5].std()
    assert residual > 0.5 * sigma


def test_density_is_exact_where_the_posterior_is(line):
    """ppca: every log weight is ln p(x), so one draw gives ln N(x; m, S (W W' + s^2 I) S)."""
    data = line[:, :5]
    ppca = VAE("ppca", latents=2, epochs=2, n_importance=1, random_state=0).fit(data)
    likelihood = ppca.model_.likelihood
    layer = likelihood.network.output_layer
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    offset, scale = np.array(ppca.spec_.offset), np.array(ppca.spec_.scale)
    np.testing.assert_allclose(offset, data.mean(0))
    np.testing.assert_allclose(scale, data.std(0))
    mean = offset + scale * bias
    covariance = weight @ weight.T + np.exp(2 * likelihood.log_std.detach().double().numpy()) * np.eye(5)
    covariance = scale[:, None] * covariance * scale
    centred = data - mean
    expected = -0.5 * np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred)
    expected -= 0.5 * (np.linalg.slogdet(covariance)[1] + 5 * np.log(2 * np.pi))
    np.testing.assert_allclose(ppca.score_samples(data), expected, rtol=1e-6)
    assert ppca.score(data) == pytest.approx(expected.mean(), rel=1e-6)


def test_density_is_that_of_the_metrics_with_the_jacobian(fitted, line):
    rows = line[:20]
    offset, scale = np.array(fitted.spec_.offset), np.array(fitted.spec_.scale)
    x = torch.from_numpy((rows - offset) / scale).float()
    expected = log_evidence(fitted.model_, {"x": x}, samples=20_000, seed=5).numpy() - np.log(scale).sum()
    found = clone(fitted).set_params(n_importance=20_000)
    found.__dict__.update({k: v for k, v in vars(fitted).items() if k.endswith("_") or k.startswith("_")})
    np.testing.assert_allclose(found.score_samples(rows), expected, atol=0.15)


def test_more_draws_tighten_the_bound(line):
    vae = small(n_importance=1).fit(line)
    loose = vae.score(line)
    assert vae.set_params(n_importance=200).score(line) > loose


def test_training_raises_the_density(line):
    assert small(epochs=40).fit(line).score(line) > small(epochs=1).fit(line).score(line) + 1


def test_codes_are_deterministic_and_draws_are_not(fitted, line):
    np.testing.assert_array_equal(fitted.transform(line), fitted.transform(line))
    np.testing.assert_array_equal(fitted.transform(line), fitted.encode(line))
    draws = [fitted.encode(line, sample=True, random_state=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert np.abs(draws[0] - draws[2]).max() > 1e-3
    many = np.mean([fitted.encode(line, sample=True, random_state=seed) for seed in range(200)], axis=0)
    np.testing.assert_allclose(many, fitted.transform(line), atol=0.3)


def test_samples_follow_the_random_state(fitted):
    np.testing.assert_array_equal(fitted.sample(3), fitted.sample(3))
    assert np.abs(fitted.sample(3, random_state=1) - fitted.sample(3, random_state=2)).max() > 0
    state = np.random.RandomState(0)
    assert np.abs(fitted.sample(3, random_state=state) - fitted.sample(3, random_state=state)).max() > 0
    assert len(np.unique(fitted.sample(1500), axis=0)) == 1500  # more than one pass


def test_equal_seeds_give_equal_models_and_others_do_not(line):
    first, same, other = (small(random_state=seed).fit(line).transform(line) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-3


def test_the_callers_random_stream_is_left_alone(line):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    vae = small().fit(line)
    vae.transform(line), vae.encode(line, sample=True), vae.sample(3), vae.score(line[:5])
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)
    np.testing.assert_array_equal(small().fit(line).transform(line), vae.transform(line))


def test_precision_is_that_of_the_data(fitted, line):
    narrow, wide = fitted.transform(line.astype(np.float32)), fitted.transform(line)
    assert (narrow.dtype, wide.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(narrow, wide, atol=1e-3)
    assert fitted.inverse_transform(narrow).dtype == np.float32
    assert fitted.model_.likelihood.head.dtype == torch.float32  # the model itself stays as it is
    assert not fitted.model_.training


def test_equal_rows_get_equal_densities_whatever_is_beside_them(fitted, line):
    rows = line[:6]
    alone = np.concatenate([fitted.score_samples(row[None]) for row in rows])
    np.testing.assert_allclose(fitted.score_samples(np.vstack([rows, rows[::-1]])), np.r_[alone, alone[::-1]])


def test_binary_data_are_found_and_kept(line):
    ones = (line > line.mean(0)).astype(float)
    vae = small(epochs=20).fit(ones)
    assert vae.spec_.kind == "binary"
    assert vae.spec_.scale is None
    assert set(np.unique(vae.sample(200))) == {0.0, 1.0}
    means = vae.inverse_transform(vae.transform(ones))
    assert means.min() >= 0
    assert means.max() <= 1
    assert vae.score(ones) < 0  # a probability
    ones[3, 1] = 0.5
    with pytest.raises(ValueError, match=r"0\.5 contradicts kind 'binary'.*position \(3, 1\)"):
        vae.transform(ones)


@pytest.mark.parametrize(("kind", "values"), [("unit", (0.25, 0.75)), ("count", (3, 7)), ("real", (0, 1))])
def test_kinds_can_be_chosen(kind, values):
    x = np.random.default_rng(0).choice(values, size=(60, 4))
    vae = small(kind=kind, epochs=100, learning_rate=1e-2).fit(x)
    assert vae.spec_.kind == kind
    assert (vae.spec_.scale is None) == (kind != "real")
    np.testing.assert_allclose(vae.inverse_transform(vae.transform(x)).mean(), x.mean(), rtol=0.15)


def test_values_against_the_kind_are_refused_with_their_row(line):
    x = np.full((1500, 2), 0.5)
    vae = small(kind="unit", epochs=1).fit(x)
    x[1400, 1] = 1.5
    with pytest.raises(ValueError, match=r"1\.5 contradicts kind 'unit'.*position \(1400, 1\)"):
        vae.score_samples(x)
    with pytest.raises(ValueError, match="contradicts kind 'count'"):
        small(kind="count").fit(x)


def test_integers_and_unit_values_are_real_unless_said_otherwise():
    x = np.random.default_rng(0).integers(0, 3, size=(40, 3))
    assert small().fit(x).spec_.kind == "real"
    assert small().fit(x / 2).spec_.kind == "real"
    assert small().fit(x > 0).spec_.kind == "binary"


def test_images_keep_their_shape():
    x = np.random.default_rng(0).random((30, 1, 5, 4))
    vae = small(kind="unit").fit(x)
    codes = vae.transform(x)
    assert codes.shape == (30, 2)
    assert vae.inverse_transform(codes).shape == x.shape
    assert vae.sample(3).shape == (3, 1, 5, 4)
    assert vae.score_samples(x).shape == (30,)
    assert small().fit(x).sample(3).shape == (3, 1, 5, 4)  # standardised pixel by pixel
    with pytest.raises(ValueError, match=r"shape \(1, 4, 5\); the fit was on \(1, 5, 4\)"):
        vae.transform(x.swapaxes(2, 3))


def test_held_out_rows_and_few_rows(line):
    assert small(validation_fraction=0.25).fit(line).spec_.size == 300
    assert small(validation_fraction=0).fit(line).spec_.size == 400
    assert small().fit(line[:9]).spec_.size == 9
    assert small().fit(line[:10]).spec_.size == 9
    assert small().fit(line[:2]).transform(line[:1]).shape == (1, 2)
    history = small(epochs=4).fit(line).history_
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert {"train/loss", "valid/loss", "valid/elbo"} <= history[0].keys()


def test_epochs_by_default_give_small_sets_enough_steps(monkeypatch):
    vae = VAE(latents=1, hidden=(4,), batch_size=25, random_state=0, validation_fraction=0)
    x = np.random.default_rng(0).normal(size=(55, 2))
    monkeypatch.setattr("vaekit.staged.LEAST_STEPS", 200)
    assert vae.fit(x).n_iter_ == 67  # three steps each
    assert vae.set_params(patience=1, learning_rate=0.3).fit(x).n_iter_ < 67
    monkeypatch.setattr("vaekit.staged.LEAST_STEPS", 10)
    assert vae.set_params(patience=None).fit(x).n_iter_ == 50  # what the recipe says
    monkeypatch.setattr("vaekit.staged.DEFAULT_BUDGET", 55 * 7)
    assert vae.fit(x).n_iter_ == 7


def test_best_weights_are_handed_out(line):
    vae = small(epochs=6, learning_rate=0.3, batch_size=16).fit(line)
    losses = [row["valid/loss"] for row in vae.history_]
    best = int(np.argmin(losses)) + 1
    assert best < 6, "a rate this large is meant to overshoot"
    stopped = small(epochs=best, learning_rate=0.3, batch_size=16).fit(line)
    np.testing.assert_array_equal(vae.transform(line), stopped.transform(line))


def test_pipeline_and_grid_search(line):
    pipeline = make_pipeline(StandardScaler(), small())
    codes = pipeline.fit_transform(line)
    assert codes.shape == (400, 2)
    assert pipeline.inverse_transform(codes).shape == line.shape
    assert list(pipeline.get_feature_names_out()) == ["vae0", "vae1"]
    grid = {"vae__epochs": [1, 40], "vae__arguments": [None, {"prior": "learned"}]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(line[:120])
    assert search.best_params_["vae__epochs"] == 40
    assert np.isfinite(search.best_score_)


def test_it_survives_pickling(fitted, line):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(line), fitted.transform(line))
    np.testing.assert_array_equal(again.score_samples(line[:4]), fitted.score_samples(line[:4]))


@pytest.mark.parametrize(
    ("recipe", "settings", "width"),
    [
        ("beta_vae", {"arguments": {"beta": 4.0}}, 2),
        ("iwae", {"arguments": {"samples": 3}}, 2),
        ("sigma_vae", {}, 2),
        ("full_covariance_vae", {}, 2),
        ("dlgm", {"latents": (3, 2)}, 5),
    ],
)
def test_other_recipes(recipe, settings, width, line):
    vae = small(recipe=recipe, **settings).fit(line)
    assert vae.call_["recipe"] == recipe
    assert vae.call_["arguments"].items() >= settings.get("arguments", {}).items()
    codes = vae.transform(line)
    assert codes.shape == (400, width)
    assert vae.inverse_transform(codes).shape == line.shape
    assert vae.sample(3).shape == (3, 6)
    assert np.isfinite(vae.score(line[:10]))


def test_a_recipe_of_ones_own(line):
    vae = small(recipe=vaekit.recipes.vae).fit(line)
    np.testing.assert_array_equal(vae.transform(line), small().fit(line).transform(line))


def test_beta_reaches_the_recipe(line):
    def rate(beta: float) -> float:
        vae = small(recipe="beta_vae", arguments={"beta": beta}, epochs=30, learning_rate=1e-2).fit(line)
        return vae.history_[-1]["valid/rate"]

    assert rate(20.0) < rate(0.1)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"recipe": "beta_vea"}, UserError, "no recipe 'beta_vea': did you mean 'beta_vae'"),
        ({"arguments": {"pryor": "learned"}}, UserError, "no argument 'pryor': did you mean 'prior'"),
        ({"recipe": "ppca", "latents": 2}, UserError, "'ppca' has no argument 'hidden'"),
        ({"arguments": {"latents": 3}}, ValueError, "`latents` is given twice"),
        ({"kind": "reel"}, ValueError, "`kind` is 'reel'; expected one of auto, real"),
        ({"likelihood": "poisson"}, UnsupportedError, "'poisson', which is made for count data"),
        ({"validation_fraction": 1.0}, ValueError, "`validation_fraction` is 1.0"),
        ({"n_importance": 0}, ValueError, "`n_importance` is 0"),
        ({"epochs": 0}, ValueError, "`epochs` is 0"),
        ({"batch_size": 0}, ValueError, "`batch_size` is 0"),
        ({"learning_rate": 0.0}, ValueError, "`learning_rate` is 0.0"),
        ({"device": "abacus"}, UserError, "`device` is 'abacus'"),
    ],
)
def test_wrong_settings_get_one_clear_error(settings, error, message, line):
    with pytest.raises(error, match=message):
        small(**settings).fit(line)


def test_wrong_data_get_one_clear_error(fitted, line):
    with pytest.raises(ValueError, match="variance"):
        small().fit(line * 1e300)
    with pytest.raises(ValueError, match="out of reach"):
        fitted.transform(np.full((1, 6), 3e38, np.float32))
    with pytest.raises(ValueError, match="`X` has 3 columns; expected codes with 2"):
        fitted.inverse_transform(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="`n_samples` is 0"):
        fitted.sample(0)
    with pytest.raises(ValueError, match="NaN"):
        fitted.inverse_transform([[np.nan, 0.0]])


def test_verbose_prints_a_line_every_so_many_epochs(line, capsys):
    small(epochs=4).fit(line)
    assert not capsys.readouterr().out
    small(epochs=4, verbose=2).fit(line)
    lines = capsys.readouterr().out.splitlines()
    assert [text.split(":")[0] for text in lines] == ["[VAE] epoch 2/4", "[VAE] epoch 4/4"]
    assert "loss" in lines[0]


def test_wine_is_described_better_than_by_independent_columns():
    x = load_wine().data
    vae = VAE(
        latents=4, hidden=(32,), epochs=60, learning_rate=1e-2, batch_size=40, n_importance=50, random_state=0
    ).fit(x)
    independent = -0.5 * (((x - x.mean(0)) / x.std(0)) ** 2 + np.log(2 * np.pi * x.var(0))).sum(1).mean()
    assert vae.score(x) > independent + 1


def test_importing_vaekit_leaves_scikit_learn_out():
    code = "import vaekit, vaekit.api, sys; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_recipes_with_stages_draw_through_them():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 300)
    rows = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)], 1).astype(np.float32)
    options = {"second_hidden": (16,), "second_epochs": 3}
    two = VAE("two_stage_vae", latents=2, hidden=(16,), epochs=2, random_state=0, arguments=options).fit(rows)
    drawn = two.sample(50, random_state=1)
    assert drawn.shape == (50, 3)
    assert np.array_equal(drawn, two.sample(50, random_state=1))
    assert not np.array_equal(drawn, pickle.loads(pickle.dumps(two)).sample(50, random_state=2))
    codes = {"codes": 8, "dims": 4, "positions": 3, "prior_width": 4, "prior_blocks": 1, "prior_attention": 0}
    vq = VAE("vq_vae", hidden=(16,), epochs=2, random_state=0, arguments=codes).fit(rows)
    told = vq.transform(rows[:5])
    assert told.shape == (5, 3)
    assert set(np.unique(told)) <= set(range(8))
    assert vq.inverse_transform(told).shape == (5, 3)
    assert vq.sample(4).shape == (4, 3)
