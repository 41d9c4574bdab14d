"""Which loss reaches what in a VQ-VAE: as exact zeros."""

from __future__ import annotations

import pytest
import torch

from vaekit import conditionals as c
from vaekit.errors import UnsupportedError
from vaekit.models import Flat, TopDown
from vaekit.networks import MLP, CodeDecoder, CodeHead, CodePyramid
from vaekit.terms import CodebookLoss, Commitment, Distortion, ImportanceBound, Rate

EVENT = (3, 4)


@pytest.fixture(params=["ema", "gradient"])
def model(request):
    posterior = c.Quantised(lambda out: MLP([(6,)], out, (8,)), EVENT, 5, request.param)
    likelihood = c.Bernoulli(lambda out: MLP([EVENT], out, (8,)), (6,))
    return Flat(posterior, c.UniformCodes(posterior), likelihood).double().train()


@pytest.fixture
def batch():
    return {"x": torch.randint(2, (7, 6)).double()}


def reached(model, loss):
    """Names of the parameters with a gradient that is not zero."""
    parameters = dict(model.named_parameters())
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    return {n for n, g in zip(parameters, found, strict=True) if g is not None and bool((g != 0).any())}


def parts(model, prefix):
    return {name for name, _ in model.named_parameters() if name.startswith(prefix)}


def test_routes(model, batch):
    encoder = parts(model, "posteriors.0.network")
    decoder = parts(model, "likelihood")
    book = parts(model, "posteriors.0.codebook")
    trace = model(batch)
    assert reached(model, Distortion()(trace).sum()) == encoder | decoder
    assert reached(model, Commitment()(model(batch)).sum()) == encoder
    if book:
        assert reached(model, CodebookLoss()(model(batch)).sum()) == book
    else:
        assert not CodebookLoss()(model(batch)).requires_grad
    assert not Rate()(model(batch)).requires_grad


def test_the_encoder_gets_the_gradient_at_the_decoders_input(model, batch):
    trace = model(batch)
    latent = trace.latents["z"]
    at_input, at_encoder = torch.autograd.grad(Distortion()(trace).sum(), [latent.value, latent.q.z_e])
    assert torch.equal(at_input, at_encoder)
    assert at_input.abs().max() > 0


def test_losses_by_hand(model, batch):
    trace = model(batch)
    q = trace.latents["z"].q
    squares = (q.z_e - model.posteriors[0].codebook[q.codes].movedim(-1, 1)).square().sum((1, 2))
    torch.testing.assert_close(Commitment()(trace), squares)
    torch.testing.assert_close(CodebookLoss()(trace), squares)
    slope = torch.autograd.grad(Commitment()(trace).sum(), q.z_e)[0]
    torch.testing.assert_close(slope, 2 * (q.z_e - q.z_q))


def test_vectors_on_a_code_lose_nothing(batch):
    posterior = c.Quantised(lambda out: torch.nn.Identity(), EVENT, 5).double()
    likelihood = c.Bernoulli(lambda out: MLP([EVENT], out, (8,)), (6,)).double()
    model = Flat(posterior, c.UniformCodes(posterior), likelihood).double().train()
    x = posterior.codebook[torch.randint(5, (7, 4))].movedim(-1, 1)
    q = posterior(x)
    assert torch.equal(q.z_q, x)
    latent = type("L", (), {"q": q})
    trace = type("T", (), {"latents": {"z": latent}, "axes": ("batch",)})
    assert not Commitment()(trace).any()
    assert not CodebookLoss()(trace).any()
    assert model.posteriors[0] is posterior


def test_losses_do_not_depend_on_the_size_of_the_batch(model, batch):
    trace = model(batch)
    alone = model({"x": batch["x"][2:3]})
    for term in (Commitment(), CodebookLoss(), Distortion(), Rate()):
        torch.testing.assert_close(term(trace)[2:3], term(alone))


def test_two_levels():
    features = CodePyramid([(1, 8, 8)], (8, 16))
    bottom, top = (3, *features.bottom[1:]), (3, *features.top[1:])
    above = c.Quantised(lambda out: CodeHead(features.top, out), top, 5)
    below = c.Quantised(lambda out: CodeHead(features.bottom, out, top), bottom, 5)
    decoder = c.Bernoulli(lambda out: CodeDecoder([bottom, top], out, (8, 16), maps=2), (1, 8, 8))
    model = TopDown([below, above], [c.UniformCodes(below), c.UniformCodes(above)], decoder, features)
    model = model.double().train()
    batch = {"x": torch.randint(2, (9, 1, 8, 8)).double()}
    trace = model(batch)
    everything = {name for name, _ in model.named_parameters()}
    assert reached(model, Distortion()(trace).sum()) == everything
    assert reached(model, Commitment()(model(batch)).sum()) == everything - parts(model, "likelihood")
    total = sum((latent.q.z_e - latent.q.z_q).square().sum((1, 2, 3)) for latent in trace.latents.values())
    torch.testing.assert_close(Commitment()(trace), total)
    assert (trace.latents["z1"].q.positions, trace.latents["z2"].q.positions) == (4, 1)
    codes = model.encode(batch)
    assert (codes["z1"].shape, codes["z2"].shape) == ((9, 2, 2), (9, 1, 1))
    # the lower level sees the upper one
    other = {**codes, "z2": (codes["z2"] + 1) % 5}
    assert not torch.equal(model.decode(codes).mean, model.decode(other).mean)
    torch.testing.assert_close(model.decode(codes).logits, trace.observed["x"].p.logits)


def test_what_needs_a_density_or_codes_is_refused(model, batch):
    with pytest.raises(UnsupportedError, match="no density"):
        ImportanceBound()(model(batch, 3))
    with pytest.raises(UnsupportedError, match="no density"):
        Rate("sample")(model(batch))
    plain = Flat(
        c.Gaussian(lambda out: MLP([(6,)], out, ()), (2,)), c.StandardGaussian((2,)),
        c.Bernoulli(lambda out: MLP([(2,)], out, ()), (6,)),
    ).double()  # fmt: skip
    for term in (Commitment(), CodebookLoss()):
        with pytest.raises(UnsupportedError, match="nothing to commit to"):
            term(plain(batch))
