"""Every recipe that there is, under the public contract, on every kind of data that it takes."""

from __future__ import annotations

import inspect
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import torch

from vaekit import recipes
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.procedures import Manner
from vaekit.terms import Distortion, Rate, log_mean_exp, log_weight
from vaekit.testing import batch_for, check_knobs, check_recipe

CONDITION = {"classes": 3, "context": (3,)}
SPECS = [
    Spec("bits", (7,), "binary", 40),
    Spec("numbers", (7,), "real", 40),
    Spec("levels", (7,), "unit", 40, levels=5),
    Spec("bits with a condition", (7,), "binary", 40, **CONDITION),
    Spec("levels with a condition", (7,), "unit", 40, levels=5, **CONDITION),
    Spec("levels with some labels", (7,), "unit", 40, levels=5, classes=3, labelled=9),
    Spec("pairs of levels", (7,), "unit", 40, levels=5, factors={"a": 5, "b": 8}, pairs="uniform"),
]

PICTURES = [
    Spec("pictures", (1, 8, 8), "unit", 40),
    Spec("numbers with known parameters", (7,), "real", 40, theta=("a", "b"), labelled=9),
    Spec("codes of codes", (2, 3), "categorical", 40, levels=5, context=(2, 2)),
    Spec("pairs of pictures", (1, 8, 8), "unit", 40, factors={"a": 5, "b": 8}, pairs=1),
]


ALTERNATIVES = {
    "control_vae": {"beta_max": [1.001]},
    "vae_gan": {"margin": [number / 100 for number in range(1, 30)]},
}
"""Other values of arguments, where those that follow from the annotation say nothing in the first steps."""


def small(recipe) -> dict[str, object]:
    """Small sizes, as far as the recipe has these arguments."""
    parameters = inspect.signature(recipe).parameters
    sizes = {}
    if "latents" in parameters:
        sizes["latents"] = (3, 2) if isinstance(parameters["latents"].default, tuple) else 3
    if "hidden" in parameters:
        sizes["hidden"] = (8,)
    if "codes" in parameters:
        sizes |= {"codes": 6, "dims": 3}
    if recipe.__name__ == "vq_vae2":
        sizes["hidden"] = (4, 6)
    if recipe.__name__ == "code_prior":
        sizes |= {"width": 8, "blocks": 2, "attention": 1, "heads": 2}
    for name in ("critic", "regressors"):
        if name in parameters:
            sizes[name] = (8,)
    if "start" in parameters:  # when something begins
        sizes["start"] = 1
    if "samples" in parameters and parameters["samples"].default > 4:
        sizes["samples"] = 4
    return sizes


def choices(recipe) -> list[dict[str, object]]:
    """Every named choice of every argument, one at a time."""
    hints = get_type_hints(recipe)
    named = {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}
    return [{name: choice} for name, values in named.items() for choice in values]


@pytest.mark.parametrize("name", recipes.names)
def test_recipe_keeps_the_contract(name):
    recipe = getattr(recipes, name)
    missing = set(list(inspect.signature(recipe).parameters)[1:])
    taken = []
    for spec in SPECS:
        if (spec.labelled is not None or spec.pairs is not None) and taken:
            continue  # the recipe has no use for labels, or partners
        try:
            recipe(spec, **small(recipe))
        except UnsupportedError:
            continue
        taken.append(spec)
        # choices of likelihoods differ from kind to kind; of the others, one kind is enough
        knobs = missing | ({"likelihood"} & set(inspect.signature(recipe).parameters))
        given = ALTERNATIVES.get(name)
        missing -= check_recipe(recipe, spec, small(recipe), given, knobs)
    if missing or not taken:  # what only pictures or classes have
        for spec in PICTURES:
            try:
                missing -= check_recipe(recipe, spec, small(recipe), knobs=missing)
            except UnsupportedError:
                continue
            taken.append(spec)
    assert taken, f"{name} takes none of the kinds of data"
    for choice in choices(recipe):  # what matters only beside another choice, and is refused without it
        if missing:
            try:
                alive = check_knobs(recipe, taken[-1], {**small(recipe), **choice}, knobs=missing)
            except (UnsupportedError, ValueError):
                continue
            missing -= alive
    assert not missing, f"{name}: nothing was seen to change with {missing}"


VARIANTS = [
    ("cvae", {"alpha": 0.5}),
    ("cvae", {"prior": "standard", "samples": 3}),
    ("iwae", {"layers": 2}),
    ("iwae", {"stages": 2}),
    ("iwae", {"gradient": "dreg"}),
    ("piwae", {"gradient": "stl", "groups": 2}),
    ("vae", {"posterior": "rank_one", "prior": "mixture"}),
    ("vae", {"posterior": "low_rank", "estimator": "stl", "prior": "learned"}),
    ("vae", {"prior": "flow"}),
    ("vamp_vae", {"prior": "mixture", "components": 4}),
    ("hierarchical_prior_vae", {"prior": "full"}),
    ("hierarchical_prior_vae", {"prior": "scaled", "weight": "rising"}),
    ("hvae", {"prior": "standard"}),
    ("ladder_vae", {"batch_norm": True}),
    ("flow_density", {"flow": "realnvp"}),
    ("ladder_vae", {"latents": (4, 3, 2)}),
    ("sigma_vae", {"variance": "pixel"}),
    ("adversarial_autoencoder", {"encoder": "gaussian", "prior": "mixture"}),
    ("control_vae", {"start": None, "capacity": 0.1, "beta_max": 1.001}),
    ("gcvae", {"correlation": "weighted_mmd", "stateful": False, "sign": "published"}),
    ("gcvae", {"alpha": -1.0, "beta": 1.0, "correlation": "mahalanobis"}),
    ("structured_vae", {"order": "joint", "start": 0, "neighbourhood": 1}),
]


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_variants_keep_the_contract(name, variant):
    recipe = getattr(recipes, name)
    spec = SPECS[3] if name == "cvae" else SPECS[1]
    check_recipe(recipe, spec, {**small(recipe), **variant}, knobs=())


def test_recipe_on_pictures_keeps_the_contract():
    spec = Spec("pictures", (1, 28, 28), "binary", 40)
    assert "architecture" in check_recipe(
        recipes.vae, spec, {"latents": 3, "hidden": (8,)}, knobs=["architecture"]
    )


@pytest.mark.parametrize("name", ["miwae", "piwae"])
def test_groups_and_draws_of_a_group_are_two_things(name):
    """As many draws, put in groups another way: another objective for the encoder."""
    recipe = getattr(recipes, name)
    torch.manual_seed(1)
    slopes = []
    for groups, samples in ((2, 4), (4, 2)):
        torch.manual_seed(1)
        system = recipe(SPECS[0], latents=2, hidden=(8,), groups=groups, samples=samples)
        for module in system.modules().values():
            module.double()
        player = next(p for p in system.procedure.players if p.name in ("encoder", name, "vae"))
        torch.manual_seed(2)
        trace = system.procedure.trace(batch_for(SPECS[0], 5), Manner())
        assert trace.latents["z"].value.shape[0] == 8
        weights = log_weight(trace)
        expected = log_mean_exp(weights.unflatten(0, (groups, samples)), 1).mean(0).mean()
        slopes.append(player.objective(trace).total)
        torch.testing.assert_close(-slopes[-1], expected)
    assert not torch.equal(slopes[0], slopes[1])


def test_generator_of_piwae_has_the_tight_bound():
    system = recipes.piwae(SPECS[0], latents=2, hidden=(8,), groups=2, samples=4)
    system.model.double()
    generator = next(p for p in system.procedure.players if p.name == "generator")
    trace = system.procedure.trace(batch_for(SPECS[0], 5), Manner())
    torch.testing.assert_close(-generator.objective(trace).total, log_mean_exp(log_weight(trace)).mean())


def test_hybrid_of_cvae():
    """alpha (distortion + rate) + (1 - alpha) E_prior[distortion]."""
    system = recipes.cvae(SPECS[3], latents=2, hidden=(8,), alpha=0.25)
    system.model.double()
    trace = system.procedure.trace(batch_for(SPECS[3], 5), Manner())
    guess = Distortion()(trace.branches["prior"])
    expected = 0.25 * (Distortion()(trace) + Rate()(trace)) + 0.75 * guess
    torch.testing.assert_close(system.procedure.players[0].objective(trace).total, expected.mean())


def test_rate_of_beta_vae_is_weighed():
    system = recipes.beta_vae(SPECS[0], latents=2, hidden=(8,), beta=3.0)
    system.model.double()
    trace = system.procedure.trace(batch_for(SPECS[0], 5), Manner())
    expected = Distortion()(trace) + 3 * Rate()(trace)
    torch.testing.assert_close(system.procedure.players[0].objective(trace).total, expected.mean())


def test_capacity_of_annealed_vae():
    system = recipes.annealed_vae(SPECS[0], latents=2, hidden=(8,), capacity=4.0, gamma=7.0, ramp=10)
    system.model.double()
    trace = system.procedure.trace(batch_for(SPECS[0], 5), Manner())
    for _ in range(3):
        system.procedure.step([batch_for(SPECS[0], 5)])
    distance = (Rate()(trace).mean() - 4.0 * 3 / 10).abs()
    expected = Distortion()(trace).mean() + 7 * distance
    torch.testing.assert_close(system.procedure.players[0].objective(trace).total, expected)
