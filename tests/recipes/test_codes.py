"""VQ-VAE, VQ-VAE-2 and the prior over codes as systems: data, refusals, pieces, precision, encoding."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from vaekit import recipes
from vaekit.errors import UnsupportedError
from vaekit.procedures import Manner
from vaekit.terms import Distortion, Rate

TINY = {
    "vq_vae": {"codes": 6, "dims": 3, "hidden": (8,)},
    "vq_vae2": {"codes": 6, "dims": 3, "hidden": (4, 8)},
}


@pytest.fixture(params=TINY)
def system(request, spec):
    torch.manual_seed(0)
    return getattr(recipes, request.param)(spec(shape=(1, 8, 8)), **TINY[request.param])


@pytest.fixture
def batch(spec, batch_of):
    return batch_of(spec(shape=(1, 8, 8)))


def test_data_are_encoded_as_numbers_that_decode_to_the_reconstruction(system, batch):
    model = system.model.eval()
    codes = model.encode(batch)
    for name, value in codes.items():
        assert value.dtype == torch.int64, name
        assert 0 <= value.min() <= value.max() < 6
    drawn = model.encode(batch, sample=True)
    assert all(torch.equal(drawn[name], value) for name, value in codes.items())
    logits = model(batch).observed["x"].p.logits
    torch.testing.assert_close(model.decode(codes).logits, logits, rtol=0, atol=1e-14)
    partly = {name: codes[name] for name in list(codes)[-1:]}
    assert model.decode(partly).mean.shape == (12, 1, 8, 8)


def test_rate_is_that_of_uniform_codes_at_every_position(system, batch):
    trace = system.model(batch)
    positions = sum(latent.q.positions for latent in trace.latents.values())
    torch.testing.assert_close(Rate()(trace), torch.full((12,), positions * math.log(6)))
    said = system.procedure.step([batch])
    assert set(said) == {"distortion", "commitment", "loss"}
    assert said["loss"].item() == pytest.approx((said["distortion"] + 0.25 * said["commitment"]).item())


def test_pieces_make_the_same_step_as_the_whole(spec, batch_of):
    here = spec(shape=(1, 8, 8))
    batch = batch_of(here)
    torch.manual_seed(0)
    whole = recipes.vq_vae(here, **TINY["vq_vae"], restart=0.0, decay=0.5)
    pieces = copy.deepcopy(whole)
    halves = [{"x": batch["x"][:6]}, {"x": batch["x"][6:]}]
    for _ in range(3):
        first, second = whole.procedure.step([batch]), pieces.procedure.step(halves)
        for name, value in first.items():
            torch.testing.assert_close(value, second[name])
    torch.testing.assert_close(whole.model.posteriors[0].codebook, pieces.model.posteriors[0].codebook)
    assert not whole.procedure.couples_batch


def test_codebook_is_in_full_precision_under_mixed_precision(system, batch):
    system = copy.deepcopy(system)
    for module in system.modules().values():
        module.float()
    half = Manner(autocast=lambda: torch.autocast("cpu", torch.bfloat16))
    said = system.procedure.step([{"x": batch["x"].float()}], half)
    assert all(value.isfinite() for value in said.values())
    trace = system.procedure.trace({"x": batch["x"].float()}, half)
    for latent in trace.latents.values():
        assert latent.value.dtype == torch.float32


def test_prior_over_codes_learns_what_follows_what(spec):
    """Rows where every class repeats the first: ln K nats each, where independent positions cost P ln K."""
    here = spec("categorical", shape=(5,), levels=4)
    torch.manual_seed(0)
    system = recipes.code_prior(here, width=16, blocks=2, learning_rate=1e-2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(120):
        first = torch.randint(4, (64, 1), generator=generator)
        said = system.procedure.step([{"x": first.expand(64, 5).double()}])
    assert said["loss"] < 1.15 * math.log(4)
    drawn = system.model.eval().generate(200).sample()
    assert (drawn == drawn[:, :1]).all(1).double().mean() > 0.9
    assert drawn[:, 0].unique().numel() == 4


def test_condition_by_the_codes_of_another_level(spec):
    here = spec("categorical", shape=(2, 2), levels=3)
    here = type(here)(**{**here.__dict__, "context": (1, 1)})
    torch.manual_seed(0)
    system = recipes.code_prior(here, width=16, blocks=2, context_levels=3, learning_rate=1e-2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(80):
        c = torch.randint(3, (64, 1, 1), generator=generator).double()
        said = system.procedure.step([{"x": c.expand(64, 2, 2), "c": c}])
    assert said["loss"] < 0.2
    c = torch.tensor([0.0, 1, 2]).view(3, 1, 1)
    drawn = system.model.eval().generate(3, c).sample()
    assert torch.equal(drawn, c.expand(3, 2, 2))


def test_binary_pictures_have_an_exact_likelihood(spec, batch_of):
    here = spec(shape=(1, 4, 4))
    system = recipes.code_prior(here, width=8, blocks=2)
    trace = system.model(batch_of(here))
    assert Distortion()(trace).shape == (12,)
    assert trace.latents == {}


@pytest.mark.parametrize(
    ("name", "arguments", "fields", "words"),
    [
        ("vq_vae", {"codes": 1}, {}, "`codes` is 1"),
        ("vq_vae", {"dims": 0}, {}, "`dims` is 0"),
        ("vq_vae", {"codes": 512}, {}, "20 training data with 16 positions each give 320"),
        ("vq_vae", {"positions": 0}, {}, "`positions` is 0"),
        ("vq_vae", {"positions": 5, "architecture": "conv"}, {}, "follows from the image"),
        ("vq_vae", {"architecture": "conv"}, {"shape": (7,)}, "square images"),
        ("vq_vae", {"architecture": "gated"}, {}, "one of auto, mlp, conv"),
        ("vq_vae", {"beta": -1.0}, {}, "`beta`"),
        ("vq_vae", {"codebook": "means"}, {}, "one of ema, gradient"),
        ("vq_vae", {"prior_width": 6}, {}, "multiple of 4"),
        ("vq_vae", {"prior_attention": 9}, {}, "at most 8"),
        ("vq_vae", {"likelihood": "gaussian"}, {}, "made for real"),
        ("vq_vae", {"hidden": (4, 5, 6), "architecture": "conv"}, {}, "first and the second halving"),
        ("vq_vae2", {"codes": 1}, {}, "`codes` is 1"),
        ("vq_vae2", {"dims": 0}, {}, "`dims` is 0"),
        ("vq_vae2", {"codes": 21}, {"shape": (1, 4, 4)}, "take at most 20"),
        ("vq_vae2", {}, {"shape": (7,)}, "square images"),
        ("vq_vae2", {}, {"shape": (1, 8, 6)}, "square images"),
        ("code_prior", {}, {"kind": "unit"}, "`?'toy'`? is unit"),
        ("code_prior", {"context_levels": 3}, {}, "has no condition"),
        ("code_prior", {"attention": 1, "heads": 3}, {}, "multiple of 3"),
        ("code_prior", {}, {"shape": (3, 4, 4)}, "expected a map"),
        ("gumbel_vae", {"classes": 1}, {}, "`classes` is 1"),
        ("gumbel_vae", {"temperature": 0.0}, {}, "`temperature`"),
        ("gumbel_vae", {"lowest": 2.0}, {}, "`lowest`"),
        ("gumbel_vae", {"rate": -1.0}, {}, "`rate`"),
        ("gumbel_vae", {"beta": -1.0}, {}, "`beta`"),
    ],
)
def test_refusals(name, arguments, fields, words, spec):
    fields = dict(fields)
    here = spec(fields.pop("kind", "binary"), **fields)
    small = {} if "codes" in arguments or name not in TINY else {"codes": 6}
    with pytest.raises((ValueError, TypeError, UnsupportedError), match=words):
        getattr(recipes, name)(here, **{**small, **arguments})
