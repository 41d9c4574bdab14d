"""Quantised and categorical latents: what is nearest, what it costs, how a codebook moves. All by hand."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.distributions import kl_divergence

from vaekit import conditionals as c
from vaekit import distributions as d
from vaekit.conditionals.codes import refuse_more_codes_than_vectors
from vaekit.errors import UnsupportedError
from vaekit.models.draws import placed
from vaekit.schedules import Exponential
from vaekit.testing import check_conditional, check_density


def identity(output):
    """A network that gives its input as vectors to be quantised."""
    return nn.Identity()


def quantiser(codes=3, event=(2, 4), **more):
    return c.Quantised(identity, event, codes, **more).double().train()


def set_codes(module, rows):
    with torch.no_grad():
        module.codebook.copy_(torch.tensor(rows))


BOOK = [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]


# --- which code ---


def test_the_nearest_code_is_the_nearest():
    module = quantiser(codes=7, event=(3, 2, 5))
    z = torch.randn(4, 3, 2, 5)
    q = module(z.double())
    for b in range(4):
        for i in range(2):
            for j in range(5):
                distances = (module.codebook - z[b, :, i, j].double()).norm(dim=1)
                assert q.codes[b, i, j] == distances.argmin()
                torch.testing.assert_close(q.z_q[b, :, i, j], module.codebook[q.codes[b, i, j]])
    assert q.codes.dtype == torch.int64
    assert (q.batch_shape, q.event_shape) == ((4,), (3, 2, 5))


def test_a_draw_is_the_code_to_the_last_bit():
    module = quantiser(codes=5, event=(3, 4)).float()
    z = 1e4 * torch.randn(6, 3, 4)
    q = module(z)
    assert torch.equal(q.rsample(), module.embed(q.codes))
    assert torch.equal(q.mean, q.rsample((2,))[1])
    assert q.rsample((2,)).shape == (2, 6, 3, 4)


def test_permuted_rows_of_the_codebook_permute_the_numbers_only():
    module = quantiser(codes=6, event=(2, 3))
    z = torch.randn(5, 2, 3).double()
    before = module(z)
    order = torch.randperm(6)
    with torch.no_grad():
        module.codebook.copy_(module.codebook[order])
    after = module(z)
    assert torch.equal(order[after.codes], before.codes)
    assert torch.equal(after.z_q, before.z_q)


def test_codes_are_found_in_full_precision_under_mixed_precision():
    module = quantiser(codes=64, event=(2, 50)).float()
    with torch.no_grad():  # closer to each other than bfloat16 can tell
        module.codebook.copy_(100 + 0.01 * torch.randn(64, 2))
    z = 100 + 0.01 * torch.randn(3, 2, 50)
    plain = module(z).codes
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(z).codes, plain)
    assert plain.unique().numel() > 10


def test_more_than_one_leading_axis():
    module = quantiser(codes=4, event=(2, 3))
    z = torch.randn(2, 5, 2, 3).double()
    assert torch.equal(module(z).codes[1], module(z[1]).codes)
    assert module(z).batch_shape == (2, 5)


# --- the rate ---


def test_rate_counts_positions_times_ln_k():
    module = quantiser(codes=5, event=(2, 3, 4))
    q, p = module(torch.randn(6, 2, 3, 4).double()), c.UniformCodes(module)()
    expected = torch.full((6,), 12 * math.log(5)).double()
    torch.testing.assert_close(kl_divergence(q, p), expected)


def test_neither_has_a_density():
    module = quantiser()
    q, p = module(torch.randn(1, 2, 4).double()), c.UniformCodes(module)()
    with pytest.raises(UnsupportedError, match="code_prior"):
        q.log_prob(q.mean)
    with pytest.raises(UnsupportedError, match="ln K"):
        p.log_prob(q.mean[0])


def test_the_contract_of_a_point_without_density():
    check_conditional(c.Quantised(lambda out: nn.Unflatten(-1, out), (2, 3), 4), torch.randn(5, 6), event=(2,
    3),
                      density=False)  # fmt: skip


def test_uniform_codes_are_drawn_uniformly():
    module = quantiser(codes=3, event=(2, 4))
    set_codes(module, BOOK)
    prior = c.UniformCodes(module)(torch.randn(7, 1))  # a context is ignored
    drawn = prior.sample((3000,))
    assert drawn.shape == (3000, 2, 4)
    shares = torch.stack([(drawn == row.view(2, 1)).all(1).double().mean(0) for row in module.codebook])
    assert shares.sum(0).allclose(torch.ones(4).double())  # nothing but codes
    assert (shares - 1 / 3).abs().max() < 0.04
    torch.testing.assert_close(prior.mean[:, 2], module.codebook.mean(0))
    assert prior.mean.shape == prior.event_shape


# --- how a codebook moves ---


def step(module, z):
    module(z)
    module.after_step()


def test_nothing_moves_in_forward():
    module = quantiser(restart=0.5)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    module(torch.randn(3, 2, 4).double())
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("still", ["eval mode", "without gradients", "no pass"])
def test_nothing_moves_without_training(still):
    module = quantiser(restart=0.5)
    step(module, torch.randn(8, 2, 4).double())
    before = {key: value.clone() for key, value in module.state_dict().items()}
    if still == "eval mode":
        module.eval()
        module(torch.randn(3, 2, 4).double())
    elif still == "without gradients":
        with torch.no_grad():
            module(torch.randn(3, 2, 4).double())
    module.after_step()
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_without_memory_a_step_is_one_of_k_means():
    module = quantiser(codes=3, decay=0.0, restart=0.0)
    set_codes(module, [[0.0, 0.0], [10.0, 0.0], [500.0, 0.0]])
    z = torch.tensor([[[1.0, 9.0, 12.0, -1.0], [0.0, 0.0, 3.0, 4.0]]]).double()
    step(module, z)
    expected = torch.tensor(
        [[0.0, 2.0], [10.5, 1.5], [500.0, 0.0]]
    ).double()  # nothing is assigned to the last
    torch.testing.assert_close(module.codebook, expected)
    step(module, z + 1)
    torch.testing.assert_close(module.codebook[:2], expected[:2] + 1)


def test_averages_of_a_constant_stream_are_that_constant_from_the_first_step():
    module = quantiser(codes=2, decay=0.99, restart=0.0)
    set_codes(module, [[0.0, 0.0], [9.0, 9.0]])
    constant = torch.tensor([1.0, -2.0]).double()
    z = constant.view(1, 2, 1).expand(3, 2, 4)
    for _ in range(5):
        step(module, z)
        torch.testing.assert_close(module.codebook[0], constant, rtol=0, atol=1e-12)
        torch.testing.assert_close(module.codebook[1], torch.tensor([9.0, 9.0]).double())


def test_averages_by_hand():
    module = quantiser(codes=1 + 1, event=(1, 3), decay=0.8, restart=0.0)
    set_codes(module, [[0.0], [10.0]])
    first = torch.tensor([[[1.0, 2.0, 9.0]]]).double()
    second = torch.tensor([[[3.0, 11.0, 12.0]]]).double()
    step(module, first)
    torch.testing.assert_close(module.codebook.flatten(), torch.tensor([1.5, 9.0]).double())
    step(module, second)
    low = (0.8 * 0.2 * 3 + 0.2 * 3) / (0.8 * 0.2 * 2 + 0.2 * 1)
    high = (0.8 * 0.2 * 9 + 0.2 * 23) / (0.8 * 0.2 * 1 + 0.2 * 2)
    torch.testing.assert_close(module.codebook.flatten(), torch.tensor([low, high]).double())


def test_pieces_of_a_step_add_up():
    whole = quantiser(codes=4, event=(2, 5), restart=0.0)
    pieces = copy.deepcopy(whole)
    z = torch.randn(6, 2, 5).double()
    step(whole, z)
    for part in z.split(2):
        pieces(part)
    pieces.after_step()
    torch.testing.assert_close(pieces.codebook, whole.codebook)
    torch.testing.assert_close(pieces.counts, whole.counts)


def test_sums_of_two_processes_make_the_step_of_one():
    """The protocol: buffers named in `statistics` are added over processes before `after_step`."""
    one = quantiser(codes=4, event=(2, 5), restart=0.0)
    copies = [copy.deepcopy(one), copy.deepcopy(one)]
    z = torch.randn(6, 2, 5).double()
    step(one, z)
    for module, part in zip(copies, z.split(3), strict=True):
        module(part)
    for name in one.statistics:
        total = sum(getattr(module, name) for module in copies)
        for module in copies:
            getattr(module, name).copy_(total)
    for module in copies:
        module.after_step()
        torch.testing.assert_close(module.codebook, one.codebook)
    assert not any(getattr(one, name).any() for name in one.statistics)


def test_the_first_step_puts_all_codes_on_data():
    module = quantiser(codes=20, event=(2, 5), restart=0.05)
    z = torch.randn(30, 2, 5).double()
    step(module, z)
    rows = z.movedim(1, -1).reshape(-1, 2)
    distances = torch.cdist(module.codebook, rows).min(1).values
    assert distances.max() < 1e-12
    assert module.codebook.unique(dim=0).shape[0] > 10


def test_a_code_out_of_use_restarts_on_data():
    module = quantiser(codes=3, event=(2, 4), decay=0.5, restart=0.3)
    z = 0.1 * torch.randn(5, 2, 4).double()
    step(module, z)
    module.sums[1] = 1000 * module.counts[1]
    where = []
    for _ in range(4):
        step(module, z)
        where.append(bool((module.codebook[1].abs() > 1).any()))
    assert where[0]  # it is not given up at once
    assert not where[-1]
    never = quantiser(codes=3, event=(2, 4), decay=0.5, restart=0.0)
    with torch.no_grad():
        never.codebook[1] = 1000.0
    for _ in range(20):
        step(never, z)
    assert (never.codebook[1] == 1000).all()


def test_codes_by_gradient_stay_where_the_optimiser_puts_them():
    module = quantiser(codes=3, learning="gradient", restart=0.0)
    before = module.codebook.detach().clone()
    step(module, torch.randn(5, 2, 4).double())
    assert torch.equal(module.codebook, before)
    assert module.codebook.requires_grad
    assert not quantiser(codes=3).codebook.requires_grad


def test_state_comes_back():
    module = quantiser(codes=3, event=(2, 4))
    for _ in range(3):
        step(module, torch.randn(5, 2, 4).double())
    other = quantiser(codes=3, event=(2, 4))
    other.load_state_dict(module.state_dict())
    z = torch.randn(5, 2, 4).double()
    for each in (module, other):
        torch.manual_seed(4)
        step(each, z)
    assert torch.equal(module.codebook, other.codebook)


# --- categorical latents ---


def test_divergence_of_classes_is_exact():
    logits = torch.randn(4, 3, 5).double()
    p = c.UniformOneHot((3, 5)).double()()
    probs = logits.softmax(-1)
    expected = (probs * (probs * 5).log()).sum((1, 2))
    for q in (d.OneHot(logits, 2), d.RelaxedOneHot(logits, 0.3), d.RelaxedOneHot(logits, 2.0, hard=True)):
        torch.testing.assert_close(kl_divergence(q, p), expected)
    torch.testing.assert_close(kl_divergence(p, p), torch.zeros(()).double())
    torch.testing.assert_close(d.OneHot(logits, 2).entropy(), 3 * math.log(5) - expected)


def test_relaxed_draws_sharpen_and_their_largest_entry_has_the_right_law():
    torch.manual_seed(0)
    logits = torch.tensor([[0.0, 1.0, 2.0]]).double().expand(4000, 1, 3)
    for tau in (0.1, 1.0):
        drawn = d.RelaxedOneHot(logits, tau).rsample()
        torch.testing.assert_close(drawn.sum(-1), torch.ones(4000, 1).double())
        shares = torch.bincount(drawn.argmax(-1).flatten(), minlength=3) / 4000
        assert (shares - logits[0, 0].softmax(-1)).abs().max() < 0.03
    sharp, soft = (d.RelaxedOneHot(logits, tau).rsample().amax(-1).mean() for tau in (0.01, 5.0))
    assert sharp > 0.98
    assert soft < 0.6


def test_relaxed_draw_by_hand():
    logits = torch.randn(6, 2, 4).double()
    torch.manual_seed(3)
    drawn = d.RelaxedOneHot(logits, 0.7).rsample()
    torch.manual_seed(3)
    noise = -torch.empty_like(logits).exponential_().log()
    torch.testing.assert_close(drawn, ((logits.log_softmax(-1) + noise) / 0.7).softmax(-1))


def test_straight_through_is_one_hot_with_the_gradient_of_the_relaxed_draw():
    logits = torch.randn(6, 2, 4).double().requires_grad_()
    weights = torch.randn(6, 2, 4).double()
    found = []
    for hard in (False, True):
        torch.manual_seed(3)
        drawn = d.RelaxedOneHot(logits, 0.7, hard).rsample()
        found.append((drawn, torch.autograd.grad((weights * drawn).sum(), logits)[0]))
    (soft, slope), (rounded, same) = found
    assert torch.equal(rounded.detach(), nn.functional.one_hot(soft.argmax(-1), 4).double())
    torch.testing.assert_close(same, slope)
    assert slope.abs().max() > 0


def test_exact_in_evaluation_relaxed_in_training():
    module = c.GumbelSoftmax(identity, (2, 4), temperature=0.5).double()
    logits = torch.randn(3, 2, 4).double()
    assert isinstance(module.train()(logits), d.RelaxedOneHot)
    q = module.eval()(logits)
    assert isinstance(q, d.OneHot)
    value = q.rsample()
    assert set(value.unique().tolist()) == {0.0, 1.0}
    by_hand = logits.log_softmax(-1).gather(-1, value.argmax(-1, keepdim=True)).sum((1, 2))
    torch.testing.assert_close(q.log_prob(value), by_hand)
    with pytest.raises(UnsupportedError, match="eval mode"):
        module.train()(logits).log_prob(value)
    single = d.OneHot(torch.randn(4, 1, 3).double(), 2)
    total = sum(single.log_prob(nn.functional.one_hot(torch.tensor([k]), 3).double()).exp() for k in range(3))
    torch.testing.assert_close(total, torch.ones(4).double())


def test_temperature_falls_by_its_schedule():
    schedule = Exponential(1.0, 0.4, rate=0.3)
    module = c.GumbelSoftmax(identity, (2, 4), temperature=schedule)
    found = []
    for _ in range(5):
        found.append(float(module(torch.randn(1, 2, 4)).temperature))
        schedule.after_step()
    assert found == pytest.approx([max(0.4, math.exp(-0.3 * t)) for t in range(5)])
    assert found[-1] == 0.4
    for wrong in ((1.0, 2.0, 0.1), (1.0, 0.0, 0.1), (1.0, 0.5, -0.1)):
        with pytest.raises(ValueError, match="expected"):
            Exponential(*wrong)


# --- numbers instead of latents ---


def test_code_numbers_stand_for_vectors_and_rows():
    module = quantiser(codes=3, event=(2, 4))
    set_codes(module, BOOK)
    codes = torch.tensor([[0, 1, 2, 1]])
    vectors = placed(module, codes)
    assert vectors.shape == (1, 2, 4)
    assert vectors[0, :, 2].tolist() == [0, 2]
    torch.testing.assert_close(placed(module, codes.float()), vectors)
    assert placed(module, vectors) is vectors
    rows = placed(c.GumbelSoftmax(lambda out: nn.Linear(1, 1), (4, 3)), codes)
    assert rows[0].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert placed(c.StandardGaussian((4,)), codes) is codes


@pytest.mark.parametrize("wrong", [[[0, 1, 3, 1]], [[0, -1, 2, 1]], [[0, 0.5, 2, 1]]])
def test_numbers_that_are_no_codes_are_refused(wrong):
    with pytest.raises(ValueError, match="whole numbers from 0 to 2"):
        placed(quantiser(codes=3, event=(2, 4)), torch.tensor(wrong))


# --- refusals ---


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.Quantised(identity, (2, 4), 1), "`codes` is 1; expected at least 2"),
        (lambda: c.Quantised(identity, (4,), 8), "dimensions of a code, positions"),
        (lambda: c.Quantised(identity, (2, 4), 8, learning="sgd"), "one of ema, gradient"),
        (lambda: c.Quantised(identity, (2, 4), 8, decay=1.0), "never move"),
        (lambda: c.Quantised(identity, (2, 4), 8, decay=-0.1), "`decay`"),
        (lambda: c.Quantised(identity, (2, 4), 8, restart=1.5), "`restart`"),
        (lambda: c.GumbelSoftmax(identity, (3, 1)), "at least 2 classes"),
        (lambda: c.GumbelSoftmax(identity, (3, 2), temperature=0.0), "`temperature`"),
        (lambda: c.Autoregressive(identity, (3,), 1), "`levels` is 1"),
        (lambda: refuse_more_codes_than_vectors(100, (3, 3), 11), "take at most 99"),
    ],
)  # fmt: skip
def test_refusals(make, words):
    with pytest.raises((ValueError, TypeError), match=words):
        make()
    refuse_more_codes_than_vectors(99, (3, 3), 11)


def test_density_of_a_row_of_classes_sums_to_one():
    table = torch.randn(4).double()
    check_density(
        d.Autoregressive(lambda x: table.expand(*x.shape, 4), (1,), (), torch.Size(), table),
        values=torch.arange(4).double(),
    )
