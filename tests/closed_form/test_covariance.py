"""The covariance of the codes of a batch: against numpy, its gradient by hand, a batch of one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vaekit import conditionals as c
from vaekit.data.spec import Spec
from vaekit.distributions import DiagonalNormal, PointMass, StandardNormal
from vaekit.errors import UnsupportedError
from vaekit.models import Flat
from vaekit.recipes import dip_vae, vae
from vaekit.terms import OffDiagonal, UnitVariance
from vaekit.terms.covariance import Covariance
from vaekit.testing import batch_for, select
from vaekit.trace import Latent, Trace

SPEC = Spec("bits", (7,), "binary", 40)


pytestmark = pytest.mark.usefixtures("double")


def trace_of(mean, log_std=None):
    log_std = torch.zeros_like(mean) if log_std is None else log_std
    q = DiagonalNormal(mean, log_std)
    return Trace({"x": mean}, {"z": Latent(q.rsample(), q, StandardNormal(mean.shape[1:], mean))}, {})


def penalties(trace, variant):
    return [float(term(Covariance(variant))(trace).detach()) for term in (OffDiagonal, UnitVariance)]


@pytest.mark.parametrize("variant", ["i", "ii"])
def test_against_numpy(variant):
    mean, log_std = torch.randn(9, 4), 0.3 * torch.randn(9, 4)
    sigma = np.cov(mean.numpy(), rowvar=False, bias=True)
    if variant == "ii":
        sigma += np.diag(np.exp(2 * log_std.numpy()).mean(0))
    off = sum(sigma[i, j] ** 2 for i in range(4) for j in range(4) if i != j)
    found = penalties(trace_of(mean, log_std), variant)
    assert found == pytest.approx([off, ((np.diag(sigma) - 1) ** 2).sum()], rel=1e-12)


def test_draws_do_not_matter_and_several_latents_stand_side_by_side():
    mean, log_std = torch.randn(9, 4), 0.3 * torch.randn(9, 4)
    first = penalties(trace_of(mean, log_std), "ii")
    assert penalties(trace_of(mean, log_std), "ii") == first
    latents = {}
    for name, k in (("z1", slice(0, 3)), ("z2", slice(3, 4))):
        q = DiagonalNormal(mean[:, k], log_std[:, k])
        latents[name] = Latent(q.rsample(), q, StandardNormal((1,), mean))
    assert penalties(Trace({"x": mean}, latents, {}), "ii") == pytest.approx(first, rel=1e-12)


def test_zero_at_the_identity_and_the_same_under_rotation_there():
    mean = torch.linalg.qr(torch.randn(8, 3) - torch.randn(8, 3).mean(0))[0]
    mean = mean - mean.mean(0)
    mean = mean @ torch.linalg.inv(torch.linalg.cholesky(mean.mT @ mean / 8)).mT
    rotation, _ = torch.linalg.qr(torch.randn(3, 3))
    for codes in (mean, mean @ rotation, mean + 5):
        assert penalties(trace_of(codes), "i") == pytest.approx([0, 0], abs=1e-20)
    # codes without spread of their means: variant ii asks for s^2 = 1
    assert penalties(trace_of(torch.ones(5, 3)), "ii") == pytest.approx([0, 0])
    assert penalties(trace_of(torch.ones(5, 3)), "i") == pytest.approx([0, 3])


def test_variant_ii_goes_to_variant_i_as_the_posteriors_narrow():
    mean = torch.randn(9, 4)
    narrow = trace_of(mean, torch.full_like(mean, -20.0))
    assert penalties(narrow, "ii") == pytest.approx(penalties(narrow, "i"), rel=1e-12)


def test_gradient_by_hand():
    mean = torch.randn(9, 4, requires_grad=True)
    trace = trace_of(mean)
    loss = 3 * OffDiagonal(Covariance("i"))(trace) + 7 * UnitVariance(Covariance("i"))(trace)
    centred = (mean - mean.mean(0)).detach()
    sigma = centred.mT @ centred / 9
    inner = 3 * sigma
    inner.diagonal().copy_(7 * (sigma.diagonal() - 1))
    (found,) = torch.autograd.grad(loss, mean)
    torch.testing.assert_close(found, 4 / 9 * centred @ inner)


@pytest.mark.parametrize("rows", [2, 9])
def test_a_batch_that_is_there_twice_has_the_same_value(rows):
    trace = trace_of(torch.randn(rows, 4), 0.3 * torch.randn(rows, 4))
    twice = select(trace, "batch", torch.arange(rows).repeat(2))
    for variant in ("i", "ii"):
        assert penalties(twice, variant) == pytest.approx(penalties(trace, variant), rel=1e-12)


def test_a_batch_of_one_has_no_covariance():
    mean, log_std = torch.randn(1, 4, requires_grad=True), 0.3 * torch.randn(1, 4)
    trace = trace_of(mean, log_std)
    assert penalties(trace, "i") == [0, 4]
    assert penalties(trace, "ii") == pytest.approx([0, float(((2 * log_std).exp() - 1).square().sum())])
    (found,) = torch.autograd.grad(UnitVariance(Covariance("i"))(trace), mean)
    assert not found.any()


def test_the_covariance_is_worked_out_once():
    trace = trace_of(torch.randn(5, 2))
    assert Covariance("i")(trace) is Covariance("i")(trace)
    assert Covariance("i")(trace) is not Covariance("ii")(trace)


def judged(build, **arguments):
    torch.manual_seed(0)
    system = build(SPEC, latents=3, hidden=(8,), **arguments)
    torch.manual_seed(1)
    trace = system.model(batch_for(SPEC, 6))
    return trace, system.procedure.players[0].objective(trace)


@pytest.mark.parametrize("variant", ["i", "ii"])
def test_the_recipe_is_the_vae_plus_its_penalties(variant):
    trace, found = judged(dip_vae, variant=variant, lambda_od=3.0)
    off, unit = penalties(trace, variant)
    diagonal = 30.0 if variant == "i" else 3.0  # what stands where nothing is said
    vae_loss = judged(vae)[1].total
    torch.testing.assert_close(found.total, vae_loss + 3 * off + diagonal * unit)
    torch.testing.assert_close(judged(dip_vae, variant=variant, lambda_od=0.0)[1].total, vae_loss)
    only = judged(dip_vae, variant=variant, lambda_od=0.0, lambda_d=2.0)[1].total
    torch.testing.assert_close(only, vae_loss + 2 * unit)


def test_penalties_move_the_encoder_alone():
    torch.manual_seed(0)
    system = dip_vae(SPEC, latents=3, hidden=(8,))
    trace = system.model(batch_for(SPEC, 6))
    (OffDiagonal(Covariance("ii"))(trace) + UnitVariance(Covariance("ii"))(trace)).backward()
    assert all(parameter.grad is None for parameter in system.model.likelihood.parameters())
    assert all(parameter.grad is not None for parameter in system.model.posteriors.parameters())


def test_what_has_no_covariance_of_this_form_is_refused():
    def make(output):
        return torch.nn.Linear(7, output[0])

    decoder = c.Bernoulli(lambda output: torch.nn.Linear(2, 7), (7,))
    full = Flat(c.CholeskyGaussian(make, (2,)), c.StandardGaussian((2,)), decoder)
    trace = full(batch_for(SPEC, 4))
    assert OffDiagonal(Covariance("i"))(trace).isfinite()
    with pytest.raises(UnsupportedError, match="CholeskyNormal; this needs diagonal Gaussians"):
        OffDiagonal(Covariance("ii"))(trace)
    q = PointMass(torch.randn(5, 2))
    point = Trace({"x": torch.zeros(5, 1)}, {"z": Latent(q.value, q, StandardNormal((2,), q.value))}, {})
    assert UnitVariance(Covariance("i"))(point).isfinite()
    with pytest.raises(ValueError, match="`variant` is 'iii'; expected one of i, ii"):
        Covariance("iii")
