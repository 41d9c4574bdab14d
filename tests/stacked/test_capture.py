"""Recorded steps, with a recorder that repeats in Python what a device would repeat by itself."""

from __future__ import annotations

import pytest
import torch

from vaekit.stacked import Stack, StackedFit, Streams
from vaekit.stacked.capture import Graphs, Steps
from vaekit.trainer import Training
from vaekit.worlds import mini_sprites


class Repeats:
    """Repeats work, and counts."""

    def __init__(self):
        self.aside_calls = self.recorded = self.replayed = 0

    def aside(self, work):
        self.aside_calls += 1
        work()

    def record(self, work):
        self.recorded += 1

        def replay():
            self.replayed += 1
            work()

        return replay


@pytest.mark.parametrize("name", ["annealed_vae", "factor_vae"])
def test_recorded_training_is_training(name, tmp_path):
    from vaekit import recipes

    splits = mini_sprites(("scale", "x")).splits()
    small = {"latents": 2, "hidden": (8,)}
    found = []
    for recorder in (None, Repeats()):
        made, states = [], []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            more = {"capacity": 2.0 + len(made)} if name == "annealed_vae" else {"gamma": 1.0 + len(made)}
            made.append(getattr(recipes, name)(splits.spec, **small, **more))
            states.append(torch.get_rng_state())
        stack = Stack(iter(made), 3)
        streams = Streams(states, torch.device("cpu"))
        fit = StackedFit(stack, splits, Training(3, 16), [0, 0, 1], streams, recorder=recorder)
        fit.run()
        found.append((stack.pack(), fit.rows))
        if recorder is not None:
            # three epochs of three full batches and a smaller one, which is never recorded
            assert (recorder.aside_calls, recorder.recorded, recorder.replayed) == (Steps.WARM_UP, 1, 6)
    (plain, rows), (repeated, others) = found
    assert plain.keys() == repeated.keys()
    assert all(torch.equal(plain[key], repeated[key]) for key in plain)
    assert [[{**row, "seconds": 0} for row in model] for model in rows] == [
        [{**row, "seconds": 0} for row in model] for model in others
    ]


def test_inputs_lie_where_they_lay():
    places = []
    seen = []

    def body(batch, noise):
        places.append((batch["x"].data_ptr(), noise[0].data_ptr()))
        seen.append((batch["x"].clone(), noise[0].clone()))

    recorder = Repeats()
    steps = Steps(body, size=4, rows=0, recorder=recorder)
    inputs = [({"x": torch.full((4, 2), float(i))}, [torch.full((3,), -float(i))]) for i in range(6)]
    for batch, noise in inputs:
        steps(batch, noise)
    assert len(set(places[Steps.WARM_UP :])) == 1
    for (batch, noise), (x, drawn) in zip(inputs, seen, strict=True):
        assert torch.equal(batch["x"], x)
        assert torch.equal(noise[0], drawn)
    steps({"x": torch.zeros(2, 2)}, [torch.zeros(3)])
    assert recorder.replayed == 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA device")
@pytest.mark.parametrize("name", ["beta_vae", "annealed_vae", "factor_vae", "dip_vae", "beta_tcvae"])
def test_a_captured_stack_is_single_training(name, tmp_path):
    import vaekit
    from vaekit.stacked import Call, train_stacked

    splits = mini_sprites(("scale", "x")).splits()
    small = {"latents": 2, "hidden": (8,), "device": "cuda", "batch_size": 16, "epochs": 3}
    found = train_stacked(name, splits, calls=[Call(0), Call(1)], out=tmp_path / "stack", **small)
    for seed, run in enumerate(found):
        alone = vaekit.train(name, splits, out=tmp_path / str(seed), seed=seed, **small)
        for key, value in alone.model().state_dict().items():
            torch.testing.assert_close(run.model().state_dict()[key], value, rtol=1e-3, atol=1e-4)
    assert Graphs  # what recorded them
