"""Two hundred steps of every recipe on data with a structure to be found."""

from __future__ import annotations

import contextlib

import pytest
import torch

from vaekit import recipes
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.terms import Distortion, Rate, SquaredError

LARGER = {
    "ada_gvae": {"latents": 4, "hidden": (64,), "learning_rate": 2e-3},
    "adversarial_autoencoder": {"latents": 4, "hidden": (64,), "critic": (32,)},
    "annealed_vae": {
        "latents": 4, "hidden": (64,), "ramp": 150, "capacity": 3.0, "gamma": 20.0, "learning_rate": 2e-3,
    },
    "beta_tcvae": {"latents": 4, "hidden": (64,), "beta": 2.0, "learning_rate": 2e-3},
    "beta_vae": {"latents": 4, "hidden": (64,), "beta": 2.0, "learning_rate": 2e-3},
    "code_prior": {"width": 16, "blocks": 2, "attention": 1, "learning_rate": 3e-3},
    "control_vae": {"latents": 4, "hidden": (64,), "capacity": 3.0, "start": None, "learning_rate": 2e-3},
    "cvae": {"latents": 4, "hidden": (64,), "alpha": 0.8},
    "dip_vae": {"latents": 4, "hidden": (64,), "lambda_od": 2.0, "learning_rate": 2e-3},
    "dlgm": {"latents": (4, 3), "hidden": (64,)},
    "factor_vae": {"latents": 4, "hidden": (64,), "critic": (32,), "gamma": 3.0, "learning_rate": 2e-3},
    "flow_density": {"transforms": 2, "hidden": (64,), "learning_rate": 3e-3},
    "gcvae": {"latents": 4, "hidden": (64,), "rate_target": 3.0, "ki": 0.01, "learning_rate": 2e-3},
    "gumbel_vae": {
        "latents": 4, "hidden": (64,), "temperature": 0.5, "lowest": 0.5, "learning_rate": 5e-3,
    },
    "hierarchical_prior_vae": {
        "latents": 4, "hidden": (64,), "weight": "rising", "start": 50, "learning_rate": 2e-3,
    },
    "hvae": {
        "latents": (4, 3), "hidden": (64,), "components": 10, "warmup": 50, "learning_rate": 2e-3,
    },
    "id_gan": {"latents": 4, "hidden": (64,), "beta": 2.0, "learning_rate": 2e-3},
    "info_vae": {"latents": 4, "hidden": (64,), "alpha": 0.2, "lambda_mmd": 20.0, "learning_rate": 2e-3},
    "ladder_vae": {"latents": (4, 3), "hidden": (64,), "warmup": 50, "learning_rate": 2e-3},
    "latent_vae": {"latents": 4, "hidden": (64,), "learning_rate": 1e-3},
    "m1_m2": {"latents": 4, "hidden": (64,), "learning_rate": 5e-3},
    "m2": {"latents": 4, "hidden": (64,), "learning_rate": 5e-3},
    "nash_ae": {"latents": 4, "hidden": (64,), "lambda_covariance": 0.02, "likelihood": "bernoulli",
    "learning_rate": 2e-3},
    "ppca": {"latents": 6, "learning_rate": 3e-2},
    "structured_vae": {"latents": 4,
    "hidden": (64,), "start": 100},
    "two_stage_vae": {"latents": 4, "hidden": (64,), "learning_rate": 1e-3},
    "vamp_vae": {"latents": 4, "hidden": (64,), "components": 10, "warmup": 50, "learning_rate": 2e-3},
    "vq_vae": {"codes": 16, "dims": 8, "positions": 4, "hidden": (64,), "learning_rate": 2e-3},
    "vq_vae2": {"codes": 16, "dims": 8, "hidden": (16, 32), "learning_rate": 3e-3},
}  # fmt: skip
COSTS = {
    "overlap_vae": SquaredError(),
    "wae_mmd": SquaredError(),
}
"""What is measured of a recipe whose model has no bound: its price for a reconstruction."""


def structured(kind, rows=1000):
    """Six prototypes of 36 bits, 5 % of them flipped: (x, label)."""
    generator = torch.Generator().manual_seed(4)
    prototypes = torch.rand(6, 36, generator=generator, dtype=torch.float64) < 0.5
    y = torch.randint(6, (rows,), generator=generator)
    flips = torch.rand(rows, 36, generator=generator, dtype=torch.float64) < 0.05
    bits = (prototypes[y] ^ flips).double()
    if kind != "binary":
        bits = (0.8 * bits + 0.2 * torch.rand(rows, 36, generator=generator, dtype=torch.float64)).clamp(0, 1)
    return bits.reshape(-1, 1, 6, 6), torch.nn.functional.one_hot(y, 6).double()


def held_out(system, batch, cost=None):
    """The ELBO on fixed noise, or its first part where codes have no density; or minus another cost."""
    system.model.eval()
    torch.manual_seed(99)
    with torch.no_grad():
        trace = system.model(batch, samples=8)
        value = -(Distortion() if cost is None else cost)(trace).mean().item()
        if cost is None:
            with contextlib.suppress(UnsupportedError):
                value -= Rate()(trace).mean().item()
    system.model.train()
    return value


def test_two_hundred_steps_raise_the_bound(name, fits):
    if name in ("cvae_gan", "id_gan_generator", "vae_gan"):
        pytest.skip("its decoder ends in a point: there is no bound; see test_vae_gan, _cvae_gan and _id_gan")
    kind = fits.get(name, {}).get("kind", "binary")
    x, c = structured(kind)
    context = (6,) if fits.get(name, {}).get("context") else None
    labels = {"classes": 6, "labelled": 80} if "classes" in fits.get(name, {}) else {}
    pairs = {key: value for key, value in fits.get(name, {}).items() if key in ("factors", "pairs")}
    spec = Spec("toy", (1, 6, 6), kind, 800, context=context, **labels, **pairs)
    alike = torch.empty(800, dtype=torch.long)  # of each datum, another one of the same prototype
    order = c[:800].argmax(1).argsort()
    alike[order] = order.roll(1)
    torch.manual_seed(0)
    small = {"latents": 4, "hidden": (64,)}
    if name in ("iwae", "ciwae"):
        small |= {"samples": 5}
    if name in ("miwae", "piwae"):
        small |= {"groups": 2, "samples": 3}
    system = getattr(recipes, name)(spec, **LARGER.get(name, small))
    test = {"x": x[800:], **({"c": c[800:]} if context else {})}
    before = held_out(system, test, COSTS.get(name))
    for step in range(200):
        rows = torch.arange(step * 50, step * 50 + 50) % 800
        batch = {"x": x[rows], **({"c": c[rows]} if context else {})}
        if pairs:
            batch["partner"] = x[alike[rows]]
        if labels:
            batch["y"] = torch.where(rows % 10 == 0, c[rows].argmax(1), -1)
        system.procedure.step([batch])
    after = held_out(system, test, COSTS.get(name))
    # naming the prototype costs ln 6 = 1.8 nats and buys about 15 of 25; annealed_vae spends 3 by order
    assert after > before + (4 if name == "annealed_vae" else 9), (before, after)


def test_annealed_vae_reaches_its_capacity():
    x, _ = structured("binary")
    torch.manual_seed(0)
    system = recipes.annealed_vae(
        Spec("toy", (1, 6, 6), "binary", 800), latents=4, hidden=(64,), ramp=200, capacity=1.2, gamma=50.0,
        learning_rate=2e-3,
    )  # fmt: skip
    for step in range(300):
        rows = torch.arange(step * 50, step * 50 + 50) % 800
        system.procedure.step([{"x": x[rows]}])
    rate = Rate()(system.model({"x": x})).mean().item()
    assert abs(rate - 1.2) < 0.1
