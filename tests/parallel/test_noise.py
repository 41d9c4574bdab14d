"""Draws of the parts of a batch, side by side, are those of the whole batch."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Categorical, Gamma, Gumbel, Laplace, Normal, Uniform
from torch.nn import functional

from vaekit.parallel import Team

ALL = torch.linspace(0.1, 0.9, 13 * 3).reshape(13, 3)  # parameters of 13 data
SAMPLES = 4

DRAWS = {
    "randn": lambda p: torch.randn(len(p), 3),
    "randn of a tuple": lambda p: torch.randn((len(p), 2, 5)),
    "randn by name": lambda p: torch.randn(size=(len(p), 2)),
    "rand with samples": lambda p: torch.rand(SAMPLES, len(p), 2),
    "labels": lambda p: torch.randn(5, len(p), 2),
    "samples and labels": lambda p: torch.randn(SAMPLES, 5, len(p), 2),
    "samples and data in one axis": lambda p: torch.randn(SAMPLES * len(p), 2),
    "one number a datum": lambda p: torch.rand(len(p)),
    "as many dimensions as data": lambda p: torch.randn(len(p), 7),
    "randint": lambda p: torch.randint(5, (len(p), 2)),
    "randint from": lambda p: torch.randint(2, 5, size=(len(p), 2)),
    "alike": lambda p: torch.randn_like(p) + torch.rand_like(p),
    "bernoulli": torch.bernoulli,
    "method": lambda p: p.bernoulli(),
    "normal": lambda p: torch.normal(p, 2 * p),
    "normal of a size": lambda p: torch.normal(0.0, 1.0, (len(p), 2)),
    "in place": lambda p: torch.empty_like(p).exponential_(),
    "in place with parameters": lambda p: torch.empty_like(p).bernoulli_(p),
    "dropout": lambda p: functional.dropout(p, 0.5),
    "dropout of channels": lambda p: functional.dropout2d(p[..., None, None].expand(-1, -1, 2, 2), 0.5),
    "Normal": lambda p: Normal(p, p).rsample((SAMPLES,)),
    "Laplace": lambda p: Laplace(p, p).rsample(),
    "Uniform": lambda p: Uniform(0 * p, p).rsample(),
    "Gumbel": lambda p: Gumbel(p, p).rsample(),
    "Categorical": lambda p: Categorical(p).sample(),
    "Categorical with samples": lambda p: Categorical(p.expand(SAMPLES, *p.shape)).sample(),
    "gumbel_softmax": functional.gumbel_softmax,
}
AXIS = dict.fromkeys(("rand with samples", "labels", "Normal", "Categorical with samples"), 1)
AXIS["samples and labels"] = 2


def parts(draw, size=2, values=ALL, samples=SAMPLES, labels=None):
    found = []
    for rank in range(size):
        part = Team(rank, size, torch.device("cpu")).part({"x": values})
        torch.manual_seed(3)
        with part.noise(samples, labels):
            found.append((draw(part["x"]), part, torch.get_rng_state()))
    return found


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("size", [2, 3])
def test_parts_are_rows_of_the_whole(name, size):
    draw = DRAWS[name]
    torch.manual_seed(3)
    whole, after = draw(ALL), torch.get_rng_state()
    found = parts(draw, size, labels=5 if "labels" in name else None)  # as many as rows of one part
    pieces = [value for value, _, _ in found]
    if name == "samples and data in one axis":
        pieces = [value.unflatten(0, (SAMPLES, -1)) for value in pieces]
        whole = whole.unflatten(0, (SAMPLES, -1))
    axis = 1 if name == "samples and data in one axis" else AXIS.get(name, 0)
    assert torch.equal(torch.cat(pieces, axis), whole)
    assert all(torch.equal(stream, after) for _, _, stream in found)


def test_what_has_no_batch_axis_is_drawn_for_every_process():
    (first, _, stream), (second, _, other) = parts(lambda p: torch.randn(5, 2))
    assert first.shape == second.shape == (5, 2)
    assert not torch.equal(first, second)
    assert torch.equal(stream, other)


def test_samplers_that_reject_give_every_process_its_own():
    (first, _, _), (second, _, _) = parts(lambda p: Gamma(p, 1.0).rsample())
    assert first.shape == (7, 3)
    assert second.shape == (6, 3)
    assert not torch.isin(second, first).any()


def test_gradients_pass_through_parameters():
    p = ALL.clone().requires_grad_()
    part = Team(1, 2, torch.device("cpu")).part({"x": p})
    with part.noise(None):
        functional.dropout(part["x"], 0.5).sum().backward()
    assert p.grad[:7].abs().sum() == 0
    assert set(p.grad[7:].unique().tolist()) == {0.0, 2.0}


def test_a_generator_of_ones_own_is_left_alone():
    draw = lambda p: torch.randn(len(p), generator=torch.Generator().manual_seed(1))  # noqa: E731
    (first, _, _), (second, _, _) = parts(draw)
    assert torch.equal(first[:6], second)


@pytest.mark.parametrize(("total", "size"), [(13, 2), (4, 4), (1, 2), (2, 3), (7, 3)])
def test_parts_are_the_batch(total, size):
    x = torch.arange(total)
    found = [Team(rank, size, torch.device("cpu")).part({"x": x, "y": x}) for rank in range(size)]
    assert torch.equal(torch.cat([part["x"][: part.count] for part in found]), x)
    assert sum(part.count for part in found) == total
    assert all(len(part["x"]) == len(part["y"]) == max(1, part.count) for part in found)
    assert max(part.count for part in found) - min(part.count for part in found) <= 1
