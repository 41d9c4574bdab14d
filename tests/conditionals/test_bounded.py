"""Decoders that end in [0, 1]: a Gaussian, or a point, around the sigmoid of the network's output."""

from __future__ import annotations

import torch
from torch import distributions as td

from vaekit import recipes
from vaekit.data.spec import Spec


def test_a_bounded_gaussian_has_unit_variance_around_the_sigmoid(double):
    model = recipes.vae(Spec("toy", (1, 2, 2), "unit", 10), latents=3, likelihood="gaussian_bounded").model
    z, x = 4 * torch.randn(5, 3), torch.rand(5, 1, 2, 2)
    p = model.decode({"z": z})
    logits = model.likelihood.network(z)
    assert torch.allclose(p.mean, logits.sigmoid())
    wanted = td.Independent(td.Normal(logits.sigmoid(), 1.0), 3).log_prob(x)
    assert torch.allclose(p.log_prob(x), wanted)


def test_a_bounded_point_costs_the_squared_error_of_the_sigmoid(double):
    system = recipes.wae_mmd(
        Spec("toy", (1, 2, 2), "unit", 10), latents=3, likelihood="point_bounded", lambda_mmd=0.0
    )
    x = torch.rand(5, 1, 2, 2)
    trace = system.model({"x": x})
    point = system.model.likelihood.network(trace.latents["z"].value).sigmoid()
    judged = system.procedure.judged(system.procedure.players[0], trace)
    assert torch.allclose(judged.total, (x - point).square().sum((1, 2, 3)).mean())
