"""Bad arguments and misfitting data: one error that says what was got, what was expected, what to do."""

from __future__ import annotations

import math

import pytest

from vaekit import recipes, wiring
from vaekit.errors import UnsupportedError
from vaekit.networks import make_decoder, make_encoder

NAN, INF = math.nan, math.inf

VALUES = [
    ("vae", {"latents": 0}, ValueError, "`latents` is 0; expected at least 1"),
    ("vae", {"latents": 2.0}, TypeError, "`latents` is 2.0; expected a whole number"),
    ("vae", {"latents": True}, TypeError, "`latents` is True"),
    ("vae", {"samples": 0}, ValueError, "`samples` is 0; expected at least 1"),
    ("vae", {"learning_rate": 0.0}, ValueError, "`learning_rate` is 0.0; expected a finite number above 0"),
    ("vae", {"learning_rate": NAN}, ValueError, "`learning_rate` is nan"),
    ("vae", {"learning_rate": INF}, ValueError, "`learning_rate` is inf"),
    ("vae", {"learning_rate": "fast"}, TypeError, "`learning_rate` is 'fast'"),
    ("vae", {"hidden": 500}, TypeError, "`hidden` is 500; expected one number for every layer"),
    ("vae", {"hidden": (5, 0)}, ValueError, r"`hidden\[1\]` is 0; expected at least 1"),
    (
        "vae",
        {"estimator": "exact"},
        ValueError,
        "`estimator` is 'exact'; expected auto, closed, sample or stl",
    ),
    ("vae", {"posterior": "round"}, ValueError, "`posterior` is 'round'; expected one of diagonal, full"),
    ("vae", {"prior": "vamp"}, ValueError, "`prior` is 'vamp'; expected one of standard, learned, mixture"),
    ("vae", {"components": 3}, UnsupportedError, "the prior 'standard' has none"),
    ("vae", {"prior": "mixture", "components": 0}, ValueError, "`components` is 0"),
    ("vae", {"prior": "flow", "estimator": "closed"}, UnsupportedError, "no closed form is known"),
    ("vamp_vae", {"prior": "flow"}, ValueError, "expected one of vamp, mixture, standard"),
    ("vamp_vae", {"prior": "standard", "components": 3}, UnsupportedError, "take prior vamp or mixture"),
    ("vamp_vae", {"prior": "mixture", "pseudo_mean": 0.5}, UnsupportedError, "take prior vamp"),
    ("vamp_vae", {"components": 0}, ValueError, "`components` is 0"),
    ("vamp_vae", {"pseudo_std": -1.0}, ValueError, "`pseudo_std` is -1.0"),
    ("vamp_vae", {"warmup": -1}, ValueError, "`warmup` is -1; expected at least 0"),
    ("vae", {"likelihood": "normal"}, ValueError, "`likelihood` is 'normal'; expected one of auto"),
    ("vae", {"architecture": "cnn"}, ValueError, "`architecture` is 'cnn'; expected one of auto"),
    ("vae", {"activation": "sine"}, ValueError, "`activation` is 'sine'; expected one of relu"),
    ("vae", {"prior": "mixture", "estimator": "closed"}, UnsupportedError, "no closed form is known"),
    (
        "vae",
        {"prior": "learned", "posterior": "full", "estimator": "closed"},
        UnsupportedError,
        "take sample, stl or auto",
    ),
    ("beta_vae", {"beta": -1.0}, ValueError, "`beta` is -1.0; expected a finite number at least 0"),
    ("beta_vae", {"beta": NAN}, ValueError, "`beta` is nan"),
    ("beta_tcvae", {"alpha": -1.0}, ValueError, "`alpha` is -1.0; expected a finite number at least 0"),
    ("beta_tcvae", {"beta": NAN}, ValueError, "`beta` is nan"),
    ("beta_tcvae", {"gamma": -0.5}, ValueError, "`gamma` is -0.5"),
    (
        "beta_tcvae",
        {"sampling": "all"},
        ValueError,
        "`sampling` is 'all'; expected one of mws, mss, balanced",
    ),
    ("beta_tcvae", {"estimator": "stl"}, ValueError, "`estimator` is 'stl'; expected one of sample, closed"),
    ("dip_vae", {"variant": "iii"}, ValueError, "`variant` is 'iii'; expected one of i, ii"),
    ("dip_vae", {"lambda_od": -1.0}, ValueError, "`lambda_od` is -1.0; expected a finite number at least 0"),
    ("dip_vae", {"lambda_d": -1.0}, ValueError, "`lambda_d` is -1.0"),
    ("info_vae", {"alpha": 1.5}, ValueError, "`alpha` is 1.5; expected a finite number at most 1"),
    ("info_vae", {"alpha": 0.0, "lambda_mmd": 0.5}, UnsupportedError, "`lambda_mmd` of at least 1"),
    ("info_vae", {"kernel": "linear"}, ValueError, "`kernel` is 'linear'; expected one of imq, rbf"),
    ("wae_mmd", {"lambda_mmd": -1.0}, ValueError, "`lambda_mmd` is -1.0"),
    ("wae_mmd", {"latents": 0}, ValueError, "`latents` is 0; expected at least 1"),
    ("wae_mmd", {"encoder": "random"}, ValueError, "`encoder` is 'random'; expected one of deterministic"),
    ("wae_mmd", {"likelihood": "normal"}, ValueError, "`likelihood` is 'normal'; expected one of auto"),
    ("wae_mmd", {"scales": ()}, ValueError, r"`scales` is \(\); expected one positive number or more"),
    (
        "wae_mmd",
        {"scales": (1.0, -1.0)},
        ValueError,
        r"`scales\[1\]` is -1.0; expected a finite number above 0",
    ),
    ("annealed_vae", {"capacity": -1.0}, ValueError, "`capacity` is -1.0"),
    ("annealed_vae", {"gamma": -1.0}, ValueError, "`gamma` is -1.0"),
    ("annealed_vae", {"ramp": 0}, ValueError, "`ramp` is 0; expected at least 1"),
    (
        "full_covariance_vae",
        {"posterior": "diagonal"},
        ValueError,
        "expected one of full, low_rank, rank_one",
    ),
    ("full_covariance_vae", {"rank": 2}, UnsupportedError, "the posterior 'full' has none"),
    ("full_covariance_vae", {"posterior": "low_rank", "rank": 0}, ValueError, "`rank` is 0"),
    (
        "full_covariance_vae",
        {"posterior": "low_rank", "rank": 9, "latents": 4},
        ValueError,
        "`rank` is 9; expected 1 to 4",
    ),
    ("dlgm", {"latents": ()}, ValueError, r"`latents` is \(\); expected at least 1"),
    ("dlgm", {"latents": 16}, TypeError, "`latents` is 16; expected one number for every layer"),
    ("dlgm", {"latents": (4, 0)}, ValueError, r"`latents\[1\]` is 0"),
    ("iwae", {"samples": 0}, ValueError, "`samples` is 0; expected at least 1"),
    ("iwae", {"layers": 3}, ValueError, "`layers` is 3; expected one of 1, 2"),
    ("iwae", {"gradient": "reinforce"}, ValueError, "`gradient` is 'reinforce'; expected one of plain"),
    ("iwae", {"stages": -1}, ValueError, "`stages` is -1; expected at least 0"),
    ("miwae", {"groups": 0}, ValueError, "`groups` is 0"),
    ("miwae", {"samples": 0}, ValueError, "`samples` is 0"),
    ("piwae", {"groups": 0}, ValueError, "`groups` is 0"),
    ("piwae", {"gradient": "none"}, ValueError, "`gradient` is 'none'"),
    ("ciwae", {"b": 1.5}, ValueError, "`b` is 1.5; expected a finite number at least 0 and at most 1"),
    ("ciwae", {"b": -0.1}, ValueError, "`b` is -0.1"),
]


@pytest.mark.parametrize(("name", "arguments", "kind", "message"), VALUES)
def test_values(name, arguments, kind, message, spec):
    with pytest.raises(kind, match=message):
        getattr(recipes, name)(spec(), **arguments)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"alpha": 1.1}, ValueError, "`alpha` is 1.1; expected a finite number at least 0 and at most 1"),
        ({"alpha": -0.1}, ValueError, "`alpha` is -0.1"),
        ({"prior": "learned"}, ValueError, "`prior` is 'learned'; expected one of network, standard"),
        ({"samples": 0}, ValueError, "`samples` is 0"),
        ({"latents": -3}, ValueError, "`latents` is -3"),
    ],
)
def test_cvae_values(arguments, kind, message, spec):
    with pytest.raises(kind, match=message):
        recipes.cvae(spec(context=True), **arguments)


def test_cvae_needs_a_condition_and_says_where_to_get_one(spec):
    with pytest.raises(UnsupportedError, match='context="labels", or context="quadrant1"'):
        recipes.cvae(spec())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("m2", {"alpha": -0.1}, "`alpha` is -0.1; expected a finite number at least 0"),
        ("m2", {"samples": 0}, "`samples` is 0"),
        ("m2", {"fall": -1}, "`fall` is -1; expected at least 0"),
        ("m1_m2", {"second_epochs": 0}, "`second_epochs` is 0"),
        ("m1_m2", {"second_fall": -1}, "`second_fall` is -1; expected at least 0"),
    ],
)
def test_values_beside_labels(name, arguments, message, spec):
    with pytest.raises(ValueError, match=message):
        getattr(recipes, name)(spec(classes=3), **arguments)


@pytest.mark.parametrize("name", ["m2", "m1_m2"])
def test_labels_are_needed_and_take_the_place_of_a_condition(name, spec):
    with pytest.raises(UnsupportedError, match=f"{name} needs data with labels, and 'toy' has none"):
        getattr(recipes, name)(spec())
    with pytest.raises(UnsupportedError, match=f"which {name} has no place for"):
        getattr(recipes, name)(spec(classes=3, context=True))
    with pytest.raises(UnsupportedError, match="none of the training data of 'toy' has a label"):
        getattr(recipes, name)(spec(classes=3, labelled=0))


@pytest.mark.parametrize("name", ["dlgm", "ppca"])
def test_a_condition_without_a_place_is_refused(name, spec):
    with pytest.raises(
        UnsupportedError, match=f"'toy' comes with a condition.*which {name} has no place for"
    ):
        getattr(recipes, name)(spec("real", context=True))


@pytest.mark.parametrize("name", ["sigma_vae", "ppca"])
@pytest.mark.parametrize("kind", ["binary", "count"])
def test_gaussian_recipes_refuse_other_kinds(name, kind, spec):
    with pytest.raises(UnsupportedError, match=f"'toy' is {kind}: take"):
        getattr(recipes, name)(spec(kind))


def test_ppca_values(spec):
    with pytest.raises(UnsupportedError, match="'toy' is unit"):
        recipes.ppca(spec("unit"))
    with pytest.raises(ValueError, match="`latents` is 16; expected fewer than the 16 dimensions"):
        recipes.ppca(spec("real"), latents=16)
    with pytest.raises(ValueError, match="`latents` is 0"):
        recipes.ppca(spec("real"), latents=0)


def test_sigma_vae_values(spec):
    with pytest.raises(UnsupportedError, match=r"`sigma` is 0.5, but variance 'optimal' finds its own"):
        recipes.sigma_vae(spec("unit"), sigma=0.5)
    with pytest.raises(ValueError, match=r"`sigma` is 0.0; expected a finite number above 0"):
        recipes.sigma_vae(spec("unit"), variance="fixed", sigma=0.0)
    with pytest.raises(ValueError, match="`variance` is 'learned'; expected one of shared, optimal"):
        recipes.sigma_vae(spec("unit"), variance="learned")


@pytest.mark.parametrize(
    ("likelihood", "kind"),
    [("bernoulli", "unit"), ("gaussian", "binary"), ("poisson", "real"), ("continuous_bernoulli", "binary")],
)
@pytest.mark.parametrize("name", ["vae", "beta_vae", "annealed_vae", "iwae", "dlgm", "full_covariance_vae"])
def test_a_likelihood_that_is_no_density_of_the_data_is_refused(name, likelihood, kind, spec):
    with pytest.raises(UnsupportedError, match=f"`likelihood` is '{likelihood}'.*'toy' is {kind}"):
        getattr(recipes, name)(spec(kind), likelihood=likelihood)


@pytest.mark.parametrize("name", ["vae", "beta_vae", "annealed_vae", "sigma_vae", "full_covariance_vae"])
def test_hidden_is_refused_where_layers_are_fixed(name, spec):
    pictures = spec("unit", shape=(1, 64, 64))
    with pytest.raises(
        UnsupportedError, match=r"`hidden` is \(9,\), but `architecture` 'auto' means 'conv' for the shape"
    ):
        getattr(recipes, name)(pictures, hidden=(9,))
    getattr(recipes, name)(pictures, hidden=(9,), architecture="mlp")


def test_activation_is_refused_where_it_would_do_nothing(spec):
    with pytest.raises(UnsupportedError, match=r"`activation` is 'tanh'.*'gated'.*take architecture mlp"):
        recipes.vae(spec(), activation="tanh", architecture="gated")
    with pytest.raises(UnsupportedError, match=r"`activation` is 'tanh'.*'conv'"):
        recipes.vae(spec("unit", shape=(1, 64, 64)), activation="tanh")
    for make in (make_encoder, make_decoder):
        for option in ({"activation": "tanh"}, {"init": "glorot"}):
            with pytest.raises(ValueError, match="'gated' has its own: leave it out"):
                make("gated", [(4,)], (4,), **option)


def test_activation_and_init_reach_the_network():
    for make in (make_encoder, make_decoder):
        network = make("mlp", [(4,)], (4,), (5,), activation="tanh", init="glorot")
        assert network.activation == "tanh"
        assert not network.hidden[0].bias.any()
        assert make("mlp", [(4,)], (4,)).activation == "relu"


def test_dense_is_what_stands_where_nothing_is_said(spec):
    dense = wiring.Dense((6, 5), "tanh", "glorot")

    def widths(**arguments):
        options = {"architecture": "mlp", "hidden": None, **arguments}
        network = wiring.encoder_of(spec(), **options, dense=dense)((4,))
        return [layer.out_features for layer in network.hidden], getattr(network, "activation", None)

    assert widths() == ([6, 5], "tanh")
    assert widths(hidden=(3,)) == ([3], "tanh")
    assert widths(hidden=()) == ([], "tanh")
    assert widths(activation="elu") == ([6, 5], "elu")
    assert widths(architecture="gated") == ([12, 10], None)


def test_number_of_passes(spec):
    assert wiring.passes(spec(size=100), 64, 7) == 4
    assert wiring.passes(spec(size=100), 64, 1) == 1
    assert [wiring.large_batch(spec(size=n), 2048) for n in (20, 10_000, 60_000)] == [128, 500, 2048]
    assert wiring.draws(1) is None
    assert wiring.draws(3) == 3
