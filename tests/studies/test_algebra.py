"""Lists of points, from Python and from TOML, and what is refused with its place."""

from __future__ import annotations

import tomllib

import pytest

from vaekit.errors import UserError
from vaekit.studies import chain, fixed, points, product, read, sweep, zipped
from vaekit.studies.expression import Parts, evaluated


def test_the_last_list_of_a_product_runs_fastest():
    found = product(sweep({"a": [1, 2, 3]}), sweep({"b": [1, 2]}), sweep({"c": [1, 2, 3, 4]}))
    assert len(found) == 3 * 2 * 4
    for index, point in enumerate(found):
        assert point == {"a": index // 8 + 1, "b": index // 4 % 2 + 1, "c": index % 4 + 1}


def test_a_sweep_of_several_settings_is_the_product_of_their_sweeps():
    assert sweep({"a": [1, 2], "b": {"c": [3, 4]}}) == product(sweep({"a": [1, 2]}), sweep({"b.c": [3, 4]}))


def test_zipped_takes_values_together():
    assert zipped({"a": [1, 2], "b": {"c": ["x", "y"]}}) == [{"a": 1, "b.c": "x"}, {"a": 2, "b.c": "y"}]
    with pytest.raises(UserError, match="`a` has 2, `b` has 1 values"):
        zipped({"a": [1, 2], "b": [1]})


def test_chain_appends_and_units_do_nothing():
    a, b = sweep({"a": [1, 2]}), fixed({"b": 3})
    assert chain(a, b) == [{"a": 1}, {"a": 2}, {"b": 3}]
    assert chain() == []
    assert product() == [{}]
    assert product(a, []) == []
    assert product(a, [{}]) == a


def test_data_by_name_or_by_table():
    assert sweep({"data": ["digits", {"name": "digits", "limit": 5}]}) == [
        {"data.name": "digits"},
        {"data.name": "digits", "data.limit": 5},
    ]
    assert fixed({"data": "digits", "data.limit": 5}) == fixed({"data": {"name": "digits", "limit": 5}})


@pytest.mark.parametrize(("make", "says"), [
    (lambda: product(fixed({"a": 1}), sweep({"a": [2, 3]})), "`a` is said twice, as 1 and as 2"),
    (lambda: fixed({"data": "a", "data.name": "b"}), "`data.name` is said twice"),
    (lambda: sweep({"a": 3}), "expected a list"),
    (lambda: sweep({"a": []}), "expected a list of one or more"),
    (lambda: sweep({"a": "abc"}), "expected a list"),
    (lambda: product(*[sweep({str(k): list(range(100))}) for k in range(4)]), "100,000,000 points"),
])  # fmt: skip
def test_what_is_no_list_is_refused(make, says):
    with pytest.raises(UserError, match=says):
        make()


def of(text):
    table = tomllib.loads(text)
    parts = Parts(table.pop("parts", {}))
    return [{k: v.value for k, v in point.items()} for point in evaluated(table, "", parts)]


def test_a_table_is_the_product_of_its_operations_in_their_order():
    text = """
        sweep.seed = [0, 1]
        fixed = { recipe = "vae", arguments.latents = 3 }
        chain = ["small", { fixed.arguments.hidden = [8, 8] }]
        [parts.small.zip]
        arguments.hidden = [[4], [5]]
        training.steps = [1, 2]
    """
    base = fixed({"recipe": "vae", "arguments.latents": 3})
    small = zipped({"arguments.hidden": [[4], [5]], "training.steps": [1, 2]})
    wide = fixed({"arguments.hidden": [8, 8]})
    assert of(text) == product(sweep({"seed": [0, 1]}), base, chain(small, wide))


@pytest.mark.parametrize(("text", "says"), [
    ('product = ["a"]\n[parts.a]\nchain = ["b"]\n[parts.b]\nproduct = ["a"]', "a -> b -> a"),
    ('chain = ["methods"]\n[parts.method.fixed]\nseed = 1', "did you mean 'method'"),
    ('chain = ["methods"]', r"there is no part 'methods': add \[parts.methods\]"),
    ("chain = [3]", r"chain\[0\] is 3"),
    ('chain = "methods"', "chain is 'methods'; expected a list"),
    ("fixd = { seed = 1 }", "did you mean 'fixed'"),
    ("fixed = 3", "fixed is 3; expected settings"),
    ("", "the study is empty"),
    ("sweep.arguments.beta = 4", "sweep: `arguments.beta` of sweep is 4"),
    ("fixed.seed = 1\nsweep.seed = [1]", "`seed` is said twice"),
    ('chain = ["a"]\n[parts.a]\nfixed.seed = 1\nsweep.seed = [2]', "parts.a: `seed` is said twice"),
])  # fmt: skip
def test_a_mistake_has_its_place(text, says):
    with pytest.raises(UserError, match=says):
        of(text)


def test_a_part_that_nothing_uses_is_refused(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('fixed.recipe = "vae"\nfixed.data = "digits"\n[parts.rest.fixed]\nseed = 1\n')
    with pytest.raises(UserError, match=r"study.toml: the part 'rest' is not used"):
        read(path)


METHODS = [
    ("beta_vae", "beta-VAE", "beta", [1, 2, 4, 6, 8, 16]),
    ("factor_vae", "FactorVAE", "gamma", [10, 20, 30, 40, 50, 100]),
    ("dip_vae", "DIP-VAE-I", "lambda_od", [1, 2, 5, 10, 20, 50]),
    ("dip_vae", "DIP-VAE-II", "lambda_od", [1, 2, 5, 10, 20, 50]),
    ("beta_tcvae", "beta-TCVAE", "beta", [1, 2, 4, 6, 8, 10]),
    ("annealed_vae", "AnnealedVAE", "capacity", [5, 10, 25, 50, 75, 100]),
]
SETS = ["dsprites", "color_dsprites", "noisy_dsprites", "scream_dsprites", "smallnorb", "cars3d", "shapes3d"]


def test_the_study_of_locatello_has_12600_runs_in_their_order():
    found = points("locatello2019")
    assert len(found) == 12_600
    for index, point in enumerate(found):
        data, rest = divmod(index, 1800)
        config, seed = divmod(rest, 50)
        recipe, method, strength, grid = METHODS[config // 6]
        expected = {
            "data.name": SETS[data], "recipe": recipe, "method": method, "seed": seed,
            f"arguments.{strength}": grid[config % 6], "arguments.latents": 10, "training.steps": 300_000,
            "training.batch_size": 64, "training.weights": "last", "arguments.learning_rate": 1e-4,
            "arguments.likelihood": "bernoulli" if data == 0 else "cross_entropy",
        }  # fmt: skip
        assert point.items() >= expected.items(), index
    variants = {point["arguments.variant"] for point in found if point["method"] == "DIP-VAE-I"}
    assert variants == {"i"}
