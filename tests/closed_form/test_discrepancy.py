"""Maximum mean discrepancy: unbiased, by hand, in closed form for Gaussian kernels, and in its recipes."""

from __future__ import annotations

import math

import pytest
import torch

from vaekit.data.arrays import ArrayData
from vaekit.data.spec import Spec
from vaekit.distributions import DiagonalNormal, PointMass, StandardNormal
from vaekit.errors import UnsupportedError
from vaekit.metrics import elbo, nll
from vaekit.recipes import info_vae, vae, wae_mmd
from vaekit.terms import MMD, SquaredError
from vaekit.terms.discrepancy import similarities, squared_mmd
from vaekit.testing import batch_for
from vaekit.trace import Latent, Trace

SPEC = Spec("bits", (7,), "binary", 40)


pytestmark = pytest.mark.usefixtures("double")


def trace_of(codes, prior=None):
    axes = ("batch",) if codes.dim() == 2 else ("sample", "batch")
    latent = Latent(codes, PointMass(codes), prior or StandardNormal(codes.shape[-1:], codes))
    return Trace({"x": torch.zeros(codes.shape[-2], 1)}, {"z": latent}, {}, axes)


KERNELS = {
    "imq": lambda a, b, s: 2 * len(a) * s / (2 * len(a) * s + float((a - b).square().sum())),
    "rbf": lambda a, b, s: math.exp(-float((a - b).square().sum()) / (2 * len(a) * s)),
}


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_by_hand(kernel):
    a, b, scales = torch.randn(4, 3), torch.randn(5, 3), (0.3, 2.0)

    def k(u, v):
        return sum(KERNELS[kernel](u, v, s) for s in scales)

    expected = sum(k(a[i], a[j]) for i in range(4) for j in range(4) if i != j) / (4 * 3)
    expected += sum(k(b[i], b[j]) for i in range(5) for j in range(5) if i != j) / (5 * 4)
    expected -= 2 * sum(k(u, v) for u in a for v in b) / (4 * 5)
    assert float(squared_mmd(a, b, kernel, scales)) == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(similarities(a, kernel, scales).diagonal(), torch.full((4,), 2.0))
    batched = squared_mmd(torch.stack([a, a]), torch.stack([b, b]), kernel, scales)
    torch.testing.assert_close(batched, torch.full((2,), expected))


@pytest.mark.parametrize("rows", [2, 5, 20])
@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_zero_on_average_where_both_are_one(kernel, rows):
    torch.manual_seed(0)
    values = squared_mmd(torch.randn(4000, rows, 2), torch.randn(4000, rows, 2), kernel, (0.5, 2.0))
    error = float(values.std()) / math.sqrt(len(values))
    assert abs(float(values.mean())) < 3.5 * error
    assert (values < 0).any()
    # pairs of points with themselves would add about 2 k(0) / rows, far outside of the error
    assert 3.5 * error < 0.5 / rows


def exact(shift, n, scale):
    """MMD^2 of N(0, I) and N(m, I) for k = exp(-|a - b|^2 / (2 s2)), s2 = n scale."""
    s2 = n * scale
    return 2 * (s2 / (s2 + 2)) ** (n / 2) * (1 - math.exp(-float(shift.square().sum()) / (2 * (s2 + 2))))


@pytest.mark.parametrize("rows", [3, 15])
def test_closed_form_for_gaussians(rows):
    torch.manual_seed(0)
    shift, scales = torch.tensor([0.5, -1.0, 0.2]), (0.4, 1.5)
    values = squared_mmd(torch.randn(6000, rows, 3) + shift, torch.randn(6000, rows, 3), "rbf", scales)
    error = float(values.std()) / math.sqrt(len(values))
    assert float(values.mean()) == pytest.approx(sum(exact(shift, 3, s) for s in scales), abs=3.5 * error)
    assert error < 0.01


def test_the_term_compares_codes_with_its_prior():
    torch.manual_seed(0)
    shift = torch.tensor([1.0, 0.0])
    far = [float(MMD("rbf", (1.0,))(trace_of(torch.randn(30, 2) + shift))) for _ in range(300)]
    assert sum(far) / 300 == pytest.approx(exact(shift, 2, 1.0), abs=0.015)
    moved = DiagonalNormal(shift, torch.zeros(2))
    near = [float(MMD("rbf", (1.0,))(trace_of(torch.randn(30, 2) + shift, moved))) for _ in range(300)]
    assert sum(near) / 300 == pytest.approx(0, abs=0.008)


def test_sample_axis_is_averaged_after_each_draw_is_judged():
    codes = torch.randn(6, 5, 2)
    torch.manual_seed(3)
    found = MMD("imq", (0.5, 2.0))(trace_of(codes))
    torch.manual_seed(3)
    prior = torch.randn(6, 5, 2)
    each = [squared_mmd(a, b, "imq", (0.5, 2.0)) for a, b in zip(codes, prior, strict=True)]
    torch.testing.assert_close(found, torch.stack(each).mean())


def test_a_batch_of_one_says_nothing():
    codes = torch.randn(1, 2, requires_grad=True)
    value = MMD()(trace_of(codes))
    assert value.item() == 0
    (found,) = torch.autograd.grad(value, codes)
    assert not found.any()
    pair = torch.zeros(2, 2, requires_grad=True)
    (found,) = torch.autograd.grad(MMD()(trace_of(pair)), pair)
    assert found.any()  # it takes two


def test_gradient_pushes_codes_apart_and_towards_the_prior():
    torch.manual_seed(0)
    wide = (5 * torch.randn(200, 2)).requires_grad_()
    (found,) = torch.autograd.grad(MMD("imq", (0.1, 1.0, 10.0))(trace_of(wide)), wide)
    assert float((found * wide.detach()).sum()) > 0  # downhill is inwards
    narrow = (0.2 * torch.randn(200, 2)).requires_grad_()
    (found,) = torch.autograd.grad(MMD("imq", (0.1, 1.0, 10.0))(trace_of(narrow)), narrow)
    assert float((found * narrow.detach()).sum()) < 0


def test_single_precision_distances_are_never_negative():
    points = (1e3 + torch.randn(50, 3)).float()
    assert (similarities(points, "rbf", (1.0,)) <= 1).all()
    assert (similarities(points, "imq", (1.0,)) <= 1).all()


def test_what_cannot_be_compared_is_refused():
    codes = torch.randn(5, 2)
    with pytest.raises(UnsupportedError, match="latent 'z' differs from datum to datum"):
        MMD()(trace_of(codes, DiagonalNormal(codes, torch.zeros(5, 2))))
    with pytest.raises(ValueError, match="`kernel` is 'linear'; expected one of imq, rbf"):
        MMD("linear")
    for scales in ((), 1.0):
        with pytest.raises(ValueError, match="expected one positive number or more"):
            MMD(scales=scales)
    with pytest.raises(ValueError, match=r"`scales\[1\]` is 0.0"):
        MMD(scales=(1.0, 0.0))


def judged(build, spec=SPEC, seed=1, **arguments):
    torch.manual_seed(0)
    system = build(spec, latents=3, hidden=(8,), **arguments)
    torch.manual_seed(seed)
    trace = system.model(batch_for(spec, 6))
    return system, trace, system.procedure.players[0].objective(trace)


def test_info_vae_at_its_limits():
    plain = judged(vae)[2]
    limit = judged(info_vae, alpha=0.0, lambda_mmd=1.0)[2]
    assert torch.equal(limit.total, plain.total)
    assert set(limit.values) == {"distortion", "rate"}
    _, trace, found = judged(info_vae, alpha=1.0, lambda_mmd=5.0, kernel="imq", scales=(0.5, 2.0))
    assert set(found.values) == {"distortion", "mmd"}
    torch.manual_seed(1)
    torch.randn(6, 3)  # the noise of the codes
    value = squared_mmd(trace.latents["z"].value, torch.randn(6, 3), "imq", (0.5, 2.0))
    torch.testing.assert_close(found.total, plain.values["distortion"] + 5 * value)
    between = judged(info_vae, alpha=0.25, lambda_mmd=5.0, kernel="imq", scales=(0.5, 2.0))[2]
    expected = plain.values["distortion"] + 0.75 * plain.values["rate"] + 4.25 * value
    torch.testing.assert_close(between.total, expected)


def test_info_vae_has_no_negative_weights():
    with pytest.raises(UnsupportedError, match=r"would weigh -0\.5, .* `lambda_mmd` of at least 1\.5"):
        info_vae(SPEC, alpha=-0.5, lambda_mmd=1.0)
    with pytest.raises(ValueError, match=r"`alpha` is 1\.5; expected a finite number at most 1"):
        info_vae(SPEC, alpha=1.5)


def test_wae_is_squared_error_plus_discrepancy():
    system, trace, found = judged(wae_mmd, lambda_mmd=7.0, scales=(0.5, 2.0))
    x = trace.batch["x"]
    codes = system.model.posteriors[0].network(x)
    error = (x - system.model.likelihood.network(codes)).square().sum(-1).mean()
    torch.manual_seed(1)
    value = squared_mmd(codes, torch.randn(6, 3), "imq", (0.5, 2.0))
    torch.testing.assert_close(found.total, error + 7 * value)
    torch.testing.assert_close(found.values["squared_error"], error.detach())
    assert judged(wae_mmd, lambda_mmd=0.0)[2].total == error


def test_squared_error_averages_draws_and_sums_elements():
    spec = Spec("pictures", (1, 2, 3), "unit", 40)
    torch.manual_seed(0)
    model = wae_mmd(spec, latents=3, hidden=(8,), encoder="gaussian").model
    trace = model(batch_for(spec, 5), 4)
    error = (trace.batch["x"] - trace.observed["x"].p.mean).square()
    torch.testing.assert_close(SquaredError()(trace), error.sum((2, 3, 4)).mean(0))


def test_discrepancy_moves_the_encoder_alone():
    for build in (wae_mmd, info_vae):
        system, trace, _ = judged(build)
        MMD()(trace).backward()
        assert all(parameter.grad is None for parameter in system.model.likelihood.parameters())
        assert all(parameter.grad is not None for parameter in system.model.posteriors.parameters())


@pytest.mark.parametrize(
    ("arguments", "evidence"),
    [
        ({}, False),
        ({"encoder": "gaussian"}, False),
        ({"likelihood": "auto"}, False),
        ({"encoder": "gaussian", "likelihood": "auto"}, True),
    ],
)
def test_evidence_is_refused_where_there_is_none(arguments, evidence):
    torch.manual_seed(0)
    model = wae_mmd(SPEC, latents=3, hidden=(8,), **arguments).model
    data = ArrayData(SPEC, batch_for(SPEC, 6)["x"])
    if evidence:
        assert math.isfinite(elbo(model, data).elbo)
        return
    for measure in (elbo, lambda *given: nll(*given, samples=5)):
        with pytest.raises(UnsupportedError, match="no density"):
            measure(model, data)


@pytest.mark.parametrize("kind", ["count", "categorical"])
def test_a_point_decoder_is_refused_where_differences_mean_nothing(kind):
    spec = Spec("counts", (7,), kind, 40, levels=4)
    with pytest.raises(UnsupportedError, match=f"'counts' is {kind}: take likelihood auto"):
        wae_mmd(spec)
    assert wae_mmd(spec, likelihood="auto", latents=2, hidden=(8,))
