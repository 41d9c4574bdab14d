"""All scores together: presets, what is printed, and what must not change them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from vaekit.data.factors import Grid
from vaekit.disentanglement import NAMES, PRESETS, Preset, Score, from_table, mig, score

SMALL = {"train": 300, "test": 200, "batch": 8, "labels": (10, 100)}
TREES = ("dci", "downstream_boosted")
QUICK = [name for name in NAMES if name not in TREES]
POINTS = [name for name in QUICK if name != "downstream_logistic"]  # whose choice of a penalty takes long


def small(name, **changes):
    return replace(PRESETS[name], **{**SMALL, **changes})


@pytest.fixture(scope="module")
def table_of(mixed):
    """Codes of a whole grid; no two points have the same."""

    def table(grid):
        return torch.from_numpy(mixed(grid.factors_of(torch.arange(len(grid))).numpy(), noise=0.05))

    return table


@pytest.fixture(scope="module")
def codes(grid, table_of):
    return table_of(grid)


def quick(codes, grid, preset="modern", names=QUICK, **more):
    return score(from_table(grid, codes), grid, small(preset), names=names, **more)


@pytest.mark.parametrize("preset", ["modern", "locatello2019"])
def test_every_score_says_preset_sizes_and_seed(preset, table_of):
    grid = Grid({"shape": 3, "x": 4})
    found = score(
        from_table(grid, table_of(grid)), grid, small(preset, train=100, test=50, labels=(10,)), seed=5
    )
    assert tuple(found.scores) == NAMES == tuple(found.seconds)
    assert found.sizes == {"train": 100, "test": 50, "batch": 8}
    for name, each in found.scores.items():
        assert each.preset == f"{preset} but train 100, test 50, batch 8, labels (10,)"
        assert each.seed == 5
        assert each.seconds >= 0
        assert set(each.sizes.values()) & {100, 50}, name
        assert f"preset {preset}" in str(each)
        assert "seed 5" in str(each)
        assert "100" in str(each)
        assert str(each).split()[0] in found.values
    assert np.isfinite(list(found.values.values())).all()
    assert set(found.values) == {name for each in found.scores.values() for name in each.values}
    for name in found.values:
        assert name in str(found)
    record = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert record["values"]["mig"] == found.values["mig"] == found["mig"].value == float(found["mig"])
    assert record["scores"]["mig"]["settings"]["bins"] == 20


def test_presets_by_name():
    assert str(PRESETS["modern"]) == "modern"
    assert str(small("modern")) != "modern"
    with pytest.raises(ValueError, match="did you mean 'modern'"):
        score(None, Grid({"a": 2}), "moderne")
    with pytest.raises(ValueError, match="did you mean 'mig'"):
        score(None, Grid({"a": 2}), names=["migs"])
    with pytest.raises(ValueError, match="`logistic` is 'linear'"):
        replace(PRESETS["modern"], logistic="linear")
    with pytest.raises(ValueError, match="`train` is 1; expected at least 2"):
        small("modern", train=1)
    with pytest.raises(ValueError, match="at most `train` = 9"):
        small("modern", train=9)
    with pytest.raises(ValueError, match="`tuned` is for"):
        small("modern", tuned=True)


def test_the_presets_are_what_the_documentation_says():
    study, modern = PRESETS["locatello2019"], PRESETS["modern"]
    assert (study.logistic, study.boosted, study.machine) == ("one_versus_rest", "exact", "liblinear")
    assert (modern.logistic, modern.boosted, modern.machine) == ("multinomial", "histogram", "exact")
    for preset in (study, modern):
        assert (preset.train, preset.test, preset.batch, preset.bins, preset.prune) == (
            10_000,
            5_000,
            64,
            20,
            0.05,
        )


def test_a_seed_is_all_that_moves_a_score(grid, codes):
    first = quick(codes, grid)
    assert quick(codes, grid).values == first.values
    other = quick(codes, grid, seed=1).values
    assert sum(other[name] != value for name, value in first.values.items()) > 20


def test_a_score_does_not_depend_on_which_others_are_asked_for(grid, codes):
    everything = quick(codes, grid)
    for name in ("factor_vae", "mig", "downstream_logistic"):
        alone = quick(codes, grid, names=[name])
        assert alone[name].values == everything[name].values


def test_the_global_stream_is_left_alone(grid, codes):
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    quick(codes, grid)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


@pytest.mark.parametrize("preset", ["modern", "locatello2019"])
def test_order_and_signs_of_latents_change_nothing(grid, codes, preset):
    moved = codes[:, [2, 0, 3, 1]] * torch.tensor([1.0, -1.0, -1.0, 1.0])
    first, second = (quick(c, grid, preset, POINTS).values for c in (codes, moved))
    for name, value in first.items():
        # linear classifiers stop at a tolerance, the others at rounding
        loose = any(part in name for part in ("downstream", "beta_vae", "explicit", "sap"))
        assert second[name] == pytest.approx(value, abs=0.02 if loose else 1e-9), name


def test_order_and_signs_of_latents_change_no_trees(grid, codes):
    moved = codes[:, [2, 0, 3, 1]] * torch.tensor([1.0, -1.0, -1.0, 1.0])
    first, second = (quick(c, grid, names=["dci"]).values for c in (codes, moved))
    assert second == pytest.approx(first, abs=0.02)


def appended(codes, dead):
    return torch.cat((codes, dead), 1)


def test_dead_latents_change_nothing_in_modern(grid, codes):
    dead = 0.01 * torch.randn(len(codes), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    names = [*QUICK, "dci"]
    first, second = (quick(c, grid, names=names) for c in (codes, appended(codes, dead)))
    same = {name: value for name, value in second.values.items() if not name.startswith("factor_vae")}
    assert same == {name: first.values[name] for name in same}
    assert second.values == pytest.approx(first.values)
    assert "latents [4, 5, 6] are left out: their standard deviations are below 0.05" in second.notes
    assert not first.notes


def test_dead_latents_change_three_scores_of_the_study(table_of):
    """Modularity counts them as 0; completeness has another base, and mutual information more pairs."""
    grid = Grid({"shape": 2, "x": 5, "y": 1})
    codes = table_of(grid)
    dead = torch.zeros(len(codes), 2, dtype=torch.float64)
    names = [*POINTS, "dci"]
    first, second = (quick(c, grid, "locatello2019", names).values for c in (codes, appended(codes, dead)))
    changed = {name for name, value in first.items() if second[name] != pytest.approx(value, abs=0.01)}
    assert changed == {"modularity", "dci_completeness", "mutual_information"}
    assert second["modularity"] == pytest.approx(first["modularity"] * 4 / 6)
    assert second["mutual_information"] == pytest.approx(first["mutual_information"] * 12 / 30)


def test_dead_latents_that_say_something_are_left_out_in_modern_alone(grid):
    """Means of a collapsed latent are tiny, and still a function of the data: equal-width bins see them."""
    factors = grid.factors_of(torch.arange(len(grid))).double()
    whispers = 1e-3 * factors
    assert quick(appended(factors, whispers), grid, names=["mig"]).values["mig"] > 0.8
    assert quick(appended(factors, whispers), grid, "locatello2019", ["mig"]).values["mig"] < 0.05


def test_no_latent_is_alive(grid, table_of):
    found = quick(torch.zeros(len(grid), 3), grid)
    assert "no latent has a standard deviation of 0.05" in found.notes[0]
    for name in ("factor_vae", "mig", "modularity", "sap", "irs", "tad", "gaussian_total_correlation"):
        assert found.values[name] == 0, name
    assert found.values["explicitness"] == 0.5
    assert found.values["beta_vae"] < 0.45  # chance is 1/3
    assert quick(1e-3 * table_of(grid), grid, names=["mig"]).values["mig"] == 0


def test_turning_a_perfect_code_costs_it_its_score(grid):
    perfect = grid.factors_of(torch.arange(len(grid))).double()
    perfect = (perfect - perfect.mean(0)) / perfect.std(0)
    turn = torch.linalg.qr(
        torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    )[0]
    names = ["mig", "dci", "factor_vae", "modularity", "sap"]
    before, after = (quick(c, grid, names=names).values for c in (perfect, perfect @ turn))
    assert before["mig"] > 0.8 > 0.3 > after["mig"]
    assert before["dci_disentanglement"] > 0.9 > 0.6 > after["dci_disentanglement"]
    assert after["factor_vae"] < before["factor_vae"]
    assert after["sap"] < before["sap"]


def test_constant_factors_change_nothing_and_are_noted(codes, grid):
    wider = Grid({"shape": 3, "colour": 1, "scale": 4, "x": 6})
    first, second = quick(codes, grid), quick(codes, wider)
    assert second.notes == ("constant factors are left out: colour",)
    assert second.values == pytest.approx(first.values)


def test_values_that_look_alike_can_be_counted_as_one():
    """Two values of an angle with one code: nothing tells them apart; scores that count values rise."""
    grid = Grid({"angle": 6, "x": 5})
    factors = grid.factors_of(torch.arange(len(grid))).double()
    codes = factors.clone()
    codes[:, 0] %= 5  # angles 0 and 5 are one
    names = ["mig", "downstream_logistic", "factor_vae"]
    apart = quick(codes, grid, names=names)
    one = quick(codes, grid, names=names, merge={"angle": {5: 0}})
    assert one.notes == ("values of angle counted as one: 5 with 0",)
    accuracy = "downstream_logistic_100"
    assert one.values[accuracy] > apart.values[accuracy] + 0.05
    assert one.values["mig"] > apart.values["mig"]
    assert one.values["factor_vae"] == apart.values["factor_vae"]
    with pytest.raises(ValueError, match="expected one of angle, x"):
        quick(codes, grid, merge={"orientation": {5: 0}})


def test_what_is_drawn_beside_the_factors_comes_from_the_generator():
    grid = Grid({"a": 3, "b": 3})

    def noisy(factors, generator):
        return factors.double() + 0.3 * torch.randn(factors.shape, generator=generator, dtype=torch.float64)

    first, second = (score(noisy, grid, small("modern"), names=QUICK) for _ in range(2))
    assert first.values == second.values


def test_a_represent_that_loses_points_is_refused(grid):
    with pytest.raises(ValueError, match="299 codes for 300 points"):
        score(lambda factors, generator: factors[1:].double(), grid, small("modern"), names=["mig"])


def test_a_score_by_itself_says_that_it_has_no_preset(messy):
    found = mig(messy.codes, messy.factors)
    assert isinstance(found, Score)
    assert "[preset none, seed none; 600 points; form binned, bins 20]" in str(found)
    assert isinstance(PRESETS["modern"], Preset)
