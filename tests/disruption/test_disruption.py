"""Broken dimensions against worlds where it is known what each of them draws."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vaekit import conditionals as c
from vaekit.data.arrays import ArrayData
from vaekit.data.spec import Spec
from vaekit.disruption import Disruption, FactorReader, disrupt, moments, strips, train_reader
from vaekit.errors import UnsupportedError
from vaekit.metrics.passes import home_of
from vaekit.models import Flat
from vaekit.networks import MLP
from vaekit.pictures import grid
from vaekit.worlds import mini_sprites

N = 400


class Given(nn.Module):
    """A network that is a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def world(mix, noise=-8.0, encode=None):
    """x in R^3; z_j ~ N(x_j, e^noise), or the prior of dimensions beyond; decoded to z @ mix."""
    width = len(mix)

    def encoder(x):
        mean = torch.cat([x, x.new_zeros(len(x), max(0, width - 3))], 1)[:, :width]
        spread = torch.full_like(mean, noise)
        spread[:, 3:] = 0.0
        return torch.cat([mean, spread], 1)

    return Flat(
        c.Gaussian(lambda _: Given(encode or encoder), (width,)),
        c.StandardGaussian((width,)),
        c.Deterministic(lambda _: Given(lambda z: z @ mix), (3,)),
    )


def data(n=N):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(11))
    return ArrayData(Spec("toy", (3,), "real", n), x)


def columns(x):
    return {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2]}


def matrix(found: Disruption):
    return torch.tensor(found.strength)


def test_each_dimension_draws_one_factor():
    """z_1 draws a, z_0 draws b with either sign: S is the permutation, whatever the scales."""
    mix = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    swap = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])

    def encode(x):
        return torch.cat([x @ swap.T, torch.full_like(x, -8.0)], 1)

    found = disrupt(world(mix, encode=encode), data(), columns)
    expected = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(matrix(found), expected, atol=2e-3, rtol=0)
    assert found.strongest == ["b", "a", "c"]
    assert found.disentanglement == pytest.approx(1, abs=1e-5)
    assert found.latents == ["z_0", "z_1", "z_2"]
    assert found.n == N


def test_an_unused_dimension_breaks_exactly_nothing():
    """q = prior, and the decoder does not look: a row of zeros, and not active."""
    mix = torch.cat([torch.eye(3), torch.zeros(2, 3)])
    found = disrupt(world(mix), data(), columns)
    assert found.strength[3] == found.strength[4] == [0.0, 0.0, 0.0]
    assert found.active == [True, True, True, False, False]
    assert found.rates[3] == 0.0
    assert found.strongest == ["a", "b", "c", None, None]
    assert found.disentanglement == pytest.approx(1, abs=1e-5)  # of active dimensions alone


def test_a_rotated_code_is_entangled():
    """Two factors at 45 degrees: both dimensions break both alike; the third is as it was."""
    r = 0.5**0.5
    turn = torch.tensor([[r, r, 0.0], [-r, r, 0.0], [0.0, 0.0, 1.0]])

    def encode(x):
        return torch.cat([x @ turn.T, torch.full_like(x, -8.0)], 1)

    found = disrupt(world(turn, encode=encode), data(2000), columns)
    values = matrix(found)
    torch.testing.assert_close(values[:2, :2], torch.full((2, 2), r), atol=0.05, rtol=0)
    torch.testing.assert_close(values[:2, 2], torch.zeros(2), atol=1e-6, rtol=0)
    assert found.disentanglement == pytest.approx(1 / 3, abs=0.05)


def test_noise_of_the_posterior_counts_in_the_aggregate():
    """z ~ N(x, 1) has twice the variance of x: E|z' - z| / E|x - x'| = sqrt 2."""
    found = disrupt(world(torch.eye(3), noise=0.0), data(2000), columns, limit=None)
    torch.testing.assert_close(matrix(found).diagonal(), torch.full((3,), 2**0.5), atol=0.06, rtol=0)


def test_classes_are_compared_as_chances():
    """A class that is drawn anew: total variation of one-hot classes, over that of pairs, is one."""

    def read(x):
        sign = torch.stack([x[:, 0] > 0, x[:, 0] <= 0], 1)
        return {"sign": sign.float(), "b": x[:, 1]}

    found = disrupt(world(torch.eye(3)), data(), read)
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(matrix(found), expected, atol=5e-3, rtol=0)


def test_the_score_of_a_matrix():
    """(1 - 1/2) / 1 and (4 - 3) / 4, mean 3/8; the third is not active."""
    rows = [[1.0, 0.5, 0.2], [0.0, 3.0, 4.0], [9.0, 0.0, 0.0]]
    found = Disruption(["a", "b", "c"], ["x", "y", "z"], rows, [1.0, 1.0, 0.0], [True, True, False], 5, 0)
    assert found.disentanglement == pytest.approx(0.375)
    assert found.strongest == ["x", "z", None]
    none = Disruption(["a"], ["x", "y"], [[1.0, 0.0]], [0.0], [False], 5, 0)
    assert none.disentanglement == 0
    dead = Disruption(["a"], ["x", "y"], [[0.0, 0.0]], [None], [True], 5, 0)
    assert dead.disentanglement == 0
    assert found.to_json()["strength"] == rows


def test_it_leaves_model_and_stream_alone_and_repeats():
    model = world(torch.eye(3)).train()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = disrupt(model, data(), columns, limit=50, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert first == disrupt(model, data(), columns, limit=50, seed=3)
    assert first != disrupt(model, data(), columns, limit=50, seed=4)
    assert first.n == 50


def test_what_cannot_be_broken_is_refused():
    model = world(torch.eye(3))
    with pytest.raises(ValueError, match="1 factors"):
        disrupt(model, data(), lambda x: {"a": x[:, 0]})
    with pytest.raises(ValueError, match="the same b in all data"):
        disrupt(model, data(), lambda x: {"a": x[:, 0], "b": x[:, 0] * 0})
    with pytest.raises(ValueError, match="there are 1 data"):
        disrupt(model, data(), columns, limit=1)
    codes = c.Quantised(lambda output: MLP([(3,)], output, hidden=(6,)), (2, 3), codes=4)
    likelihood = c.FixedGaussian(lambda output: MLP([(2, 3)], output, hidden=(6,)), (3,))
    with pytest.raises(UnsupportedError, match="code"):
        disrupt(Flat(codes, c.UniformCodes(codes), likelihood), data(), columns)


def test_a_condition_stays_with_its_datum():
    """p(x|z, c) = z + c: what z breaks is z alone, and c is not lost."""
    n = 50
    spec = Spec("toy", (3,), "real", n, context=(3,))
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(11))
    given = ArrayData(spec, x, c=100 * torch.arange(n).float()[:, None].expand(n, 3))
    model = Flat(
        c.Gaussian(lambda _: Given(lambda x, _: torch.cat([x, torch.full_like(x, -8.0)], 1)), (3,)),
        c.StandardGaussian((3,)),
        c.Deterministic(lambda _: Given(lambda z, context: z + context), (3,)),
    )
    found = disrupt(model, given, columns)
    torch.testing.assert_close(matrix(found), torch.eye(3), atol=5e-3, rtol=0)


# -- readers ------------------------------------------------------------------------------------------------


def test_moments_follow_the_factors_of_mini_sprites():
    """Linear in the positions, and rising with the scale."""
    batch = mini_sprites().data.take(range(1440))
    found = moments(batch["x"])
    factors = batch["factors"].double()
    for name, column in (("x", 2), ("y", 3)):
        expected = 0.25 + 0.5 * factors[:, column] / 11
        inside = factors[:, 1] <= 2  # the border cuts the rim of larger ones
        torch.testing.assert_close(found[name][inside], expected[inside], atol=4e-3, rtol=0)
        torch.testing.assert_close(found[name], expected, atol=0.012, rtol=0)
    by_scale = [found["scale"][factors[:, 1] == k].mean() for k in range(5)]
    assert sorted(by_scale) == by_scale
    one = found["scale"][(factors[:, 0] == 0) & (factors[:, 1] == 2)]
    assert one.std() < 0.02 * one.mean()  # wherever it lies


def test_moments_of_nothing_and_of_no_picture():
    found = moments(torch.zeros(2, 1, 4, 4))
    assert found["x"].tolist() == found["y"].tolist() == [0.5, 0.5]
    assert found["scale"].tolist() == [0.0, 0.0]
    dot = torch.zeros(1, 1, 4, 4)
    dot[0, 0, 3, 1] = 4.0
    found = moments(dot)
    assert [float(found[k]) for k in ("x", "y", "scale")] == [0.375, 0.875, 2.0]
    with pytest.raises(ValueError, match=r"\(5, 3\)"):
        moments(torch.zeros(5, 3))


def test_a_reader_learns_its_factors():
    factors = torch.cartesian_prod(torch.arange(3), torch.arange(1), torch.arange(4)).repeat(30, 1)
    x = torch.stack([factors[:, 0] - 1.0, factors[:, 2] / 3.0], 1)
    spec = Spec("toy", (2,), "real", len(x), factors={"shape": 3, "one": 1, "b": 4})
    here = ArrayData(spec, x, factors=factors)
    before = torch.get_rng_state()
    reader = train_reader(here, steps=400, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert min(reader.accuracy(x, factors).values()) > 0.95
    assert set(reader.accuracy(x, factors)) == {"shape", "b"}  # what has one value says nothing
    found = reader.read(x)
    assert found["shape"].shape == (len(x), 3)  # no order: chances
    torch.testing.assert_close(found["b"], factors[:, 2] / 3.0, atol=0.1, rtol=0)
    assert not any(p.requires_grad for p in reader.parameters())
    assert not reader.training
    assert reader.features(x).shape == (len(x), 64)
    again = train_reader(here, steps=400, seed=1)
    assert torch.equal(again.features(x), reader.features(x))
    ordered = FactorReader((2,), spec.factors, nominal=())
    assert ordered.read(x)["shape"].shape == (len(x),)


def test_a_reader_needs_factors():
    with pytest.raises(UnsupportedError, match="without known factors"):
        train_reader(data())
    with pytest.raises(ValueError, match="several values"):
        FactorReader((2,), {"a": 1})


# -- pictures -----------------------------------------------------------------------------------------------


def test_strips_break_one_dimension_a_row():
    mix = torch.cat([torch.eye(3), torch.zeros(1, 3)])
    rows = strips(world(mix), data(), datum=7, draws=5)
    assert rows.shape == (4, 7, 3)
    x = data().take([7])["x"][0]
    for row in rows:
        torch.testing.assert_close(row[0], x)
        torch.testing.assert_close(row[1], x, atol=5e-3, rtol=0)
    for j in range(3):
        values = rows[j, 2:, j]
        assert torch.equal(values, values.sort().values)
        assert len(values.unique()) == 5
        others = [k for k in range(3) if k != j]
        torch.testing.assert_close(rows[j, 2:, others], rows[j, 1:2, others].expand(5, 2))
    assert torch.equal(rows[3, 2:], rows[3, 1:2].expand(5, 3))  # nobody looks at the fourth
    with pytest.raises(ValueError, match="`datum` is 400"):
        strips(world(mix), data(), datum=400)
    with pytest.raises(ValueError, match="`draws` 400"):
        strips(world(mix), data(), draws=400)


def test_strips_of_pictures_make_one_picture():
    stored = mini_sprites()
    model = Flat(
        c.Gaussian(lambda out: MLP([(1, 16, 16)], out, (8,)), (3,)),
        c.StandardGaussian((3,)),
        c.Deterministic(lambda out: MLP([(3,)], out, (8,)), (1, 16, 16), bounded=True),
    )
    rows = strips(model, stored.data, draws=4)
    picture = grid(rows.flatten(0, 1), rows.shape[1])
    assert picture.dtype == torch.uint8
    assert picture.shape == (1, 3 * (48 + 2) + 2, 6 * (48 + 2) + 2)
    assert home_of(model)[0].type == "cpu"
