"""Runs with one planted fault each: the doctor names it, with the right numbers; a sound run has none."""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import vaekit
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.doctor import examine_run
from vaekit.doctor import run as run_module
from vaekit.doctor.finding import Finding
from vaekit.files import read_tensors, write_tensors
from vaekit.runs import Run

SETTINGS = {"latents": 2, "hidden": (16,), "learning_rate": 1e-2, "epochs": 40, "batch_size": 50}


def splits_of(spec: Spec, make: Callable[[int], torch.Tensor]) -> Splits:
    return Splits(*(ArrayData(spec, make(n)) for n in (spec.size, 100, 100)))


def world(size: int = 400, scale: float = 1.0) -> Splits:
    """Eight columns from two factors, and noise."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 8, generator=generator)

    def make(n: int) -> torch.Tensor:
        z, noise = torch.randn(n, 2, generator=generator), torch.randn(n, 8, generator=generator)
        return scale * (z @ weight + 0.3 * noise)

    return splits_of(Spec("world", (8,), "real", size), make)


def greys() -> Splits:
    """Pictures of middle greys, which differ from each other far less than coins would."""
    generator = torch.Generator().manual_seed(0)

    def make(n: int) -> torch.Tensor:
        light = torch.rand(n, 1, 1, 1, generator=generator)
        return 0.4 + 0.2 * light + 0.02 * torch.randn(n, 1, 4, 4, generator=generator)

    return splits_of(Spec("greys", (1, 4, 4), "unit", 400), make)


def clusters() -> Splits:
    """Five places: more than five codes have nothing to say."""
    generator = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(5, 6, generator=generator)

    def make(n: int) -> torch.Tensor:
        which = torch.randint(5, (n,), generator=generator)
        return centres[which] + 0.1 * torch.randn(n, 6, generator=generator)

    return splits_of(Spec("clusters", (6,), "real", 400), make)


def noise() -> Splits:
    generator = torch.Generator().manual_seed(0)
    return splits_of(Spec("noise", (8,), "real", 400), lambda n: torch.randn(n, 8, generator=generator))


CODES = {
    "codes": 64, "dims": 3, "positions": 1, "restart": 0.0, "steps": 60, "prior_blocks": 1, "prior_width": 4,
    "prior_attention": 0, "latents": None,
}  # fmt: skip

Found = dict[str, Finding]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Run, Splits]]:
    """A small training, and its data."""

    def train(splits: Splits, recipe: str = "vae", **changes: Any) -> tuple[Run, Splits]:
        arguments = {k: v for k, v in {**SETTINGS, **changes}.items() if v is not None}
        out = tmp_path_factory.mktemp("run") / "run"
        return vaekit.train(recipe, splits, out=out, device="cpu", **arguments), splits

    return train


@pytest.fixture(scope="module")
def sound(trained: Callable[..., tuple[Run, Splits]]) -> tuple[Run, Splits]:
    """A run in which nothing is wrong."""
    return trained(world())


@pytest.fixture
def spoilt(sound: tuple[Run, Splits], tmp_path: Path) -> Callable[..., Found]:
    """What is found of the sound run once its weights, its record or its rows have been changed."""

    def spoil(
        weights: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] | None = None,
        record: Mapping[str, Any] | None = None,
        rows: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] | None = None,
        data: Splits | None = None,
    ) -> Found:
        run, splits = sound
        place = tmp_path / "spoilt"
        shutil.copytree(run.path, place)
        change_weights(place, weights or {})
        if record is not None:
            known = json.loads((place / "run.json").read_text())
            (place / "run.json").write_text(json.dumps(known | record))
        if rows is not None:
            changed = rows(run.metrics())
            (place / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))
        return by_key(examine_run(place, data=splits if data is None else data))

    return spoil


def change_weights(place: Path, changes: Mapping[str, Callable[[torch.Tensor], torch.Tensor]]) -> None:
    """Change weights of a run: pattern of a name -> what becomes of the tensor."""
    tensors, about = read_tensors(place / "weights.safetensors")
    for key, change in changes.items():
        [name] = [name for name in tensors if re.search(key, name)]
        tensors[name] = change(tensors[name])
    write_tensors(place / "weights.safetensors", tensors, about)


def by_key(findings: list[Finding]) -> Found:
    return {finding.key: finding for finding in findings}


def bad(found: Found) -> list[str]:
    return [key for key, finding in found.items() if finding.severity != "note"]


def test_a_sound_run_has_no_finding_and_no_check_is_left_out(sound):
    assert examine_run(sound[0].path, data=sound[1]) == []


# -- latents: which are empty, and since when -------------------------------------------------------------


@pytest.fixture(scope="module")
def spare(trained):
    """Five latents for two factors."""
    run, splits = trained(world(), latents=5)
    return run, splits


def test_since_when_each_latent_is_empty(spare):
    """By hand from the rows: the first epoch after which its rate stayed below 0.01 nats."""
    run, splits = spare
    finding = by_key(examine_run(run.path, data=splits))["spare_latents"]
    names = re.search(r"Empty: ([z \d,]+)\.", finding.measured)
    assert names is not None
    said = {}
    for names_, epoch in re.findall(r"((?:z \d+(?:, )?)+) since epoch (\d+) of 40", finding.measured):
        said |= dict.fromkeys(names_.split(", "), int(epoch))
    assert set(said) == set(names[1].split(", "))
    for name, epoch in said.items():
        rates = {row["epoch"]: row["valid/rates"][name] for row in run.metrics()}
        assert rates[epoch - 1] >= 0.01
        assert all(rates[later] < 0.01 for later in range(epoch, 41))


def rewritten(rates: Mapping[str, list[float]]) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """Rows with other rates."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {**row, "valid/rates": {name: line[i] for name, line in rates.items()}}
            for i, row in enumerate(rows[: len(next(iter(rates.values())))])
        ]

    return change


SILENT = {
    "posteriors.0.*output_layer.weight": torch.zeros_like,
    "posteriors.0.*output_layer.bias": torch.zeros_like,
}


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ({"z 1": [0.0] * 6, "z 2": [2.0, 0.1, 0.0, 0.2, 0.001, 0.002]},
         ("z 1 from the beginning", "z 2 since epoch 5 of 6")),
        ({"z 1": [0.0] * 6, "z 2": [0.001] * 6}, ("z 1, z 2 from the beginning",)),
        ({"z 1": [1.0] * 5 + [0.0], "z 2": [0.0] * 5 + [0.3]},
         ("z 1 since epoch 6 of 6", "In the last row of the record z 2 had a rate of up to 0.3 nats")),
    ],
)  # fmt: skip
def test_since_when_from_planted_rows(spoilt, rates, words):
    found = spoilt(weights=SILENT, rows=rewritten(rates))
    for part in words:
        assert part in found["posterior_collapse"].measured
    assert found["posterior_collapse"].severity == "problem"


def test_of_a_run_whose_first_rows_are_older_the_beginning_is_not_known(spoilt):
    def later(rows):
        made = rewritten({"z 1": [0.0] * 6, "z 2": [0.0] * 6})(rows)
        return [{k: v for k, v in row.items() if i > 1 or k != "valid/rates"} for i, row in enumerate(made)]

    measured = spoilt(weights=SILENT, rows=later)["posterior_collapse"].measured
    assert "z 1, z 2 since epoch 3 of 6 at least" in measured


def test_of_older_rows_the_rate_of_all_together_is_told(spoilt):
    def older(rows):
        return [{"epoch": row["epoch"], "step": row["step"], "valid/rate": 0.01} for row in rows]

    found = spoilt(weights=SILENT, rows=older)
    assert "The rate is below 0.1 nats since epoch 1 of 40" in found["posterior_collapse"].measured


def test_a_heavy_rate_empties_all_latents(trained):
    run, splits = trained(world(), "beta_vae", beta=200.0)
    found = by_key(examine_run(run.path, data=splits))
    assert {"posterior_collapse", "rate_too_strong"} <= set(bad(found))
    assert "Since when: z " in found["posterior_collapse"].measured
    assert "200" in found["rate_too_strong"].measured


def test_noise_has_nothing_to_encode(trained):
    run, splits = trained(noise(), "beta_vae", beta=4.0, epochs=20)
    found = by_key(examine_run(run.path, data=splits))
    assert "nothing_to_encode" in found
    assert bad(found) == []


# -- likelihoods, codebooks, games, by real trainings -----------------------------------------------------


def test_coins_for_greys(trained):
    """`not_binary`: values lie between 0 and 1; `grey_levels`: they vary less than coins of their mean."""
    run, splits = trained(greys(), likelihood="cross_entropy", epochs=10)
    found = by_key(examine_run(run.path, data=splits))
    assert found["not_binary"].severity == "note"
    assert "100.0 % of the held-out values lie between 0 and 1" in found["not_binary"].measured
    assert found["grey_levels"].severity == "note"
    ratio = float(re.search(r"have ([\d.e-]+) \+-", found["grey_levels"].measured)[1])
    x = splits.test.take(range(100))["x"]
    assert ratio < 0.05
    assert "correlated_residuals" in found  # all pixels of a picture are light or dark together
    assert ratio == pytest.approx(float(x.var(0).mean() / (x * (1 - x)).mean()), rel=0.3)


def test_codes_without_use_are_spare(trained):
    """And where the encoder says the same of all data, the codebook has collapsed."""
    run, splits = trained(clusters(), "vq_vae", **CODES)
    found = by_key(examine_run(run.path, data=splits))
    change_weights(run.path, {"posteriors.*output_layer.weight": torch.zeros_like})
    collapsed = by_key(examine_run(run.path, data=splits))["codebook_collapse"]
    assert "perplexity 1.0 of 64; 1 occur" in collapsed.measured
    assert found["spare_codes"].severity == "note"
    assert "of 64; 5 occur in 1 positions of 100 held-out data" in found["spare_codes"].measured
    assert "codebook_collapse" not in found


def test_a_game_whose_critic_learns_faster(tmp_path):
    """The loss of the decoder runs away from its best: the critic gets better, and it does not."""
    run = vaekit.train(
        "vae_gan", "digits", out=tmp_path / "run", device="cpu", latents=2, hidden=(32, 32), epochs=8,
        batch_size=50, data_options={"kind": "unit", "binarise": "none", "limit": 300},
    )  # fmt: skip
    losses = [row["train/decoder/loss"] for row in run.metrics()]
    assert losses[-1] > losses[0]
    found = by_key(examine_run(run.path))
    assert "the loss of decoder has risen by" in found["unstable_game"].measured


def test_too_few_data_are_learnt_by_heart(trained):
    run, splits = trained(world(30), hidden=(100,), epochs=200, weights="last")
    found = by_key(examine_run(run.path, data=splits))
    assert "overfitting" in bad(found)
    assert "100 held-out data" in found["overfitting"].measured


def test_a_variance_that_is_given_and_wrong(trained):
    run, splits = trained(world(), likelihood="gaussian_fixed")
    found = by_key(examine_run(run.path, data=splits))
    assert "variance_too_large" in bad(found)
    assert found["one_variance_for_all"].severity == "note"


def test_a_training_that_was_too_short(trained):
    run, splits = trained(world(), epochs=8, learning_rate=1e-3)
    found = by_key(examine_run(run.path, data=splits))
    assert found["still_learning"].severity == "note"
    assert bad(found) == []


# -- weights and records that were changed ----------------------------------------------------------------


def shifted(by: float) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda value: value + by


@pytest.mark.parametrize(
    ("weights", "key", "severity"),
    [
        ({"likelihood.*hidden.0.weight": lambda w: w + torch.tensor(float("nan"))}, "not_finite", "problem"),
        ({"likelihood.*hidden.0.weight": lambda w: 1e6 * w}, "extreme_weights", "problem"),
        ({"likelihood.*hidden.0.weight": torch.zeros_like}, "decoder_ignores_latents", "problem"),
        ({"posteriors.*hidden.0.bias": shifted(-1000.0)}, "dead_units", "warning"),
        ({"likelihood.head": shifted(-2.0)}, "variance_too_small", "problem"),
        ({"likelihood.head": shifted(2.0)}, "variance_too_large", "problem"),
        ({"likelihood.*output_layer.bias": shifted(20.0)}, "worse_than_constant", "warning"),
        (
            {"posteriors.*output_layer.bias": lambda b: b - torch.tensor([0.0, 0.0, 12.0, 12.0])},
            "latents_cost_too_much",
            "warning",
        ),
        (  # one latent of two says nothing any more
            {
                "posteriors.*output_layer.weight": lambda w: w * torch.tensor([[0.0], [1.0], [0.0], [1.0]]),
                "posteriors.*output_layer.bias": lambda b: b * torch.tensor([0.0, 1.0, 0.0, 1.0]),
            },
            "collapsed_latents",
            "warning",
        ),
        (
            {"posteriors.*output_layer.bias": lambda b: b + torch.tensor([0.4, 0.4, 0.3, 0.3])},
            "amortisation_gap",
            "warning",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_weights_that_were_spoilt(spoilt, weights, key, severity):
    found = spoilt(weights=weights)
    assert key in found, sorted(found)
    assert found[key].severity == severity
    assert found[key].measured


@pytest.fixture
def with_a_far_datum(spoilt, sound):
    """What is found where number 17 of 100 test data has one value everywhere."""
    _, splits = sound

    def find(value: float):
        x = splits.test.take(range(100))["x"].clone()
        x[17] = value
        return spoilt(data=Splits(splits.train, splits.valid, ArrayData(splits.spec, x)))

    return find


def test_a_datum_far_from_all_others_outweighs_them(with_a_far_datum):
    assert "The worst are number 17" in with_a_far_datum(1e3)["outliers"].measured


def test_a_datum_beyond_all_numbers_has_no_loss(with_a_far_datum):
    found = with_a_far_datum(1e30)["loss_not_finite"].measured
    assert "1 of 100 test data, the first of them number 17" in found


def test_noise_with_heavy_tails(spoilt, sound):
    """A tenth of the values has ten times the noise: most are in the middle, and a few far out."""
    _, splits = sound
    generator = torch.Generator().manual_seed(1)

    def noisy(data: ArrayData) -> ArrayData:
        x = data.take(range(len(data)))["x"]
        rare = torch.rand(x.shape, generator=generator) < 0.1
        return ArrayData(data.spec, x + 3 * rare * torch.randn(x.shape, generator=generator))

    found = spoilt(data=Splits(*(noisy(part) for part in (splits.train, splits.valid, splits.test))))
    assert "heavy_tails" in found
    assert "the excess kurtosis is" in found["heavy_tails"].measured


def test_coins_that_are_certain_and_wrong(trained):
    """Logits fifty times too large: single pixels cost all that there is to pay."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.rand(2, 1, 4, 4, generator=generator)

    def make(n: int) -> torch.Tensor:
        return torch.bernoulli(mean[torch.randint(2, (n,), generator=generator)], generator=generator)

    run, splits = trained(splits_of(Spec("coins", (1, 4, 4), "binary", 400), make), epochs=10)
    assert {"saturated", "overconfident"}.isdisjoint(by_key(examine_run(run.path, data=splits)))
    for part in ("weight", "bias"):
        change_weights(run.path, {f"likelihood.*output_layer.{part}": lambda w: 50 * w})
    found = by_key(examine_run(run.path, data=splits))
    assert {"saturated", "overconfident"} <= set(bad(found))


def test_samples_from_where_no_datum_lies(trained):
    """The rate hardly counts: codes are five points, far outside of the prior."""
    run, splits = trained(clusters(), "beta_vae", beta=1e-3, epochs=60)
    found = by_key(examine_run(run.path, data=splits))
    assert "100 held-out data from as many draws from the prior" in found["prior_holes"].measured


def test_every_finding_is_planted():
    """A key that no test names could be taken away unnoticed."""
    keys = set()
    for path in Path(run_module.__file__).parent.glob("run*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "key":
                found = [leaf.value for leaf in ast.walk(node.value) if isinstance(leaf, ast.Constant)]
                keys |= {value for value in found if isinstance(value, str)}
    assert len(keys) > 30
    told = Path(__file__).read_text()
    assert [key for key in sorted(keys) if f'"{key}"' not in told] == []


@pytest.fixture(scope="module")
def game(trained):
    """A game, to be given other rows."""
    return trained(world(), "factor_vae", critic=(6,), epochs=1)


@pytest.mark.parametrize(
    ("name", "values", "key", "words"),
    [
        ("critic/cross_entropy", [0.6, 0.3] + [0.01] * 6, "critic_wins", "pays 0.01 nats"),
        ("vae/loss", [19.0, 1.0] * 6, "unstable_game", "from epoch to epoch"),
    ],
)
def test_games_from_planted_rows(game, name, values, key, words):
    """A critic that is always right takes more steps than a test has."""
    run, splits = game
    row = run.metrics()[0]
    assert f"train/{name}" in row
    rows = [{**row, "epoch": i + 1, f"train/{name}": value} for i, value in enumerate(values)]
    kept = (run.path / "metrics.jsonl").read_text()
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = by_key(examine_run(run.path, data=splits))
    (run.path / "metrics.jsonl").write_text(kept)
    assert words in found[key].measured
    assert found[key].severity == "warning"


def test_runs_that_were_stopped_and_runs_without_their_data(spoilt, sound):
    found = spoilt(record={"status": "interrupted"})
    assert found["unfinished"].severity == "note"
    assert list(by_key(examine_run(sound[0].path))) == ["no_data"]


# -- what cannot be looked at -----------------------------------------------------------------------------


def test_one_note_lists_what_could_not_be_checked(trained):
    run, splits = trained(world(), "full_covariance_vae", epochs=2)
    assert "not_checked" not in by_key(examine_run(run.path, data=splits))
    run, splits = trained(world(), "wae_mmd", epochs=2)
    findings = [f for f in examine_run(run.path, data=splits) if f.key == "not_checked"]
    assert len(findings) == 1
    assert findings[0].severity == "note"
    assert "over-fitting" in findings[0].measured
    assert "the amortisation gap" in findings[0].measured
    assert "no density" in findings[0].measured


def test_a_run_without_rows_says_so(spoilt):
    found = spoilt(rows=lambda rows: [])
    assert "the course of the training: the record has no rows of it" in found["not_checked"].measured
    assert bad(found) == []


def test_an_imported_run_is_looked_at(spoilt):
    """It has weights and no history: it is no training that was stopped."""
    found = spoilt(
        record={"status": "imported", "best": None, "imported": {"from": "elsewhere"}},
        weights={"likelihood.head": shifted(2.0)},
        rows=lambda rows: [],
    )
    assert "unfinished" not in found
    assert "variance_too_large" in bad(found)
    assert "not_checked" in found
