"""Causality by gradient, and the density that follows from it."""

from __future__ import annotations

import itertools

import pytest
import torch

from vaekit import conditionals as c
from vaekit.errors import UnsupportedError
from vaekit.metrics import elbo, latent_use, nll
from vaekit.models import Explicit
from vaekit.networks import PixelCNN
from vaekit.networks.pixelcnn import CausalAttention, CausalConv2d, GatedBlock
from vaekit.terms import Distortion, Rate

H, W, K = 4, 5, 3


def reads(function, channels):
    """(H W, H W) bool: whether the output at i depends on the input at j, in raster order."""
    x = torch.randn(1, channels, H, W).double().requires_grad_()
    out = function(x).sum(1).flatten()
    rows = [torch.autograd.grad(value, x, retain_graph=True)[0].abs().sum(1).flatten() for value in out]
    return torch.stack(rows) != 0


before = torch.tril(torch.ones(H * W, H * W), -1).bool()
until = torch.tril(torch.ones(H * W, H * W)).bool()


@pytest.mark.parametrize("stack", ["vertical", "horizontal"])
@pytest.mark.parametrize("mask", ["A", "B"])
@pytest.mark.parametrize("reach", [1, 2])
def test_causal_convolutions_see_what_their_mask_leaves(stack, mask, reach):
    found = reads(CausalConv2d(stack, mask, 2, 3, reach).double(), 2)
    for i, j in itertools.product(range(H * W), repeat=2):
        down, across = i // W - j // W, i % W - j % W
        if stack == "vertical":
            expected = (mask == "A") <= down <= reach and abs(across) <= reach
        else:
            expected = down == 0 and (mask == "A") <= across <= reach
        assert found[i, j] == expected, (i, j)


def test_type_a_first_leaves_the_place_itself_out():
    first, second = (GatedBlock(4, 2, mask, 0.0).double() for mask in "AB")
    found = reads(lambda x: first(x, x, None)[1], 4)
    assert not (found & ~before).any()
    assert (reads(lambda x: second(*first(x, x, None), None)[1], 4) & ~before).sum() == 0
    leaking = reads(lambda x: second(x, x, None)[1], 4)
    assert leaking.diagonal().all()  # type B alone would see what it predicts


def test_attention_looks_back_only():
    found = reads(CausalAttention(4, 2).double(), 4)
    assert torch.equal(found, until)


@pytest.mark.parametrize("attention", [0, 1])
def test_logits_depend_on_everything_before_and_nothing_else(attention):
    torch.manual_seed(2)
    net = PixelCNN([(H, W)], (H, W, K), width=8, blocks=3, reach=2, attention=attention, heads=2).double()
    assert torch.equal(reads(net.logits, 8), before)  # no blind spot either


def test_changing_a_class_changes_no_logit_before_it():
    net = PixelCNN([(1, H, W)], (1, H, W, K), width=8, blocks=2, attention=1).double()
    x = torch.randint(K, (1, 1, H, W))
    for place in (0, 7, H * W - 1):
        other = x.clone()
        other.view(-1)[place] = (other.view(-1)[place] + 1) % K
        a, b = (net(value).view(-1, K) for value in (x, other))
        assert torch.equal(a[: place + 1], b[: place + 1])
        if place < H * W - 1:
            assert not torch.equal(a[place + 1 :], b[place + 1 :])


CONDITIONS = {
    "none": ((), None, None),
    "vector": ((4,), None, lambda n: torch.randn(n, 4).double()),
    "coarser map": ((2, 2), 3, lambda n: torch.randint(3, (n, 2, 2)).double()),
    "row of codes": ((5,), 3, lambda n: torch.randint(3, (n, 5)).double()),
}


def density(event=(2, 2), levels=2, condition="none", **more):
    shape, context_levels, _ = CONDITIONS[condition]
    inputs = [event, shape] if shape else [event]
    return c.Autoregressive(
        lambda out: PixelCNN(
            inputs, out, width=8, blocks=2, reach=1, attention=1, context_levels=context_levels, **more
        ),
        event,
        levels,
    ).double()


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("event", [(2, 2), (1, 2, 2), (4,)])
def test_it_sums_to_one_under_every_condition(event, condition):
    make = CONDITIONS[condition][2]
    context = () if make is None else (make(1),)
    p = density(event, condition=condition)(*context)
    values = torch.tensor(list(itertools.product(range(2), repeat=4))).double().view(16, *event)
    total = p.log_prob(values.unsqueeze(1))
    torch.testing.assert_close(total.exp().sum(), torch.ones(()).double())


@pytest.mark.parametrize("condition", ["vector", "coarser map", "row of codes"])
def test_the_condition_matters(condition):
    p, make = density(condition=condition), CONDITIONS[condition][2]
    x = torch.randint(2, (6, 2, 2)).double()
    one, other = make(6), make(6)
    assert not torch.allclose(p(one).log_prob(x), p(other).log_prob(x))
    assert p(one).batch_shape == (6,)


def test_draws_have_the_probabilities_that_the_density_gives_them():
    torch.manual_seed(1)
    p = density((3,), 2)()
    with torch.no_grad():
        p.network.__self__.network.output_layer.bias.copy_(torch.tensor([0.0, 0.8]))
    n = 4000
    drawn = p.sample((n,))
    assert drawn.shape == (n, 3)
    numbers = (drawn * torch.tensor([4.0, 2.0, 1.0])).sum(1).long()
    shares = torch.bincount(numbers, minlength=8) / n
    values = torch.tensor(list(itertools.product(range(2), repeat=3))).double()
    expected = p.log_prob(values).exp().detach()
    assert (shares - expected).abs().max() < 4 * 0.5 / n**0.5


def test_draws_under_conditions_stay_with_their_condition():
    module = density((2, 2), 3, "vector")
    with torch.no_grad():
        module.network.condition.project.weight.mul_(30)
        module.network.output_layer.weight.mul_(5)
    context = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, -1.0]]).double()
    p = module(context)
    drawn = p.sample((300,))
    assert drawn.shape == (300, 2, 2, 2)
    own = p.log_prob(drawn).mean(0)
    swapped = p.log_prob(drawn.flip(1)).mean(0)
    assert own.sum() > swapped.sum() + 0.1


def test_a_model_without_latents():
    model = Explicit(density((4,), 3)).eval()
    x = torch.randint(3, (6, 4)).double()
    trace = model({"x": x})
    assert (trace.latents, trace.axes) == ({}, ("batch",))
    torch.testing.assert_close(Distortion()(trace), -model.likelihood().log_prob(x))
    assert not Rate()(trace).any()
    drawn = model.generate(7)
    assert (drawn.batch_shape, drawn.event_shape) == ((7,), (4,))
    assert torch.equal(drawn.mean, drawn.sample())
    assert model.encode({"x": x}) == {}
    with pytest.raises(UnsupportedError, match="no latents"):
        model.decode({})


def test_every_measure_of_a_model_without_latents_is_exact():
    from vaekit.data.arrays import ArrayData
    from vaekit.data.spec import Spec

    model = Explicit(density((4,), 3)).eval()
    x = torch.randint(3, (30, 4)).float()
    data = ArrayData(Spec("rows", (4,), "categorical", 30, levels=3), x)
    exact = -model.likelihood().log_prob(x.double()).mean().item()
    bound, likelihood = elbo(model, data), nll(model, data, samples=50)
    assert bound.elbo == pytest.approx(-exact, rel=1e-9)
    assert bound.rate == 0
    assert likelihood.nll == pytest.approx(exact, rel=1e-9)
    assert (likelihood.mc_error, likelihood.samples) == (0, 1)
    assert elbo(model, data, samples=3).elbo == pytest.approx(-exact, rel=1e-9)
    with pytest.raises(UnsupportedError, match="no latents"):
        latent_use(model, data)


def test_dropout_acts_in_training_alone():
    net = PixelCNN([(H, W)], (H, W, K), width=8, blocks=2, dropout=0.5).double()
    x = torch.randint(K, (2, H, W))
    assert not torch.equal(net.train()(x), net(x))
    assert torch.equal(net.eval()(x), net(x))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"inputs": [(2, 3, 3)], "output": (2, 3, 3, 4)}, r"expected a map"),
        ({"inputs": [(3, 3)], "output": (3, 4)}, r"`output` is \(3, 4\)"),
        ({"inputs": [(3, 3), (2,), (2,)], "output": (3, 3, 4)}, "at most one condition"),
        ({"inputs": [(3, 3)], "output": (3, 3, 4), "attention": 9}, "`attention` is 9"),
        ({"inputs": [(3, 3)], "output": (3, 3, 4), "reach": 0}, "`reach` is 0"),
        ({"inputs": [(3, 3)], "output": (3, 3, 4), "width": 6, "attention": 1}, "multiple of 4"),
        ({"inputs": [(3, 3)], "output": (3, 3, 4), "dropout": 1.0}, "`dropout`"),
    ],
)
def test_refusals(arguments, words):
    with pytest.raises(ValueError, match=words):
        PixelCNN(**arguments)
