"""Small systems in float64: data of every kind, judgement on fixed noise, arguments that keep them small."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from vaekit import recipes
from vaekit.data.spec import Spec
from vaekit.objective import Judged
from vaekit.procedures import Manner
from vaekit.system import System
from vaekit.trace import Batch, Trace

SHAPE, CONTEXT, ROWS = (1, 4, 4), (3,), 12

SMALL: dict[str, dict[str, Any]] = {
    "ada_gvae": {"latents": 3, "hidden": (8,)},
    "adversarial_autoencoder": {"latents": 3, "hidden": (8,), "critic": (6,)},
    "annealed_vae": {"ramp": 10, "capacity": 4.0, "latents": 3, "hidden": (8,)},
    "beta_tcvae": {"latents": 3, "hidden": (8,)},
    "beta_vae": {"latents": 3, "hidden": (8,)},
    "ciwae": {"b": 0.3, "samples": 4, "latents": 3, "hidden": (8, 7)},
    "code_prior": {"width": 8, "blocks": 2, "attention": 1, "heads": 2},
    "control_vae": {"capacity": 0.8, "every": 1, "latents": 3, "hidden": (8,)},
    "cvae": {"alpha": 0.6, "latents": 3, "hidden": (8,)},
    "cvae_gan": {"latents": 3, "hidden": (8, 7), "means": 0.1, "centres": 0.2},
    "dip_vae": {"latents": 3, "hidden": (8,)},
    "dlgm": {"latents": (3, 2), "hidden": (8,)},
    "factor_vae": {"latents": 3, "hidden": (8,), "critic": (6, 5)},
    "flow_density": {"transforms": 2, "hidden": (8,)},
    "full_covariance_vae": {"latents": 3, "hidden": (8,)},
    "gcvae": {"rate_target": 0.5, "latents": 3, "hidden": (8,)},
    "gumbel_vae": {"latents": 3, "classes": 4, "hidden": (8,)},
    "hierarchical_prior_vae": {"latents": 3, "alpha": 2.0, "start": 1, "hidden": (8,)},
    "hvae": {"components": 5, "warmup": 10, "latents": (3, 2), "hidden": (8,)},
    "id_gan": {"latents": 3, "hidden": (8,), "second_epochs": 2},
    "id_gan_generator": {"latents": 3, "hidden": (8,), "information": 0.1, "nuisance": 2},
    "info_vae": {"alpha": 0.5, "lambda_mmd": 20.0, "latents": 3, "hidden": (8,)},
    "iwae": {"samples": 4, "latents": 3, "hidden": (8, 7)},
    "ladder_vae": {"latents": (3, 2), "hidden": (8, 7), "warmup": 10},
    "latent_vae": {"latents": 3, "hidden": (8,)},
    "m1_m2": {"latents": 3, "second_latents": 2, "hidden": (8,), "second_hidden": (7,), "second_epochs": 2},
    "m2": {"latents": 3, "hidden": (8,)},
    "miwae": {"groups": 2, "samples": 3, "latents": 3, "hidden": (8, 7)},
    "nash_ae": {"latents": 3, "hidden": (8,), "regressors": (6,)},
    "overlap_vae": {"latents": 3, "hidden": (8,)},
    "piwae": {"groups": 2, "samples": 3, "latents": 3, "hidden": (8, 7)},
    "ppca": {"latents": 3},
    "sigma_vae": {"latents": 3, "hidden": (8,)},
    "structured_vae": {"latents": 3, "hidden": (8,), "neighbourhood": 3, "start": 1},
    "two_stage_vae": {"latents": 3, "hidden": (8,), "second_hidden": (8,)},
    "vae": {"latents": 3, "hidden": (8,)},
    "vae_gan": {"latents": 3, "hidden": (8, 7), "gamma": 0.1},
    "vamp_vae": {"components": 5, "warmup": 10, "latents": 3, "hidden": (8,)},
    "vq_vae": {"codes": 8, "dims": 3, "hidden": (8,)},
    "vq_vae2": {"codes": 8, "dims": 3, "hidden": (4, 6)},
    "wae_mmd": {"latents": 3, "hidden": (8,)},
}
"""Arguments that keep a system small; a new recipe needs an entry."""

FITTING: dict[str, dict[str, Any]] = {
    "ada_gvae": {"factors": {"a": 4, "b": 5}, "pairs": 1},
    "cvae": {"context": True},
    "cvae_gan": {"kind": "unit", "context": True, "classes": 3},
    "flow_density": {"kind": "real"},
    "hierarchical_prior_vae": {"kind": "real", "theta": ("a", "b"), "labelled": 6},
    "id_gan": {"kind": "unit"},
    "id_gan_generator": {"kind": "unit"},
    "latent_vae": {"kind": "real"},
    "m1_m2": {"classes": 3, "labelled": 6},
    "m2": {"classes": 3, "labelled": 6},
    "overlap_vae": {"factors": {"a": 4, "b": 5}, "pairs": 1},
    "ppca": {"kind": "real"},
    "sigma_vae": {"kind": "unit"},
    "structured_vae": {"kind": "unit"},
    "two_stage_vae": {"kind": "unit"},
    "vae_gan": {"kind": "unit"},
}
"""Arguments of `spec` for recipes that are not tried on binary data without a condition."""


@pytest.fixture(autouse=True)
def in_double(double: None) -> None:
    """All tests of recipes are in float64."""


@pytest.fixture(params=recipes.names)
def name(request: pytest.FixtureRequest) -> str:
    """Every recipe."""
    assert request.param in SMALL, f"recipe {request.param!r} has no entry in SMALL of {__file__}"
    return str(request.param)


@pytest.fixture
def small() -> dict[str, dict[str, Any]]:
    """Arguments that keep a system small, by recipe."""
    return SMALL


@pytest.fixture
def fits() -> dict[str, dict[str, Any]]:
    """What a recipe's data are, where they are not binary data without a condition."""
    return FITTING


@pytest.fixture
def spec() -> Callable[..., Spec]:
    """A spec of a kind, with or without a condition."""

    def make(kind: str = "binary", context: bool = False, **changes: Any) -> Spec:
        fields: dict[str, Any] = {"name": "toy", "shape": SHAPE, "kind": kind, "size": 20} | changes
        return Spec(**fields, context=CONTEXT if context else None)

    return make


@pytest.fixture
def fitting(spec: Callable[..., Spec]) -> Callable[[str], Spec]:
    """The spec that a recipe is tried on."""

    def choose(name: str) -> Spec:
        return spec(**FITTING.get(name, {}))

    return choose


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    """A seeded batch that fits a spec."""

    def make(spec: Spec, rows: int = ROWS, seed: int = 3) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        x = torch.rand(rows, *spec.shape, generator=generator, dtype=torch.float64)
        if spec.kind == "binary":
            x = (x > 0.6).to(x.dtype)
        batch = {"x": 3 * x - 1 if spec.kind == "real" else x}
        if spec.classes is not None:
            batch["y"] = torch.randint(spec.classes, (rows,), generator=generator)
        if spec.context is not None:
            batch["c"] = torch.randn(rows, *spec.context, generator=generator, dtype=torch.float64)
        if spec.pairs is not None:
            other = torch.rand(rows, *spec.shape, generator=generator, dtype=torch.float64)
            batch["partner"] = (other > 0.6).to(other.dtype) if spec.kind == "binary" else other
        if spec.theta is not None:
            theta = torch.randn(rows, len(spec.theta), generator=generator, dtype=torch.float64)
            batch["theta"] = theta.masked_fill(torch.arange(rows)[:, None] % 2 == 1, torch.nan)
        elif spec.labelled is not None:  # every other label is known
            batch["y"] = torch.where(torch.arange(rows) % 2 == 0, torch.arange(rows) % spec.classes, -1)
        return batch

    return make


@pytest.fixture
def judge() -> Callable[..., tuple[Trace, dict[str, Judged]]]:
    """What every player of a system says of a batch, on the noise of a seed."""

    def run(system: System, batch: Batch, seed: int = 5) -> tuple[Trace, dict[str, Judged]]:
        torch.manual_seed(seed)
        trace = system.procedure.trace(batch, Manner())
        return trace, {player.name: player.objective(trace) for player in system.procedure.players}

    return run


@pytest.fixture
def gradients() -> Callable[..., dict[str, Tensor]]:
    """The gradient that one training step gives to every parameter of the model, zero where it gives none.

    Taken from the step itself: with plain gradient descent at rate 1 a parameter moves by its gradient.
    """

    def run(system: System, batch: Batch, seed: int = 5) -> dict[str, Tensor]:
        system = copy.deepcopy(system)
        for player in system.procedure.players:
            player.optimizer = torch.optim.SGD(player.parameters, lr=1.0)
            player.rates = [1.0]  # what a pace multiplies
        before = {key: value.detach().clone() for key, value in system.model.named_parameters()}
        torch.manual_seed(seed)
        system.procedure.step([batch])
        return {key: before[key] - value.detach() for key, value in system.model.named_parameters()}

    return run
