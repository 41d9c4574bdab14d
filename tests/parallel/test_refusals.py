"""What several processes cannot train, or cannot be, is refused before anything is trained."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from vaekit import conditionals as c
from vaekit.errors import UnsupportedError, UserError
from vaekit.models import Flat
from vaekit.networks import MLP
from vaekit.objective import Objective
from vaekit.parallel import launched, rank_here, team_here
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System
from vaekit.terms import Capacity, Distortion, On
from vaekit.trainer import refuse_apart


def network(*inputs):
    return lambda output: MLP([(n,) for n in inputs], output, hidden=(5,))


def system_of(terms, likelihood=None):
    model = Flat(
        c.Gaussian(network(6), (2,)), c.StandardGaussian((2,)), likelihood or c.Bernoulli(network(2), (6,))
    )
    player = Player("vae", [model], Objective(terms), lambda p: torch.optim.SGD(p, 0.1))
    return System(model, Simultaneous(model, [player]))


class Spread:
    """The standard deviation of the data's distortions: it couples them, and says no more."""

    couples_batch = True

    def __call__(self, trace):
        return Distortion()(trace).std()


@pytest.mark.parametrize("term", [Spread(), On("prior", Spread()), Capacity(1.0, Distortion())])
def test_a_coupled_term_that_does_not_gather(term):
    with pytest.raises(UnsupportedError, match=r"3 processes.*term 'spread' couples.*one process"):
        refuse_apart(system_of({"distortion": (1.0, Distortion()), "spread": (1.0, term)}), 3)


def test_what_gathers_is_trained():
    held = {"distortion": (1.0, Distortion()), "capacity": (1.0, Capacity(1.0))}
    refuse_apart(system_of(held), 2)
    refuse_apart(system_of({"distortion": (1.0, Distortion())}, c.OptimalGaussian(network(2), (6,))), 2)


def test_layers_that_normalise_over_their_own_rows():
    def normalised(output):
        return nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6))

    with pytest.raises(UnsupportedError, match="BatchNorm1d"):
        refuse_apart(system_of({"d": (1.0, Distortion())}, c.Bernoulli(normalised, (6,))), 2)


@pytest.fixture
def two(monkeypatch):
    """The environment of the second of two processes."""
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    for name, value in zip(names, ("1", "1", "2", "localhost", "1"), strict=True):
        monkeypatch.setenv(name, value)


def test_alone():
    assert launched() == 1
    assert rank_here() == 0
    assert team_here() is None


@pytest.mark.usefixtures("two")
def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    assert launched() == 2
    assert rank_here() == 1
    with pytest.raises(UserError, match=r"2 processes.*vaekit\[distributed\]"):
        team_here()


@pytest.mark.usefixtures("two")
def test_devices():
    pytest.importorskip("accelerate")
    with pytest.raises(UserError, match="mps"):
        team_here("mps")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no GPU"):
            team_here("cuda")
