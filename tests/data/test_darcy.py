"""Flow fields: the modes of the permeability, the solver against exact cases, and the set as data."""

from __future__ import annotations

import math

import pytest
import torch

from vaekit.data import darcy, fingerprint, flow_fields, load, load_like
from vaekit.data.restore import original_units
from vaekit.data.spec import Spec
from vaekit.errors import UserError


def ones(n):
    return torch.ones(1, n, n, dtype=torch.float64)


def rough(n, fields=3, modes=6):
    return darcy.permeability(darcy.draw_factors(fields, modes, "normal", 1), n)


# --- the modes ---


def test_eigenvalues_at_33_nodes_and_their_sum():
    values = darcy.expansion(33, 4).values
    assert values == pytest.approx([53.9433, 42.4839, 42.4839, 34.2922], abs=1e-4)
    assert darcy.expansion(17, 64).values.sum() < 289  # the trace is the number of nodes


def covariance(n):
    line = torch.linspace(0, 1, n, dtype=torch.float64)
    y, x = torch.meshgrid(line, line, indexing="ij")
    place = torch.stack([x.flatten(), y.flatten()], 1)
    return (-torch.cdist(place, place) / 0.1).exp()


def test_modes_are_orthonormal_eigenvectors_of_the_covariance_and_the_largest():
    modes = darcy.expansion(17, 12)
    vectors = torch.from_numpy(modes.vectors).flatten(1)
    values = torch.from_numpy(modes.values.copy())
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(12, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(
        covariance(17) @ vectors.T, vectors.T * values, atol=1e-10, rtol=0, check_stride=False
    )
    torch.testing.assert_close(values, torch.linalg.eigvalsh(covariance(17)).flip(0)[:12])


def test_a_pair_is_decided_by_parity_and_every_sign_is_fixed():
    first, second, third = torch.from_numpy(darcy.expansion(17, 3).vectors)
    for mode, odd_x, odd_y in ((first, 1, 1), (second, -1, 1), (third, 1, -1)):
        torch.testing.assert_close(mode.flip(1), odd_x * mode, atol=1e-12, rtol=0)
        torch.testing.assert_close(mode.flip(0), odd_y * mode, atol=1e-12, rtol=0)
        large = mode.flatten()[(mode.abs() >= 0.5 * mode.abs().max()).flatten()]
        assert large[0] > 0
    torch.testing.assert_close(third, second.T, atol=1e-10, rtol=0)
    assert darcy.cuts_pair(17, 2)
    assert not darcy.cuts_pair(17, 3)


def test_log_permeability_has_the_covariance_of_the_kernel():
    theta = torch.eye(64, dtype=torch.float64)  # K of unit vectors: sqrt(lambda) phi, one at a time
    logs = darcy.permeability(theta, 17).log().flatten(1)
    left = torch.linalg.eigvalsh(covariance(17) - logs.T @ logs)
    assert left[0] > -1e-10  # what is left out is a covariance too, and begins where the modes end
    torch.testing.assert_close(left[-1], torch.linalg.eigvalsh(covariance(17)).flip(0)[64])


# --- the solver ---


def test_even_ground_is_antisymmetric_under_exchange_of_the_corners():
    solved = darcy.solve(ones(33), darcy.source(33))
    pressure = solved.pressure[0]
    assert float((pressure + pressure.flip(0, 1)).abs().max()) < 1e-12
    assert float((pressure - pressure.T).abs().max()) < 1e-12
    assert float(solved.multiplier.abs()) < 1e-14
    assert (pressure.min().item(), pressure.max().item()) == pytest.approx((-0.308, 0.308), abs=5e-4)
    assert pressure.argmax() == 0  # the source drives the flow out of the corner (0, 0)


def test_the_flow_out_of_every_cell_is_its_source():
    k = rough(17)
    solved = darcy.solve(k, darcy.source(17))
    torch.testing.assert_close(
        darcy.outflow(k, solved.pressure), darcy.source(17).expand_as(k), atol=1e-9, rtol=0
    )
    torch.testing.assert_close(solved.pressure.sum((1, 2)), torch.zeros(3).double(), atol=1e-12, rtol=0)


def test_a_source_that_does_not_balance_is_told_by_the_multiplier():
    k = rough(17)
    solved = darcy.solve(k, darcy.source(17) + 3)
    torch.testing.assert_close(solved.multiplier, torch.full((3,), 3.0).double())
    torch.testing.assert_close(solved.pressure, darcy.solve(k, darcy.source(17)).pressure)


def test_layers_in_a_row_conduct_like_their_harmonic_mean():
    """A flow q from the left to the right edge: p falls by q h / K_face from node to node."""
    n, q = 17, 0.7
    h = 1 / (n - 1)
    layers = torch.tensor([0.01, 5.0, 0.3, 40.0, 1.0], dtype=torch.float64).repeat_interleave(4)[:n]
    f = torch.zeros(n, n, dtype=torch.float64)
    f[:, 0], f[:, -1] = q / h, -q / h
    pressure = darcy.solve(layers.expand(1, n, n), f).pressure[0]
    faces = 2 * layers[1:] * layers[:-1] / (layers[1:] + layers[:-1])
    torch.testing.assert_close(
        -pressure.diff(dim=1), (q * h / faces).expand(n, n - 1), atol=1e-12, rtol=1e-10
    )
    # half a cell at either end: the exact drop of a layered medium whose layers meet between nodes
    thickness = torch.full((n,), h, dtype=torch.float64)
    thickness[[0, -1]] = h / 2
    whole = (pressure[:, 0] - pressure[:, -1]) / q
    torch.testing.assert_close(whole, (thickness / layers).sum().expand(n), atol=1e-12, rtol=1e-10)
    # along the layers instead, nothing holds it back but the layer itself
    along = darcy.solve(layers[:, None].expand(1, n, n), f.mul(layers[:, None])).pressure[0]
    fall = torch.full((n, n - 1), q * h, dtype=torch.float64)
    torch.testing.assert_close(-along.diff(dim=1), fall, atol=1e-11, rtol=0)


def test_cosines_are_exact_on_even_ground():
    """The discrete waves of a square without flow through its boundary."""
    n = 17
    line = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    pressure = torch.outer((math.pi * 2 * line).cos(), (math.pi * 3 * line).cos())
    eigen = (4 - 2 * math.cos(2 * math.pi / n) - 2 * math.cos(3 * math.pi / n)) * (n - 1) ** 2
    solved = darcy.solve(ones(n), eigen * pressure).pressure[0]
    torch.testing.assert_close(solved, pressure, atol=1e-12, rtol=0)


def error(n):
    """Against p = cos(pi s) cos(pi t) over s, t in (0, 1), which the cells fill, and K = exp(s + t / 2)."""
    length = n / (n - 1)
    line = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    t, s = torch.meshgrid(line, line, indexing="ij")
    k = (s + 0.5 * t).exp()
    ps, pt = -(math.pi * s).sin() * (math.pi * t).cos(), -(math.pi * s).cos() * (math.pi * t).sin()
    p = (math.pi * s).cos() * (math.pi * t).cos()
    f = -k * (-2 * math.pi**2 * p + math.pi * (ps + 0.5 * pt)) / length**2
    f = f - f.mean()  # of the order of h^2
    return float((darcy.solve(k[None], f).pressure[0] - (p - p.mean())).abs().max())


def test_a_smooth_case_is_met_to_second_order():
    coarse, fine = error(17), error(33)
    assert coarse < 0.02
    assert 3.5 < coarse / fine < 4.5


def test_velocity_is_that_of_a_plane_and_does_not_cross_the_boundary():
    n = 17
    line = torch.linspace(0, 1, n, dtype=torch.float64)
    pressure = (2 * line[None, :] - 3 * line[:, None])[None]
    u1, u2 = darcy.velocity(2 * ones(n), pressure)
    torch.testing.assert_close(u1[0, :, 1:-1], torch.full((n, n - 2), -4.0).double())
    torch.testing.assert_close(u2[0, 1:-1], torch.full((n - 2, n), 6.0).double())
    assert not u1[0, :, [0, -1]].any()
    assert not u2[0, [0, -1]].any()


def test_fields_are_solved_alike_alone_and_together(monkeypatch):
    theta = darcy.draw_factors(5, 2, "normal", 0)
    together = darcy.fields(theta, 17)
    torch.testing.assert_close(darcy.fields(theta[2:3], 17)[0], together[2], atol=1e-12, rtol=0)
    monkeypatch.setattr(darcy, "_AT_ONCE", 2 * 17**3)
    torch.testing.assert_close(darcy.fields(theta, 17), together, atol=1e-12, rtol=0)


# --- the factors ---


@pytest.mark.parametrize("law", ["normal", "bimodal", "shifted"])
def test_factors_have_the_moments_of_their_law(law):
    theta = darcy.draw_factors(40_000, 2, law, 3)
    mean, deviation = darcy.MOMENTS[law]
    torch.testing.assert_close(theta.mean(0), torch.full((2,), mean).double(), atol=0.02, rtol=0)
    torch.testing.assert_close(theta.std(0), torch.full((2,), deviation).double(), atol=0.02, rtol=0)
    assert abs(float(torch.corrcoef(theta.T)[0, 1])) < 0.02
    torch.testing.assert_close(darcy.draw_factors(9, 2, law, 3), theta[:9])
    assert not torch.equal(darcy.draw_factors(9, 2, law, 4), theta[:9])
    if law == "bimodal":
        assert float((theta.abs() < 0.25).double().mean()) < 0.01
        assert abs(float((theta > 0).double().mean()) - 0.5) < 0.01


# --- the set ---


@pytest.fixture(scope="module")
def fields17():
    return load("darcy", size=17)


def test_named_set_is_standardised_deterministic_and_says_so(fields17):
    splits = fields17
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [512, 128, 512]
    spec = splits.spec
    assert (spec.shape, spec.kind, spec.theta, spec.labelled) == (
        (3, 17, 17),
        "real",
        ("theta1", "theta2"),
        None,
    )
    batch = splits.train.take(range(512))
    torch.testing.assert_close(batch["x"].mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(batch["x"].std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    raw = flow_fields(17, standardise=False, limit=4).train.take(range(4))["x"]
    torch.testing.assert_close(original_units(spec, batch["x"][:4]), raw, atol=5e-5, rtol=0)
    assert "equal eigenvalues" in spec.note
    few, again, other = (load("darcy", size=17, limit=9, seed=seed) for seed in (0, 0, 1))
    assert fingerprint(few) == fingerprint(again)
    assert fingerprint(few) != fingerprint(other)
    assert Spec.from_json(spec.to_json()) == spec


def test_fields_follow_from_their_factors():
    splits = flow_fields(17, law="bimodal", limit=3, standardise=False)
    batch = splits.test.take([0, 1, 2])
    torch.testing.assert_close(
        batch["x"], darcy.fields(batch["theta"].double(), 17).float(), atol=4e-5, rtol=0
    )
    assert torch.equal(batch["x"] * 2**14, (batch["x"] * 2**14).round())


def test_labelled_data_are_few_seeded_and_spread_over_the_batches(fields17):
    splits, everything = load("darcy", size=17, labelled=16, labelled_seed=2), fields17
    told = splits.train.take(range(512))["theta"]
    known = ~told[:, 0].isnan()
    assert (int(known.sum()), splits.spec.labelled) == (16, 16)
    torch.testing.assert_close(told[known], everything.train.take(range(512))["theta"][known])
    assert not splits.test.take(range(512))["theta"].isnan().any()
    few, others = (load("darcy", size=17, limit=20, labelled=9, labelled_seed=seed).train for seed in (0, 1))
    assert not torch.equal(few.known, others.known)
    per_batch = [int((~b["theta"][:, 0].isnan()).sum()) for b in splits.train.batches(64, seed=0)]
    assert per_batch == [2] * 8
    assert fingerprint(splits.train) != fingerprint(everything.train)
    assert len(splits.train.subset([0, 5]).theta) == 2


def test_other_data_of_this_kind_are_treated_as_the_training_set_was(fields17):
    spec = fields17.spec
    other = load_like("darcy_bimodal", spec, limit=5)
    raw = flow_fields(17, law="bimodal", limit=5, standardise=False).test.take(range(5))
    batch = other.take(range(5))
    torch.testing.assert_close(original_units(spec, batch["x"]), raw["x"], atol=5e-5, rtol=0)
    torch.testing.assert_close(batch["theta"], raw["theta"])  # the moments of the law of training: 0 and 1
    with pytest.raises(UserError, match="expected \\(7,\\)"):
        load_like("darcy", Spec("table", (7,), "real", 9))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 20}, "`size` is 20; expected one of 17, 33, 65"),
        ({"labelled": 600}, "`labelled` is 600; expected at most 512"),
        ({"labelled": -1}, "`labelled` is -1"),
        ({"context": "labels"}, "`context` = 'labels'"),
        ({"channels": 1}, "`channels` = 1"),
        ({"binarise": "dynamic"}, "`binarise` = 'dynamic'"),
        ({"labels": [1, 2]}, "`labels`"),
        ({"kind": "unit"}, "`kind` = 'unit'"),
    ],
)
def test_options_that_fields_do_not_have_are_refused(options, words):
    with pytest.raises(UserError, match=words):
        load("darcy", **options)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="`law` is 'lognormal'"):
        flow_fields(law="lognormal")
    with pytest.raises(ValueError, match="`modes` is 65; expected at most 64"):
        darcy.expansion(17, 65)
    with pytest.raises(ValueError, match="`labelled` is 3"):
        Spec("none", (2,), "real", 9, labelled=3)
    with pytest.raises(ValueError, match="`offset` has 2 entries; expected 867"):
        Spec("fields", (3, 17, 17), "real", 9, offset=(0.0, 0.0), scale=(1.0, 1.0))
