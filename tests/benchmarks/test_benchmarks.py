"""The hand-written loops of the benchmarks are the recipes: same noise, same losses. No timing is judged."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

from vaekit import recipes
from vaekit.data.dsprites import dsprites_images

ROOT = Path(__file__).parents[2]
STEPS = 3
PLACES = ["mlp", "conv"]


@pytest.fixture(scope="module")
def step():
    """The module `benchmarks.step`, which is no part of the package."""
    if not (ROOT / "benchmarks" / "step.py").exists():
        pytest.skip(f"{ROOT} has no folder `benchmarks`")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield import_module("benchmarks.step")
        for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
            del sys.modules[name]


def setting_of(step, place):
    small = {"mlp": ((1, 4, 4), 6, 3, (8,)), "conv": ((1, 64, 64), 2, 3, None)}
    return step.Setting(place, *small[place])


@pytest.mark.parametrize("name", recipes.names)
def test_minimal_loop_is_the_recipe(step, name):
    assert name in step.LOOPS, "write its loop in benchmarks/loops"
    for place in PLACES if not step.case_of(name).dense else PLACES[:1]:
        setting = setting_of(step, place)
        batch = step.make_batch(name, setting)
        ours = step.recipe_step(step.make(name, setting))
        minimal = step.LOOPS[name](step.make(name, setting))
        # three steps: the gradients and the optimiser have to agree too
        assert step.disagreement(ours, minimal, batch, STEPS) <= step.AGREEMENT


def test_every_loop_has_a_recipe(step):
    assert sorted(step.LOOPS) == recipes.names


def test_another_loss_is_refused(step, monkeypatch):
    monkeypatch.setitem(step.LOOPS, "beta_vae", step.LOOPS["vae"])  # beta is 4 there, and 1 here
    row = step.compare("beta_vae", setting_of(step, "mlp"), 0.1, lambda: pytest.fail("it was timed"))
    assert row.ratio is None
    assert row.note.startswith("refused")


@pytest.mark.parametrize("method", ["dip_vae_i", "factor_vae"])
def test_stacks_and_single_models_are_the_same_work(step, monkeypatch, method):
    stacked = import_module("benchmarks.stacked")
    few = {"shape": 2, "scale": 6, "orientation": 40, "position_x": 32, "position_y": 16}
    for name, value in {"BATCH": 4, "EVERY": few}.items():
        monkeypatch.setattr(stacked, name, value)
    device = torch.device("cpu")
    data = stacked.sprites(device)
    assert len(data) == 4
    assert [image.sum().item() for image in data.take(range(4))["x"]] == [
        image.sum().item() for image in torch.from_numpy(dsprites_images([0, 16, 491520, 491536])).float()
    ]
    together, apart = (side(method, 7, data, device) for side in (stacked.Together, stacked.Apart))
    strengths = stacked.METHODS[method][3]
    assert together.fit.stack.values[0].tolist() == [*strengths, strengths[0]]
    assert together.fit.seeds == [0, 1]
    together.step()
    apart.step(exact=True)
    assert torch.allclose(together.losses(), apart.totals, rtol=1e-5)
    assert stacked.hours(1e-3) == pytest.approx(12_600 * 300_000 * 1e-3 / 3600)


def test_a_study_that_is_not_the_same_is_refused(step, monkeypatch):
    stacked = import_module("benchmarks.stacked")
    few = {"shape": 2, "scale": 6, "orientation": 40, "position_x": 32, "position_y": 16}
    for name, value in {"BATCH": 2, "EVERY": few, "AGREEMENT": -1.0}.items():
        monkeypatch.setattr(stacked, name, value)
    rows = list(stacked.run(0.1, lambda: pytest.fail("it was timed"), 1, ["beta_vae"]))
    assert len(rows) == 1
    assert rows[0].ratio is None
    assert rows[0].note.startswith("refused")


def test_rows(step):
    timing = sys.modules["benchmarks.timing"]
    row = timing.row_of("s", "n", ("a", [2.0, 3.0, 8.0]), ("b", [1.0, 2.0, 2.0]), most=1.5)
    assert (row.ratio, row.fastest, row.met) == (2.0, 2.0, False)
    assert (row.low, row.high) == (1.75, 3.0)
    assert timing.Row("s", "n", 4.2, least=4.0).met is True
    assert timing.Row("s", "n", least=4.0).met is None


def test_blocks_alternate(step):
    timing = sys.modules["benchmarks.timing"]
    now, calls = 0.0, []

    def work(name, cost):
        def one():
            nonlocal now
            now += cost
            calls.append(name)

        return one

    first, second = timing.side_by_side(work("a", 0.03), work("b", 0.02), 1.0, lambda: now, 5, warm_up=1)
    assert len(first) == len(second) == 12
    assert torch.tensor(first).allclose(torch.tensor(0.03))
    assert torch.tensor(second).allclose(torch.tensor(0.02))
    assert "".join(calls[-8:]) == "abbaabba"


def test_gradients_of_games_are_those_by_hand(step, tmp_path, monkeypatch):
    """Ours of the section `pythae-games`, which needs no Pythae: every network gets what the paper says."""
    monkeypatch.delenv("VAEKIT_DATA", raising=False)
    games = import_module("benchmarks.pythae_games")
    small = {"hidden": [16, 16], "critic": [8, 8], "judge": [8, 8], "components": 5, "latents": 3}
    monkeypatch.setattr(games, "SIZES", games.SIZES | small)
    games.write_data(tmp_path / "data.npz")
    with games.Peer(sys.executable, "games_vaekit.py", tmp_path / "data.npz", 1) as peer:
        for name in games.SYSTEMS:
            found = peer.do(do="gradients", system=name, batch=9)
            assert len(found) >= 3, name
            for network, way in found.items():
                assert way["cosine"] == pytest.approx(1, abs=1e-9), (name, network)
                assert way["length"] == pytest.approx(1, abs=1e-7), (name, network)


def test_rows_of_data(step):
    data = import_module("benchmarks.data")
    from vaekit.worlds import mini_xy

    row = data.batches("mini_xy", mini_xy(), 64, 0.01, data.time.perf_counter, least=1e-9)
    assert row.rounds == 8
    assert row.met
    assert row.fastest >= row.high >= row.ratio >= row.low > 0
    assert row.seconds["batch"] == pytest.approx(64 / (row.fastest * data.RATE))
