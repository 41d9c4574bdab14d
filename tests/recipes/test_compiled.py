"""The pass and all players' losses of a recipe are one graph, and compiling it changes nothing."""

from __future__ import annotations

import pytest
import torch

import vaekit
from vaekit import recipes
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.procedures import Manner

CANNOT: dict[str, str] = {}
"""Recipe -> why it cannot be compiled into one graph, in words of the compiler."""


@pytest.fixture(autouse=True)
def forgotten():
    """Nothing compiled for one recipe is kept for the next."""
    yield
    torch._dynamo.reset()


@pytest.fixture
def made(small, fitting):
    """A small system."""

    def make(name):
        torch.manual_seed(2)
        return getattr(recipes, name)(fitting(name), **small[name])

    return make


@pytest.fixture
def slopes(made, fitting, batch_of):
    """What the players of a recipe say of a batch, and the gradient that each of them follows."""

    def run(name, compiled=None):
        procedure = made(name).procedure
        losses = procedure.losses
        if compiled is not None:
            losses = torch.compile(losses, fullgraph=True, backend=compiled)
        torch.manual_seed(3)
        found = {}
        with torch._functorch.config.patch(donated_buffer=False):
            judged = losses(batch_of(fitting(name), 6), Manner())
            objectives = list(dict.fromkeys(player.objective for player in procedure.players))
            for objective, (total, values) in zip(objectives, judged, strict=True):
                for player in procedure.players:
                    if player.objective is objective:
                        found |= {f"{player.name} {key}": value for key, value in values.items()}
                        total.backward(inputs=player.parameters, retain_graph=True)
                        found |= {f"{player.name} {i}": p.grad for i, p in enumerate(player.parameters)}
                        player.optimizer.zero_grad()
        return {**found, "stream": torch.get_rng_state()}

    return run


@pytest.fixture
def steps(made, fitting, batch_of):
    """Where three steps of a recipe lead: everything that it then knows, and its stream."""

    def run(name, backend=None):
        system = made(name)
        if backend is not None:
            system.procedure.compile(6, backend)
        torch.manual_seed(3)
        found = {}
        for number, rows in enumerate((6, 6, 5)):  # the last one is not compiled
            values = system.procedure.step([batch_of(fitting(name), rows, seed=number)])
            found |= {f"{number} {key}": value for key, value in values.items()}
        for root, module in system.modules().items():
            found |= {f"{root} {key}": value for key, value in module.state_dict().items()}
        return {**found, "stream": torch.get_rng_state()}

    return run


def assert_same(found, expected, rtol=1e-10):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=rtol, atol=rtol, msg=lambda m, k=key: f"{k}: {m}")


def test_one_graph(slopes, name):
    if name in CANNOT:
        with pytest.raises(torch._dynamo.exc.Unsupported, match=CANNOT[name]):
            slopes(name, "eager")
        return
    assert_same(slopes(name, "eager"), slopes(name))


@pytest.mark.parametrize("which", ["vae", "piwae", "factor_vae"])
def test_compiled_steps(steps, which):
    compiled = torch._dynamo.utils.counters["stats"]
    before = compiled["unique_graphs"]
    expected = steps(which)
    assert compiled["unique_graphs"] == before
    assert_same(steps(which, "eager"), expected)
    assert compiled["unique_graphs"] == before + 1  # all players in one graph, for one size of batches


def test_what_is_not_compiled_is_refused(tmp_path):
    settings = {"out": tmp_path / "run", "epochs": 1, "device": "cpu", "compile": True}
    with pytest.raises(vaekit.UnsupportedError, match="one after the other"):
        vaekit.train("nash_ae", toy(), **settings)
    assert list(tmp_path.iterdir()) == []


def toy():
    parts = torch.rand(3, 9, 4, generator=torch.Generator().manual_seed(1)).unbind()
    return Splits(*(ArrayData(Spec("toy", (4,), "unit", 9), part) for part in parts))


@pytest.mark.slow
def test_gradients_of_the_compilers_own(slopes, name):
    if name in CANNOT:
        pytest.skip(CANNOT[name])
    assert_same(slopes(name, "aot_eager"), slopes(name), rtol=1e-8)


JIT = "ignore:.torch.jit.script.* is deprecated:DeprecationWarning"  # torch's own, from within its compiler


@pytest.mark.slow
@pytest.mark.filterwarnings(JIT)
@pytest.mark.parametrize("which", ["vae", "piwae", "factor_vae"])
def test_compiled_to_machine_code(steps, which):
    assert_same(steps(which, "inductor"), steps(which), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings(JIT)
def test_a_compiled_run(tmp_path):
    torch.set_default_dtype(torch.float32)
    settings = {"epochs": 2, "latents": 2, "hidden": (8,), "device": "cpu", "batch_size": 4}
    plain = vaekit.train("vae", toy(), out=tmp_path / "plain", **settings)
    compiled = vaekit.train("vae", toy(), out=tmp_path / "compiled", compile=True, **settings)
    assert compiled.record["training"]["compile"]
    assert not plain.record["training"]["compile"]
    for name, value in plain.model().state_dict().items():
        torch.testing.assert_close(compiled.model().state_dict()[name], value, rtol=1e-3, atol=1e-4)
