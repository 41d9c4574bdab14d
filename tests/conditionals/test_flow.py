"""Normalising flows: densities, Jacobians, inverses, and what cannot be done with them."""

from __future__ import annotations

import sys

import pytest
import torch
from torch.distributions import AffineTransform, ExpTransform, Normal, TransformedDistribution

from vaekit import conditionals as c
from vaekit.distributions import detached
from vaekit.errors import UnsupportedError, UserError
from vaekit.testing import check_conditional, check_density

FLOWS = ["maf", "nsf", "realnvp"]


pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture(params=FLOWS)
def flow(request):
    return request.param


def moved(flow, n, **more):
    """A flow whose parameters are not where they start."""
    made = c.Flow((n,), flow, transforms=2, hidden=(8,), **more)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made


def test_contract(flow):
    check_conditional(c.Flow((4,), flow, transforms=2, hidden=(8,)), event=(4,))
    assert moved(flow, 4)(torch.randn(5, 2)).batch_shape == ()


def test_contract_with_a_condition(flow):
    made = c.Flow((4,), flow, transforms=2, hidden=(8,), context=(3, 2))
    check_conditional(made, torch.randn(5, 3, 2), event=(4,))


def test_density_integrates_to_one_in_one_dimension(flow):
    tolerance = 1e-4 if flow == "nsf" else 1e-6  # a density with kinks, at the knots of its splines
    check_density(moved(flow, 1)(), low=-60, high=60, tolerance=tolerance)


def test_density_integrates_to_one_in_two_dimensions(flow):
    line = torch.linspace(-14, 14, 401)
    grid = torch.cartesian_prod(line, line)
    with torch.no_grad():
        total = moved(flow, 2)().log_prob(grid).exp().sum() * (line[1] - line[0]) ** 2
    assert total.item() == pytest.approx(1, abs=2e-4)


def test_log_determinant_is_that_of_the_jacobian_and_the_inverse_inverts(flow):
    p = moved(flow, 4)()
    x = torch.randn(6, 4)
    u, volume = p.noise(x)
    back = u
    for make in reversed(p.maps):
        back = make(None).inv(back)
    torch.testing.assert_close(back, x, rtol=1e-9, atol=1e-9)
    torch.manual_seed(7)
    drawn = p.rsample((3,))
    torch.manual_seed(7)
    torch.testing.assert_close(p.noise(drawn)[0], torch.randn(3, 4), rtol=1e-9, atol=1e-9)
    for i in range(6):
        jacobian = torch.autograd.functional.jacobian(lambda v: p.noise(v)[0], x[i])
        torch.testing.assert_close(volume[i], torch.linalg.slogdet(jacobian)[1], rtol=1e-9, atol=1e-9)


def test_density_is_the_change_of_variables(flow):
    made = moved(flow, 3)
    x = torch.randn(5, 3)
    u, volume = made().noise(x)
    expected = Normal(0.0, 1.0).log_prob(u).sum(-1) + volume
    torch.testing.assert_close(made().log_prob(x), expected)
    assert (u - x).abs().max() > 0.1


def test_draws_follow_the_density(flow):
    """E[p] over draws equals the integral of p^2, and the sign of the Jacobian decides it."""
    p = moved(flow, 1)()
    line = torch.linspace(-40, 40, 80_001)
    with torch.no_grad():
        squared = torch.trapezoid((2 * p.log_prob(line.unsqueeze(-1))).exp(), dx=0.001)
        values = p.log_prob(p.sample(torch.Size((20_000,)))).exp()
    assert abs(values.mean() - squared) < 5 * values.std() / 20_000**0.5


def test_masked_flows_are_autoregressive_in_their_order():
    p = c.Flow((4,), "maf", transforms=1, hidden=(8,))()
    jacobian = torch.autograd.functional.jacobian(lambda v: p.noise(v)[0], torch.randn(4))
    assert torch.equal(jacobian.triu(1), torch.zeros(4, 4))
    assert (jacobian.tril(-1) != 0).any()


def test_a_condition_changes_the_density_of_its_own_row_alone(flow):
    made = moved(flow, 3, context=(2,))
    context, x = torch.randn(5, 2), torch.randn(5, 3)
    before = made(context).log_prob(x)
    context[2] += 1
    after = made(context).log_prob(x)
    assert (before != after).tolist() == [False, False, True, False, False]
    assert made(context).batch_shape == (5,)
    assert made(context).sample((4,)).shape == (4, 5, 3)


def test_repeated_along_a_sample_axis():
    p, x = moved("maf", 3)(), torch.randn(5, 3)
    repeated = p.expand(torch.Size((7, 5)))
    assert repeated.batch_shape == (7, 5)
    assert repeated.sample().shape == (7, 5, 3)
    assert torch.equal(repeated.log_prob(x), p.log_prob(x).expand(7, 5))


def test_several_event_axes_are_one_vector():
    made = moved("maf", 6)
    picture = c.Flow((2, 3), "maf", transforms=2, hidden=(8,))
    picture.load_state_dict(made.state_dict())
    x = torch.randn(5, 2, 3)
    assert torch.equal(picture().log_prob(x), made().log_prob(x.flatten(1)))
    assert picture().sample((4,)).shape == (4, 2, 3)
    assert picture().event_shape == (2, 3)


def test_no_moment_is_made_up():
    p = moved("maf", 3)()
    for name in ("mean", "variance"):
        with pytest.raises(UnsupportedError, match=r"average draws|that of draws"):
            getattr(p, name)


def test_its_parameters_cannot_be_cut_out():
    with pytest.raises(UnsupportedError, match='gradient="plain"'):
        detached(moved("maf", 3)())


def test_parameters_of_torch_transforms_are_cut_out():
    loc, shift, scale = (torch.tensor(v, requires_grad=True) for v in (0.3, 0.1, 0.7))
    whole = TransformedDistribution(Normal(loc, 1.0), [AffineTransform(shift, scale), ExpTransform()])
    value = torch.tensor(1.7, requires_grad=True)
    cut = detached(whole)
    assert torch.equal(cut.log_prob(value), whole.log_prob(value))
    cut.log_prob(value).backward()
    assert value.grad is not None
    assert [parameter.grad for parameter in (loc, shift, scale)] == [None, None, None]
    whole.log_prob(value).backward()
    assert all(parameter.grad is not None for parameter in (loc, shift, scale))


def test_checks_of_torch_are_as_they_were(monkeypatch):
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", True)
    for name in [name for name in sys.modules if name.split(".")[0] == "zuko"]:
        del sys.modules[name]
    c.Flow((2,))
    assert torch.distributions.Distribution._validate_args
    with pytest.raises(ValueError, match="Normal"):
        Normal(0.0, -1.0)


def test_without_zuko_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(UserError, match=r"vaekit\[flows\]"):
        c.Flow((2,))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (((2,), "planar"), "expected one of maf, nsf, realnvp"),
        (((2,), "maf", 0), "`transforms` is 0"),
        (((2,), "maf", 1, ()), "at least 1 layer"),
    ],
)
def test_refusals(arguments, words):
    with pytest.raises(ValueError, match=words):
        c.Flow(*arguments)
