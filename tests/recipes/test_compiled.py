"""The pass and all players' losses of a recipe are one graph, and compiling it changes nothing."""

from __future__ import annotations

import pytest
import torch

import vaekit
from vaekit import recipes

CANNOT: dict[str, str] = {}
"""Recipe -> why it cannot be compiled into one graph, in words of the compiler."""


@pytest.fixture(autouse=True)
def forgotten():
    """Nothing compiled for one recipe is kept for the next."""
    yield
    torch._dynamo.reset()


@pytest.fixture
def steps(small, fitting, batch_of):
    """Where two steps of a recipe lead: everything that it then knows, its named values and its stream."""

    def run(name, backend=None):
        spec = fitting(name)
        torch.manual_seed(2)
        system = getattr(recipes, name)(spec, **small[name])
        procedure = system.procedure
        for player in procedure.players:  # a parameter moves by its gradient, whatever its scale
            player.optimizer = torch.optim.SGD(player.parameters, lr=1e-3)
        if backend is not None:
            procedure.compile(6, backend)
        torch.manual_seed(3)
        found = {}
        for number, rows in enumerate((6, 6, 5)):  # the last one is not compiled
            values = procedure.step([batch_of(spec, rows, seed=number)])
            found |= {f"{number} {key}": value for key, value in values.items()}
        for root, module in system.modules().items():
            found |= {f"{root} {key}": value for key, value in module.state_dict().items()}
        return {**found, "stream": torch.get_rng_state()}

    return run


def test_one_graph(steps, name):
    if name in CANNOT:
        with pytest.raises(torch._dynamo.exc.Unsupported, match=CANNOT[name]):
            steps(name, "eager")
        return
    expected, found = steps(name), steps(name, "eager")
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(
            found[key], value, rtol=1e-10, atol=1e-12, msg=lambda m, k=key: f"{k}: {m}"
        )


def test_the_compiled_way_is_taken(steps):
    compiled = torch._dynamo.utils.counters["stats"]
    before = compiled["unique_graphs"]
    steps("piwae")
    assert compiled["unique_graphs"] == before
    steps("piwae", "eager")
    assert compiled["unique_graphs"] == before + 1  # two players, one graph, one size of batches


@pytest.mark.slow
def test_gradients_of_the_compilers_own(steps, name):
    if name in CANNOT:
        pytest.skip(CANNOT[name])
    expected, found = steps(name), steps(name, "aot_eager")
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-8, atol=1e-10, msg=lambda m, k=key: f"{k}: {m}")


@pytest.mark.slow
@pytest.mark.parametrize("which", ["vae", "piwae"])
def test_compiled_to_machine_code(steps, which):
    expected, found = steps(which), steps(which, "inductor")
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-7, atol=1e-9, msg=lambda m, k=key: f"{k}: {m}")


@pytest.mark.slow
def test_a_compiled_run(tmp_path):
    torch.set_default_dtype(torch.float32)
    settings = {"epochs": 1, "latents": 2, "hidden": (8,), "device": "cpu"}
    plain = vaekit.train("vae", "digits", out=tmp_path / "plain", **settings)
    compiled = vaekit.train("vae", "digits", out=tmp_path / "compiled", compile=True, **settings)
    assert compiled.record["training"]["compile"]
    assert not plain.record["training"]["compile"]
    for name, value in plain.model().state_dict().items():
        torch.testing.assert_close(compiled.model().state_dict()[name], value, rtol=1e-3, atol=1e-4)
