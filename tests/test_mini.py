"""The teaching file runs, fits in 200 lines, and its bounds are bounds."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from vaekit import mini


def test_fits_in_two_hundred_lines():
    assert len(Path(mini.__file__).read_text().splitlines()) <= 200


def test_bounds_stay_below_the_evidence_and_more_draws_are_tighter():
    found = mini.demonstrate(steps=600)
    assert 0 < found["iwae gap"] < found["vae gap"] < 1.0


def test_evidence_of_the_world_is_exact():
    x, log_p = mini.world(3)
    w = torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 1.5], [-1.0, 0.5], [0.5, -0.5]]).double()
    cov = w @ w.T + 0.09 * torch.eye(5)
    by_hand = -0.5 * (
        (x.double() @ torch.linalg.inv(cov) * x.double()).sum(-1)
        + torch.logdet(cov)
        + 5 * math.log(2 * math.pi)
    )
    assert torch.allclose(log_p.double(), by_hand, atol=1e-4)


def test_one_draw_of_the_importance_bound_is_the_elbo_estimate():
    model, _, _ = mini.vae(5, 2)
    x, _ = mini.world(7)
    trace = model(x, 1)
    log_q = trace.q.log_prob(trace.z)[0]
    log_p = trace.p.log_prob(trace.z)[0]
    assert torch.allclose(mini.importance_bound(trace), mini.distortion(trace)[0] + log_q - log_p, atol=1e-5)


def test_a_player_moves_nothing_but_its_own_parameters():
    model, _, _ = mini.vae(5, 2)
    mine = list(model.posterior.parameters())
    player = mini.Player(mine, {"distortion": (1.0, mini.distortion)}, torch.optim.SGD(mine, 0.1))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    mini.step(model, [player], mini.world(7)[0], None)
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved
    assert all(name.startswith("posterior") for name in moved)
    assert all(p.grad is None for p in model.likelihood.parameters())
