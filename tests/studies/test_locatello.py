"""The six methods as the study of Locatello et al. 2019 has them: sizes, losses by hand, settings."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from vaekit import recipes
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.metrics import nll
from vaekit.procedures import Manner
from vaekit.studies import points
from vaekit.trainer import Training, refuse_unfit

SPRITES = Spec("dsprites", (1, 64, 64), "binary", 737_280)
GREY = Spec("shapes3d", (3, 64, 64), "unit", 480_000, levels=256)


def arguments_of(point):
    return {k.removeprefix("arguments."): v for k, v in point.items() if k.startswith("arguments.")}


@pytest.fixture(scope="module")
def said():
    """The first point of every method, on dSprites and on a grey set."""
    found = {}
    for point in points("locatello2019"):
        if point["data.name"] in ("dsprites", "shapes3d"):
            found.setdefault((point["data.name"], point["method"]), point)
    assert len(found) == 12
    return found


def test_all_have_the_networks_and_the_optimisers_of_the_study(said):
    for (data, method), point in said.items():
        spec = SPRITES if data == "dsprites" else GREY
        with torch.device("meta"):
            system = getattr(recipes, point["recipe"])(spec, **arguments_of(point))
        refuse_unfit(system, Training(epochs=1, batch_size=64, weights="last"), spec.size)
        channels = spec.shape[0]
        count = sum(parameter.numel() for parameter in system.model.parameters())
        assert count == 690_517 + (channels - 1) * (32 * 16 + 32 * 16 + 1)
        players = system.procedure.players
        assert len(players) == (2 if method == "FactorVAE" else 1)
        for player, betas in zip(players, [(0.9, 0.999), (0.5, 0.9)], strict=False):
            [group] = player.optimizer.param_groups
            assert (group["lr"], group["betas"], group["eps"]) == (1e-4, betas, 1e-8)
            assert player.pace is None
    with torch.device("meta"):
        arguments = arguments_of(said["dsprites", "FactorVAE"])
        critic = recipes.factor_vae(SPRITES, **arguments).procedure.players[1]
    assert sum(p.numel() for p in critic.parameters) == 11_000 + 5 * 1_001_000 + 2_002


@pytest.fixture
def judged(said):
    """Every method on a batch of 8 in float64, on the noise of a seed; and z, mean, variance."""

    def run(method, data="dsprites", **changes):
        point = said[data, method]
        spec = SPRITES if data == "dsprites" else GREY
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            torch.manual_seed(1)
            system = getattr(recipes, point["recipe"])(spec, **(arguments_of(point) | changes))
            x = torch.rand(8, *spec.shape)
            x = (x > 0.5).double() if spec.kind == "binary" else x
            torch.manual_seed(2)
            trace = system.procedure.trace({"x": x}, Manner())
            torch.manual_seed(3)
            said_of = [player.objective(trace) for player in system.procedure.players]
        finally:
            torch.set_default_dtype(before)
        q = trace.latents["z"].q
        return system, trace, said_of, (trace.latents["z"].value, q.mean, q.variance)

    return run


def reconstruction(trace):
    logits, x = trace.observed["x"].p.logits, trace.batch["x"]
    return binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1).mean()


def divergence(mean, variance):
    return 0.5 * (mean**2 + variance - variance.log() - 1).sum(1).mean()


def log_normal(z, mean, variance):
    return -0.5 * ((z - mean) ** 2 / variance + variance.log() + torch.log(torch.tensor(2 * torch.pi)))


@pytest.mark.parametrize("data", ["dsprites", "shapes3d"])
def test_beta_vae_by_hand(judged, data):
    _, trace, [(total, _)], (_, mean, variance) = judged("beta-VAE", data, beta=4.0)
    torch.testing.assert_close(total, reconstruction(trace) + 4 * divergence(mean, variance))


def test_annealed_vae_by_hand(judged):
    system, trace, [(total, _)], (_, mean, variance) = judged("AnnealedVAE", capacity=25.0)
    held = 1000 * (divergence(mean, variance) - 0.0).abs()  # at step 0 the capacity is 0
    torch.testing.assert_close(total, reconstruction(trace) + held)
    for _ in range(10):
        system.procedure.after_step()
    [(total, _)] = [player.objective(trace) for player in system.procedure.players]
    held = 1000 * (divergence(mean, variance) - 25 * 10 / 100_000).abs()
    torch.testing.assert_close(total, reconstruction(trace) + held)


@pytest.mark.parametrize(("method", "ratio"), [("DIP-VAE-I", 10), ("DIP-VAE-II", 1)])
def test_dip_vae_by_hand(judged, method, ratio):
    _, trace, [(total, _)], (_, mean, variance) = judged(method, lambda_od=5.0)
    sigma = mean.mT @ mean / 8 - mean.mean(0)[:, None] * mean.mean(0)[None]
    if method == "DIP-VAE-II":
        sigma = sigma + variance.mean(0).diag()
    off = (sigma - sigma.diagonal().diag()).square().sum()
    on = (sigma.diagonal() - 1).square().sum()
    expected = reconstruction(trace) + divergence(mean, variance) + 5 * off + ratio * 5 * on
    torch.testing.assert_close(total, expected)


def test_beta_tcvae_by_hand_up_to_a_constant(judged):
    """The study drops ln(N B), which stands nine times too often in a product of ten dimensions."""
    _, trace, [(total, _)], (z, mean, variance) = judged("beta-TCVAE", beta=6.0)
    pairs = log_normal(z[:, None], mean[None], variance[None])
    correlation = (pairs.sum(2).logsumexp(1) - pairs.logsumexp(1).sum(1)).mean()
    constant = 9 * torch.log(torch.tensor(8.0 * SPRITES.size))
    expected = reconstruction(trace) + divergence(mean, variance) + 5 * (correlation + constant)
    torch.testing.assert_close(total, expected)


def test_factor_vae_by_hand(judged):
    system, trace, [(total, _), (test, _)], (z, mean, variance) = judged("FactorVAE", gamma=20.0)
    critic = system.procedure.players[1].objective.terms["cross_entropy"][1].critic
    logits = critic(z)
    correlation = (logits[:, 0] - logits[:, 1]).mean()
    expected = reconstruction(trace) + divergence(mean, variance) + 20 * correlation
    torch.testing.assert_close(total, expected)
    torch.manual_seed(3)
    order = torch.rand(8, 10, dtype=torch.float64).argsort(0)
    permuted = critic(z.gather(0, order))
    on_real = softplus(logits[:, 1] - logits[:, 0]).mean()  # -ln p_0(z)
    on_permuted = softplus(permuted[:, 0] - permuted[:, 1]).mean()  # -ln p_1(z permuted)
    torch.testing.assert_close(test, 0.5 * (on_real + on_permuted))
    slopes = critic(torch.zeros(1, 10).double())
    assert torch.equal(slopes, torch.zeros(1, 2).double())  # zero biases throughout
    first = critic.hidden[0]
    bound = (6 / (10 + 1000)) ** 0.5
    assert float(first.weight.detach().abs().max()) == pytest.approx(bound, rel=1e-3)


def test_a_cross_entropy_of_grey_levels_has_a_bound_and_no_likelihood(said, splits_of_grey):
    arguments = arguments_of(said["shapes3d", "beta-VAE"]) | {"architecture": "mlp", "hidden": (4,)}
    model = recipes.beta_vae(splits_of_grey.spec, **arguments).model
    from vaekit.metrics import ais, elbo

    assert elbo(model, splits_of_grey.test).distortion > 0
    for measure in (nll, ais):
        with pytest.raises(UnsupportedError, match="no density of grey levels"):
            measure(model, splits_of_grey.test)


@pytest.fixture
def splits_of_grey():
    from vaekit.worlds import mini_sprites

    return mini_sprites().splits()
