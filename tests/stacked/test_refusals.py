"""What is no one program, or none that can be stacked, is refused before anything is trained."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from vaekit import UnsupportedError, UserError, recipe, recipes, wiring
from vaekit.data.spec import Spec
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.schedules import Linear
from vaekit.stacked import Call, Stack, Streams, groups
from vaekit.stacked.alike import differing, placed
from vaekit.stacked.fit import StackedFit
from vaekit.stacked.proof import refuse_disagreement
from vaekit.system import System
from vaekit.terms import Distortion, Rate
from vaekit.testing.select import batch_for
from vaekit.trainer import Training

SPEC = Spec("toy", (1, 4, 4), "binary", 20)
STUDY = ("vae", "beta_vae", "annealed_vae", "factor_vae", "dip_vae", "beta_tcvae")
SLOW = "ignore:There is a performance drop:UserWarning"  # torch maps some operations one model at a time


@pytest.mark.parametrize(
    ("first", "other", "words"),
    [
        ({"hidden": (8,)}, {"hidden": (9,)}, ["shape", "(8, 16)", "(9, 16)", "hidden (8,) and (9,)"]),
        ({"hidden": (8,)}, {"hidden": (8, 8)}, ["names of parts"]),
        ({"latents": 3}, {"latents": 4}, ["latents 3 and 4"]),
        ({}, {"learning_rate": 0.1}, ["`lr`", "0.0001", "0.1", "player 'vae'"]),
        ({}, {"likelihood": "gaussian", "spec": "unit"}, ["Bernoulli", "SharedGaussian"]),
    ],
)
def test_other_programs(build, first, other, words):
    kinds = [Spec("toy", (1, 4, 4), some.pop("spec", "binary"), 20) for some in (first, other)]
    one, two = (recipes.beta_vae(spec, **({"latents": 3, "hidden": (8,)} | some))
                for spec, some in zip(kinds, (first, other), strict=True))  # fmt: skip
    with pytest.raises(UnsupportedError) as refused:
        Stack(iter([one, two]), 2)
    for word in [*words, "train these apart"]:
        assert word in str(refused.value)


def test_other_recipes(build):
    with pytest.raises(UnsupportedError, match="`monitor` is 'loss' in one"):
        Stack(iter([build("vae"), build("factor_vae", critic=(5,))]), 2)


def test_a_schedule_of_another_length_is_another_program(build):
    with pytest.raises(UnsupportedError, match=r"capacity.steps is 10 in one and 20 in the other.*ramp 10"):
        Stack(iter([build("annealed_vae", ramp=10), build("annealed_vae", ramp=20)]), 2)


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("nash_ae", {"regressors": (6,)}, "one after the other"),
        ("two_stage_vae", {}, "later stages"),
        ("latent_vae", {}, "pace"),
        ("m2", {}, "infers labels"),
    ],
)
def test_what_no_stack_can_hold(name, arguments, why):
    spec = Spec("toy", (1, 4, 4), "unit", 20, **({"classes": 3, "labelled": 6} if name == "m2" else {}))
    if name == "latent_vae":
        spec = Spec("toy", (4,), "real", 20)
    system = getattr(recipes, name)(spec, **({"latents": 3, "hidden": (8,)} | arguments))
    with pytest.raises(UnsupportedError, match=f"{name} cannot be stacked: .*{why}"):
        Stack(iter([system]), 1)


def test_batch_statistics_guards_and_optimisers(build):
    normalised = build("beta_vae")
    normalised.model.posteriors[0].network.hidden.append(nn.BatchNorm1d(8))
    with pytest.raises(UnsupportedError, match="BatchNorm1d, whose averages move"):
        Stack(iter([normalised]), 1)
    guarded = build("beta_vae")
    guarded.procedure.players[0].guard = lambda values: values["loss"] > 0
    with pytest.raises(UnsupportedError, match="has a guard"):
        Stack(iter([guarded]), 1)
    other = build("beta_vae")
    player = other.procedure.players[0]
    player.optimizer = torch.optim.LBFGS(player.parameters)
    with pytest.raises(UnsupportedError, match="moved by LBFGS, and only Adam"):
        Stack(iter([other]), 1)


def test_memory_outside_of_buffers():
    """The best variance of a batch is kept from the pass to the end of the step, as an attribute."""
    system = recipes.sigma_vae(Spec("toy", (1, 4, 4), "unit", 20), latents=3, hidden=(8,))
    stack = Stack(iter([system]), 1)
    with pytest.raises(UnsupportedError, match=r"model.likelihood._last, which is no buffer"):
        stack.draws({"x": torch.rand(1, 5, 1, 4, 4)}, True)


@recipe
def hiding(spec: Spec, *, beta: float = 1.0, where: str = "closure") -> System:
    """A beta-VAE whose weight is hidden from who compares systems."""
    model = wiring.gaussian_vae(spec, 3, "auto", "mlp", (8,))
    term = Rate()
    _BY_IDENTITY[id(term)] = beta

    def weighted(trace):
        return beta * Rate()(trace)

    class Known(Rate):
        def __call__(self, trace):
            return _BY_IDENTITY[id(term)] * super().__call__(trace)

    made = weighted if where == "closure" else itertools.repeat(beta) if where == "opaque" else Known()
    objective = Objective({"distortion": (1.0, Distortion()), "rate": (1.0, made)})
    return System(model, Simultaneous(model, [Player("vae", [model], objective, wiring.adam(1e-3))]))


_BY_IDENTITY: dict[int, float] = {}


def test_hidden_numbers():
    def systems(where):
        return iter([hiding(SPEC, beta=beta, where=where) for beta in (1.0, 5.0)])

    with pytest.raises(UnsupportedError, match=r"'beta' in a function .* is 1.0 in one and 5.0 in the other"):
        Stack(systems("closure"), 2)
    with pytest.raises(UnsupportedError, match="repeat"):
        Stack(systems("opaque"), 2)
    first, last = systems("identity")
    term = first.procedure.players[0].objective.terms["rate"][1]
    last.procedure.players[0].objective.terms["rate"] = (1.0, term)  # one function, which knows the first
    own = type(term)
    assert differing(first, last) == {}
    stack = Stack(iter([first, last]), 2)
    batch = {"x": torch.ones(2, 6, 1, 4, 4)}
    refuse_disagreement(stack, last, batch)
    last.procedure.players[0].objective.terms["rate"] = (1.0, lambda trace: 5 * own()(trace))
    with pytest.raises(UnsupportedError, match="the loss of player 'vae' is another one in the stack"):
        refuse_disagreement(stack, last, batch)


def test_the_proof_leaves_no_trace(build):
    stack = Stack(iter([build("annealed_vae"), last := build("annealed_vae", 1)]), 2)
    before = {name: value.clone() for name, value in stack.pack().items()}
    stream = torch.get_rng_state()
    refuse_disagreement(stack, last, {"x": torch.ones(2, 6, 1, 4, 4)})
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(before[name], value) for name, value in stack.pack().items())


def test_numbers_are_put_and_taken_back(build):
    first, other = build("annealed_vae", capacity=4.0, gamma=1.0), build("annealed_vae", capacity=9, gamma=2)
    found = differing(first, other)
    assert sorted((mine, theirs) for _, mine, theirs in found.values()) == [(1.0, 2), (4.0, 9.0)]
    objective = first.procedure.players[0].objective
    with placed([place for place, _, _ in found.values()], [7.0, 8.0]):
        assert sorted([objective.terms["capacity"][0], objective.terms["capacity"][1].capacity.end]) == [7, 8]
    assert differing(first, other).keys() == found.keys()
    assert objective.terms["capacity"][0] == 1.0


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"accumulate": 2}, "batches whole"), ({"patience": 2}, "an epoch of its own"),
     ({"compile": True}, "captures its step")],
)  # fmt: skip
def test_settings(build, settings, words):
    stack = Stack(iter([build("vae")]), 1)
    streams = Streams([torch.get_rng_state()], torch.device("cpu"))
    with pytest.raises(UnsupportedError, match=words):
        StackedFit(stack, None, Training(1, 4, **settings), [0], streams)


def test_a_straight_line_of_vectors():
    line = Linear(0.0, 5, steps=4)
    numbers = line.at(torch.arange(6.0))
    line.end = torch.tensor(5.0)
    assert torch.equal(line.at(torch.arange(6.0)), numbers)
    falling = Linear(5.0, 1.0, steps=4)
    assert falling.at(torch.tensor([-1.0, 0.0, 2.0, 9.0])).tolist() == [5, 5, 3, 1]


@pytest.mark.filterwarnings(SLOW)
@pytest.mark.parametrize("name", recipes.names)
def test_every_recipe_stacks_or_says_why_not(name, small_systems):
    """Two steps of two seeds agree with single training, or there is a reason."""
    make, spec = small_systems(name)
    one = [batch_for(spec, 7, seed=i) for i in range(2)]
    for batch in one:
        if "y" in batch and "c" in batch:
            batch["c"] = torch.nn.functional.one_hot(batch["y"], batch["c"].shape[1]).double()
    batch = {key: torch.stack([some[key] for some in one]) for key in one[0]}
    made = [make(seed) for seed in range(2)]
    refused = None
    try:
        stack = Stack(iter([make(0)[0], make(1)[0]]), 2)
        refuse_disagreement(stack, make(1)[0], batch)
        streams = Streams([state for _, state in made], torch.device("cpu"))
        values = [stack.step(batch, streams.draw(stack.draws(batch, True))) for _ in range(2)]
    except UnsupportedError as error:
        refused = str(error)
    if refused is not None:
        assert name not in STUDY
        assert f"{name} cannot be stacked: " in refused
        return
    for m, (system, state) in enumerate(made):
        torch.set_rng_state(state)
        for step in range(2):
            for key, value in system.procedure.step([one[m]]).items():
                torch.testing.assert_close(values[step][key][m], value, rtol=1e-8, atol=1e-8)
        for mine, theirs in zip(system.modules().values(), stack.unstack(m).modules().values(), strict=True):
            for key, value in mine.state_dict().items():
                torch.testing.assert_close(theirs.state_dict()[key], value, rtol=1e-7, atol=1e-7)


@pytest.fixture
def small_systems(double):
    """Recipe -> what builds its small system and says where the stream then stands, and the spec."""
    import runpy
    from pathlib import Path

    small = runpy.run_path(str(Path(__file__).parents[1] / "recipes" / "conftest.py"))

    def of(name):
        fitting = dict(small["FITTING"].get(name, {}))
        context = small["CONTEXT"] if fitting.pop("context", False) else None
        fields = {"name": "toy", "shape": small["SHAPE"], "kind": "binary", "size": 20, "context": context}
        spec = Spec(**(fields | fitting))

        def make(seed):
            torch.manual_seed(seed)
            system = getattr(recipes, name)(spec, **small["SMALL"][name])
            system.model.train()
            return system, torch.get_rng_state()

        return make, spec

    return of


def test_groups():
    calls = [
        Call(0, {"beta": 1}), Call(1, {"beta": 1}), Call(0, {"beta": 4.0, "hidden": (9,)}),
        Call(0, {"beta": 16.0}), Call(1, {"beta": 2, "hidden": (9,)}), Call(2, {"learning_rate": 0.5}),
    ]  # fmt: skip
    common = {"latents": 3, "architecture": "mlp"}
    assert groups("beta_vae", calls, SPEC, **common) == [[0, 1, 3], [2, 4], [5]]
    assert groups("beta_vae", calls, SPEC, most=2, **common) == [[0, 1], [2, 4], [3], [5]]
    assert groups("nash_ae", [Call(0), Call(1)], replace(SPEC, kind="unit"), latents=3) == [[0], [1]]
    assert groups("beta_vae", [], SPEC) == []
    with pytest.raises(UserError, match="has no argument 'bta'"):
        groups("beta_vae", [Call(0, {"bta": 1})], SPEC)
    with pytest.raises(ValueError, match="`most` is 0"):
        groups("beta_vae", calls, SPEC, most=0)


def test_groups_draw_nothing_and_tell_what_a_stack_takes():
    stream = torch.get_rng_state()
    calls = [Call(s, {"gamma": g, "critic": c}) for s in (0, 1) for g in (1.0, 10) for c in ((5,), (6,))]
    found = groups("factor_vae", calls, SPEC, latents=3, hidden=(8,))
    assert found == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert torch.equal(torch.get_rng_state(), stream)
    for members in found:
        made = [recipes.factor_vae(SPEC, latents=3, hidden=(8,), **calls[i].arguments) for i in members]
        assert Stack(iter(made), 4).values[0].tolist() == [1, 10, 1, 10]
