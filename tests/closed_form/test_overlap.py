"""The blurred error: against average pooling, the distances that it makes, and the loss by hand."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.nn import functional

from vaekit import recipes
from vaekit.data.spec import Spec
from vaekit.disentanglement import pearson, perceived_distance, spearman
from vaekit.distributions import PointMass
from vaekit.errors import UnsupportedError
from vaekit.procedures import Manner
from vaekit.terms import BlurredError, SquaredError, box_blur
from vaekit.testing import check_term
from vaekit.trace import Observed, Trace

EXACT = {"rtol": 1e-12, "atol": 1e-12}


pytestmark = pytest.mark.usefixtures("double")


def picture(y, x, spacing=8, size=8, side=64):
    """A square of 8 pixels at one of 8 x 8 central places, (1, 1, side, side)."""
    begin = (side - size - 7 * spacing) // 2
    made = torch.zeros(1, 1, side, side)
    top, left = begin + spacing * y, begin + spacing * x
    made[..., top : top + size, left : left + size] = 1
    return made


def trace_of(x, rebuilt):
    return Trace({"x": x}, {}, {"x": Observed(x, PointMass(rebuilt, x.dim() - 1))})


def seen(first, second, radius=31):
    """The overlap-aware distance, mean over pixels, with the paper's weight."""
    trace = trace_of(first, second)
    pixels = SquaredError()(trace) + (2 * radius + 1) ** 2 * BlurredError(radius)(trace)
    return float(pixels / first.numel())


@pytest.mark.parametrize("radius", [1, 2, 7, 31, 40])
@pytest.mark.parametrize("shape", [(2, 3, 16, 20), (3, 33, 9), (5, 5)])
def test_blur_is_zero_padded_average_pooling(radius, shape):
    x = torch.randn(shape)
    lead = x.reshape(1, -1, *shape[-2:])
    pooled = functional.avg_pool2d(functional.pad(lead, [radius] * 4), 2 * radius + 1, 1).view(shape)
    torch.testing.assert_close(box_blur(x, radius), pooled, rtol=0, atol=1e-13)
    assert (box_blur(x.float(), radius) - pooled.float()).abs().max() < 2e-6


def test_no_radius_no_blur():
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(box_blur(x, 0), x)


def test_blur_of_one_pixel_is_a_box():
    x = torch.zeros(7, 9)
    x[1, 4] = 1
    expected = torch.zeros(7, 9)
    expected[0:4, 2:7] = 1 / 25  # rows -1..3, of which one lies outside
    torch.testing.assert_close(box_blur(x, 2), expected, **EXACT)


def test_gradient_of_the_blurred_error():
    x, rebuilt = torch.randn(2, 1, 4, 5), torch.randn(2, 1, 4, 5, requires_grad=True)
    BlurredError(1, (0.5,))(trace_of(x, rebuilt)).sum().backward()
    # a box is symmetric: the gradient is the error blurred twice
    expected = -2 * box_blur(box_blur((x - rebuilt.detach()) / 0.25, 1), 1)
    torch.testing.assert_close(rebuilt.grad, expected, **EXACT)


def test_distances_along_a_row_are_in_order_with_the_blur_and_equal_without():
    found = [seen(picture(3, 0), picture(3, k)) for k in range(1, 8)]
    assert found == pytest.approx([0.110, 0.227, 0.345, 0.477, 0.594, 0.711, 0.828], abs=1e-3)
    pixels = {float(perceived_distance(picture(3, 0), picture(3, k))) for k in range(1, 8)}
    assert pixels == {0.03125}


def correlations(places, distance):
    pairs = list(itertools.combinations(places, 2))
    steps = torch.tensor([float(abs(a[0] - b[0]) + abs(a[1] - b[1])) for a, b in pairs])
    found = torch.tensor([distance(a, b) for a, b in pairs]).round(decimals=9)  # equal ones stay equal
    return spearman(steps, found), pearson(steps, found)


def test_ranks_of_the_blurred_distances():
    def distance(a, b):
        return seen(picture(*a), picture(*b))

    assert correlations([(3, x) for x in range(8)], distance) == pytest.approx((0.9916, 0.9997), abs=1e-4)
    every = list(itertools.product(range(8), repeat=2))
    pictures = torch.cat([picture(*place) for place in every])
    blurred = box_blur(pictures, 31).flatten(1)
    far = torch.cdist(blurred, blurred, compute_mode="donot_use_mm_for_euclid_dist").square() * 63**2 / 64**2
    far += torch.cdist(pictures.flatten(1), pictures.flatten(1)).square() / 64**2

    def quick(a, b):
        return float(far[8 * a[0] + a[1], 8 * b[0] + b[1]])

    assert quick((0, 1), (5, 3)) == pytest.approx(distance((0, 1), (5, 3)), rel=1e-9)
    assert correlations(every, quick)[0] == pytest.approx(0.9525, abs=1e-4)


@pytest.mark.parametrize(
    ("spacing", "distinct", "rank"),
    [(1, 7, 1.000), (2, 4, 0.979), (3, 3, 0.923), (4, 2, 0.764), (7, 2, 0.764), (8, 1, math.nan)],
)
def test_overlap_by_spacing(spacing, distinct, rank):
    """Squares closer together than their size overlap, and pixels alone see an order."""

    def distance(a, b):
        return float(perceived_distance(picture(*a, spacing), picture(*b, spacing)))

    row = [(3, x) for x in range(8)]
    assert len({distance(a, b) for a, b in itertools.combinations(row, 2)}) == distinct
    assert correlations(row, distance)[0] == pytest.approx(rank, abs=1e-3, nan_ok=True)


# -- the term ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [(1.0,), (0.3,), (0.5, 2.0)])
@pytest.mark.parametrize("radius", [0, 2])
def test_the_term_keeps_its_contract_and_units(radius, unit):
    x, rebuilt = torch.randn(4, 2, 5, 6), torch.randn(3, 4, 2, 5, 6)
    trace = Trace({"x": x}, {}, {"x": Observed(x, PointMass(rebuilt, 3))}, ("sample", "batch"))
    term = BlurredError(radius, unit)
    check_term(term, trace_of(x, rebuilt[0]))
    scale = torch.tensor(unit).view(-1, 1, 1)
    blurred = box_blur(x / scale, radius) - box_blur(rebuilt / scale, radius)
    expected = blurred.square().sum((2, 3, 4)).mean(0)
    torch.testing.assert_close(term(trace), expected, **EXACT)


def test_bad_arguments_and_data_are_refused():
    with pytest.raises(ValueError, match="`radius` is -1"):
        BlurredError(-1)
    with pytest.raises(ValueError, match=r"`unit\[0\]` is 0"):
        BlurredError(1, (0.0,))
    x = torch.randn(4, 7)
    with pytest.raises(UnsupportedError, match="no picture"):
        BlurredError(1)(trace_of(x, x))


# -- the recipe --------------------------------------------------------------------------------------------

SPEC = Spec("squares", (2, 8, 8), "binary", 40)
BATCH = {"x": (torch.rand(6, 2, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.2).double()}


def judged(batch=BATCH, spec=SPEC, **arguments):
    torch.manual_seed(3)
    system = recipes.overlap_vae(spec, latents=3, hidden=(9,), **arguments)
    torch.manual_seed(4)
    trace = system.procedure.trace(batch, Manner())
    total, _ = system.procedure.players[0].objective(trace)
    total.backward()
    slopes = torch.cat([p.grad.flatten() for p in system.model.parameters()])
    return trace, total.detach(), slopes


@pytest.mark.parametrize(
    ("arguments", "radius", "alpha"),
    [({}, 3, 49.0), ({"radius": 1}, 1, 9.0), ({"alpha": 5.0}, 3, 5.0), ({"radius": 0, "alpha": 2.0}, 0, 2.0)],
)
def test_loss_by_hand(arguments, radius, alpha):
    trace, total, _ = judged(beta=0.7, **arguments)
    q, rebuilt = trace.latents["z"].q, trace.observed["x"].p.mean
    blurred = functional.avg_pool2d(
        functional.pad(trace.batch["x"] - rebuilt, [radius] * 4), 2 * radius + 1, 1
    )
    divergence = 0.5 * (q.mean**2 + q.variance - 1 - q.variance.log())
    expected = (trace.batch["x"] - rebuilt).square().mean() + alpha * blurred.square().mean()
    torch.testing.assert_close(total, (expected + 0.7 * divergence.mean()).detach(), **EXACT)


def test_without_blur_it_is_the_squared_error():
    trace, plain, _ = judged(alpha=0.0, beta=0.0)
    mean = (trace.batch["x"] - trace.observed["x"].p.mean).square().mean().detach()
    torch.testing.assert_close(plain, mean, **EXACT)
    torch.testing.assert_close(judged(alpha=4.0, radius=0, beta=0.0)[1], 5 * mean, **EXACT)


@pytest.mark.parametrize(("mean", "std"), [((0.2,), (0.4,)), ((0.2, 0.3), (0.4, 0.1))])
def test_standardising_is_training_on_standardised_data(mean, std):
    """The same loss and gradients; reconstructions are in the data's own unit."""
    trace, total, slopes = judged(mean=mean, std=std)
    centre, scale = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
    moved = {"x": (BATCH["x"] - centre) / scale}
    other, expected, theirs = judged(moved, Spec("squares", (2, 8, 8), "real", 40))
    torch.testing.assert_close(total, expected, **EXACT)
    torch.testing.assert_close(slopes, theirs, rtol=1e-9, atol=1e-9)
    rebuilt = centre + scale * other.observed["x"].p.mean
    torch.testing.assert_close(trace.observed["x"].p.mean, rebuilt, **EXACT)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"radius": 8}, ValueError, "`radius` is 8, beyond 8x8 pixels"),
        ({"radius": -1}, ValueError, "`radius` is -1"),
        ({"alpha": -1.0}, ValueError, "`alpha` is -1.0"),
        ({"beta": math.nan}, ValueError, "`beta` is nan"),
        ({"std": (0.0,)}, ValueError, r"`std\[0\]` is 0.0"),
        ({"std": (1.0, 1.0, 1.0)}, ValueError, "`std` has 3 numbers, the data 2 channels; expected one"),
        ({"mean": ()}, ValueError, "`mean` has 0 numbers"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        recipes.overlap_vae(SPEC, **arguments)


def test_what_is_no_picture_or_no_measurement_is_refused():
    with pytest.raises(UnsupportedError, match="for pictures"):
        recipes.overlap_vae(Spec("bits", (7,), "binary", 40))
    with pytest.raises(UnsupportedError, match="squared error is for measured values"):
        recipes.overlap_vae(Spec("counts", (1, 8, 8), "count", 40))


PAIRED = Spec("squares", (2, 8, 8), "binary", 40, factors={"a": 4, "b": 5}, pairs=1)
PARTNER = {**BATCH, "partner": BATCH["x"].flip(0)}


@pytest.mark.parametrize("averaging", ["gvae", "ml_vae"])
def test_in_pairs_it_is_the_mean_of_both_losses_with_the_posteriors_of_ada_gvae(averaging):
    trace, total, _ = judged(PARTNER, PAIRED, beta=0.7, alpha=5.0, averaging=averaging)
    expected = 0.0
    for part, x in ((trace, PARTNER["x"]), (trace.branches["partner"], PARTNER["partner"])):
        q, error = part.latents["z"].q, x - part.observed["x"].p.mean
        blurred = functional.avg_pool2d(functional.pad(error, [3] * 4), 7, 1)
        divergence = 0.5 * (q.mean**2 + q.variance - 1 - q.variance.log())
        expected += 0.5 * (error.square().mean() + 5 * blurred.square().mean() + 0.7 * divergence.mean())
    torch.testing.assert_close(total, expected.detach(), **EXACT)
    torch.manual_seed(3)
    ada = recipes.ada_gvae(PAIRED, latents=3, hidden=(9,), averaging=averaging)
    torch.manual_seed(3)
    mine = recipes.overlap_vae(PAIRED, latents=3, hidden=(9,), averaging=averaging)
    posteriors = "model.posteriors.0."
    weights = {k: v for k, v in ada.model.state_dict().items() if k.startswith(posteriors)}
    mine.model.load_state_dict(weights, strict=False)
    for branch in (lambda trace: trace, lambda trace: trace.branches["partner"]):
        q, p = (branch(s.procedure.trace(PARTNER, Manner())).latents["z"].q for s in (mine, ada))
        torch.testing.assert_close(q.mean, p.mean, **EXACT)
        torch.testing.assert_close(q.stddev, p.stddev, **EXACT)


def test_pairs_need_partners_and_two_latents():
    with pytest.raises(UnsupportedError, match="overlap_vae with averaging 'gvae' learns from pairs"):
        recipes.overlap_vae(SPEC, averaging="gvae")
    with pytest.raises(ValueError, match="`latents` is 1"):
        recipes.overlap_vae(PAIRED, averaging="gvae", latents=1)
    with pytest.raises(ValueError, match="`averaging` is 'mean'"):
        recipes.overlap_vae(PAIRED, averaging="mean")


def test_defaults_at_64_pixels_are_those_of_the_paper():
    system = recipes.overlap_vae(Spec("squares", (3, 64, 64), "binary", 262_144))
    terms = system.procedure.players[0].objective.terms
    weight, term = terms["blurred_error"]
    assert (term.radius, weight * 3 * 64 * 64) == (31, pytest.approx(3969))
    assert terms["rate"][0] == pytest.approx(0.0316 / 25)
    assert (system.batch_size, system.epochs) == (256, 57)  # of 1,024 steps each
