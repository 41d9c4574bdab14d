"""Steps of a stack are the steps of its models, each alone."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vaekit.procedures import Manner

CALLS = {
    "vae": [{}, {}, {}],
    "beta_vae": [{"beta": 1}, {"beta": 6.0}, {"beta": 6.0}],
    "annealed_vae": [{"capacity": 4, "ramp": 4}, {"capacity": 9, "ramp": 4}, {"capacity": 9, "ramp": 4}],
    "factor_vae": [{"gamma": gamma, "critic": (6, 5)} for gamma in (1.0, 35.0, 35.0)],
    "dip_vae i": [{"lambda_od": weight, "variant": "i"} for weight in (1, 20.0, 20.0)],
    "dip_vae ii": [{"lambda_od": weight, "variant": "ii"} for weight in (1, 20.0, 20.0)],
    "control_vae": [{"capacity": c, "rise": 1, "every": 2, "start": 0.5} for c in (1, 9, 9)],
    "gcvae": [{"rate_target": c, "gamma": 0.1} for c in (1, 9, 9)],
    "beta_tcvae": [{"beta": beta} for beta in (1.0, 6.0, 6.0)],
    "beta_tcvae closed": [{"beta": beta, "estimator": "closed"} for beta in (1.0, 6.0, 6.0)],
}
"""Two seeds, two strengths."""
SEEDS = (0, 0, 1)


def calls_of(case):
    return list(zip(SEEDS, CALLS[case], strict=True))


def assert_the_same(both, knows, tolerance):
    for m, system in enumerate(both.alone):
        for step, alone in enumerate(both.values[0][m]):
            together = both.values[1][step]
            assert alone.keys() == together.keys()
            for name, value in alone.items():
                torch.testing.assert_close(
                    together[name][m], value, rtol=tolerance, atol=tolerance, msg=f"{step} {name}"
                )
        expected, found = knows(system), knows(both.stack.unstack(m))
        assert expected.keys() == found.keys()
        for key, value in expected.items():
            far = (found[key] - value).norm() / value.norm().clamp(min=1e-3)
            assert far <= tolerance, (m, key, float(far))
        assert torch.equal(both.streams.state(m), both.states[m])


@pytest.mark.parametrize("case", CALLS)
def test_as_alone(beside, knows, double, case):
    both = beside(case.split()[0], calls_of(case))
    assert_the_same(both, knows, 1e-9)
    ends = [knows(system) for system in both.alone]
    for one, other in ((0, 1), (1, 2), (0, 2)):  # the calls are no copies of each other
        if CALLS[case][one] != CALLS[case][other] or SEEDS[one] != SEEDS[other]:
            assert any(not torch.equal(ends[one][key], ends[other][key]) for key in ends[one])


@pytest.mark.parametrize("case", CALLS)
def test_as_alone_in_single_precision(beside, knows, case):
    assert_the_same(beside(case.split()[0], calls_of(case), sizes=(12, 7)), knows, 1e-5)


@pytest.mark.parametrize("case", ["beta_vae", "factor_vae"])
def test_clipped_by_each_models_own_norm(beside, knows, double, case):
    both = beside(case, calls_of(case), manner=Manner(clip=1e-3))
    assert_the_same(both, knows, 1e-9)
    free = beside(case, calls_of(case))
    assert not torch.equal(knows(free.alone[0])["model likelihood.network.output_layer.bias"],
                           knows(both.alone[0])["model likelihood.network.output_layer.bias"])  # fmt: skip


def test_mixed_precision(beside, knows):
    manner = Manner(autocast=partial(torch.autocast, "cpu", torch.bfloat16))
    both = beside("beta_vae", calls_of("beta_vae"), sizes=(12,), manner=manner)
    assert_the_same(both, knows, 2e-2)
    exact = beside("beta_vae", calls_of("beta_vae"), sizes=(12,), manner=Manner(autocast=nullcontext))
    assert not torch.equal(both.values[1][0]["loss"], exact.values[1][0]["loss"])


def test_one_batch_for_all(beside, knows, double):
    assert_the_same(beside("factor_vae", calls_of("factor_vae"), shared=True), knows, 1e-9)


def test_schedules_move(beside, double):
    stack = beside("annealed_vae", calls_of("annealed_vae"), sizes=(12, 12, 12)).stack
    steps = [value for name, value in stack.state.items() if name.endswith("capacity.step")]
    assert len(steps) == 1
    assert steps[0].tolist() == [3, 3, 3]


@pytest.mark.parametrize("case", CALLS)
def test_no_model_sees_another(beside, knows, case):
    calls = calls_of(case)
    changed = [*calls[:2], (7, {**calls[2][1], **({"beta": 40.0} if "beta" in calls[2][1] else {})})]
    before, after = (beside(case.split()[0], some, sizes=(12, 7)).stack for some in (calls, changed))
    for m in range(2):
        one, other = knows(before.unstack(m)), knows(after.unstack(m))
        assert all(torch.equal(one[key], other[key]) for key in one)
    one, other = knows(before.unstack(2)), knows(after.unstack(2))
    assert not all(torch.equal(one[key], other[key]) for key in one)


class _Watched(TorchDispatchMode):
    """Notes what would wait for a device, or cannot be recorded on one."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in ("_local_scalar_dense", "item", "nonzero", "lift_fresh", "is_nonzero", "equal"):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", [case for case in CALLS if case != "gcvae"])  # it makes tensors of numbers
def test_nothing_waits_for_the_device(beside, case):
    both = beside(case.split()[0], calls_of(case), sizes=(6,))
    batch = {"x": torch.ones(3, 6, 1, 4, 4)}
    noise = both.streams.draw(both.stack.draws(batch, True))
    with _Watched() as watched:
        both.stack.step(batch, noise)
    assert watched.seen == []
    with _Watched() as watched:  # the watch sees what it is for
        torch.ones(()).item()
    assert watched.seen == ["_local_scalar_dense"]


def test_what_moves_stays_in_its_place(beside):
    """A recorded step reads and writes the tensors that it was recorded with."""
    both = beside("annealed_vae", calls_of("annealed_vae"), sizes=(6,))
    stack = both.stack
    places = {name: value.data_ptr() for name, value in stack.pack().items()}
    batch = {"x": torch.ones(3, 6, 1, 4, 4)}
    before = {name: value.clone() for name, value in stack.pack().items()}
    stack.step(batch, both.streams.draw(stack.draws(batch, True)))
    after = stack.pack()
    assert {name: value.data_ptr() for name, value in after.items()} == places
    still = {name for name, value in after.items() if torch.equal(before[name], value)}
    assert still == {name for name in after if name.endswith("like")}  # N(0, I) has nothing that moves
