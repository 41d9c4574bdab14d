"""The table, what it says, and the page: closed forms, files that read back, nothing that asks a network."""

from __future__ import annotations

import csv
import math
import random
import re

import numpy as np
import pytest

from vaekit.errors import UserError
from vaekit.studies import Study, chain, fixed, product, rows, run, sweep, write_summary, write_table
from vaekit.studies.statistics import rank_correlation, score_names, shares, spread_of, strength_of
from vaekit.studies.summary import summary_html
from vaekit.studies.table import columns, refuse_without_pyarrow


def test_shares_of_a_variance_by_hand():
    # methods at 0 and 10, strengths at -1 and +1 around them, seeds at -2 and +2 around these
    values, methods, cells = [], [], []
    for method in (0, 10):
        for strength in (-1, 1):
            for seed in (-2, 2):
                values.append(float(method + strength + seed))
                methods.append(method)
                cells.append((method, strength))
    found = shares(values, methods, cells)
    total = 25 + 1 + 4
    assert (found.methods, found.strengths, found.seeds) == pytest.approx((25 / total, 1 / total, 4 / total))
    assert (found.runs, found.methods_count, found.cells) == (8, 2, 4)


def test_shares_sum_to_one_however_many_runs_each_has():
    draw = random.Random(0)
    methods = [draw.choice("abc") for _ in range(60)]
    cells = [(method, draw.randrange(4)) for method in methods]
    values = [draw.gauss(ord(method), 1.0) for method in methods]
    found = shares(values, methods, cells)
    assert found.methods + found.strengths + found.seeds == pytest.approx(1.0)
    moved = shares([5 - 3 * value for value in values], methods, cells)
    assert moved.methods == pytest.approx(found.methods)
    alike = shares([1.0, 1.0], ["a", "b"], ["a", "b"])
    assert (alike.methods, alike.strengths, alike.seeds) == (0, 0, 0)
    with pytest.raises(ValueError, match="two methods"):
        shares([1.0, 2.0], ["a", "b"], ["x", "x"])


def test_rank_correlation_is_that_of_scipy():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 8, 40).astype(float), rng.normal(size=40)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic, rel=1e-12)
    assert rank_correlation(a, np.exp(a)) == pytest.approx(1.0)
    assert rank_correlation(a, -a) == pytest.approx(-1.0)
    assert math.isnan(rank_correlation([1.0, 1.0], [1.0, 2.0]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two methods, two strengths, two seeds; one of the runs fails, one is left open."""
    tiny = fixed({
        "data": "digits", "data.limit": 20, "arguments": {"latents": 2, "hidden": [4]},
        "training": {"steps": 2, "batch_size": 10},
    })  # fmt: skip
    beta = product(fixed({"recipe": "beta_vae", "method": "<b>eta"}), sweep({"arguments.beta": [1.0, 4.0]}))
    dip = product(fixed({"recipe": "dip_vae"}), sweep({"arguments.lambda_od": [1.0, 5.0]}))
    study = Study.of(
        product(chain(beta, dip), tiny, sweep({"seed": [0, 1]})),
        {"evaluation": {"limit": 10}},
        title="Two <methods>",
    )
    place = tmp_path_factory.mktemp("table") / "s"
    calls = study.calls
    run(Study("part", calls[:-1]), place, workers=0)
    from vaekit.studies.store import Store
    from vaekit.studies.work import failed

    store = Store(place)
    store.write(calls[1], failed(calls[1], "ValueError: <script>"))
    return study, place


def test_one_row_for_every_run_in_the_order_of_the_study(finished):
    study, place = finished
    table = rows(study, place)
    assert [row["hash"] for row in table] == [call.hash for call in study.calls]
    assert [row["status"] for row in table] == ["finished", "failed", *["finished"] * 5, "open"]
    assert [row["seed"] for row in table] == [0, 1] * 4
    assert table[0]["method"] == "<b>eta"
    assert table[0]["arguments.beta"] == 1.0
    assert "arguments.beta" not in table[4]
    assert strength_of(table) == {"<b>eta": "arguments.beta", "dip_vae": "arguments.lambda_od"}
    assert all(name.startswith("evaluation/") for name in score_names(table))
    assert "evaluation/elbo" in score_names(table)
    assert rows(study, place / "nowhere")[0]["status"] == "open"


def test_parquet_and_csv_read_back(finished, tmp_path):
    from pyarrow import parquet

    study, place = finished
    table = rows(study, place)
    write_table(table, tmp_path / "t.parquet")
    write_table(table, tmp_path / "t.csv")
    back = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    with open(tmp_path / "t.csv", newline="") as stream:
        text = list(csv.DictReader(stream))
    assert len(back) == len(text) == 8
    for row, one, other in zip(table, back, text, strict=True):
        assert one["hash"] == other["hash"] == row["hash"]
        assert one["evaluation/elbo"] == row.get("evaluation/elbo")
        assert (float(other["evaluation/elbo"]) if other["evaluation/elbo"] else None) == one[
            "evaluation/elbo"
        ]
        assert one["seed"] == int(other["seed"]) == row["seed"]
    kinds = {name: type(next(v for v in values if v is not None)) for name, values in columns(table).items()}
    assert kinds["arguments.beta"] is float
    assert kinds["arguments.hidden"] is str  # a list, as JSON
    assert kinds["data.standardise"] is bool
    assert "training.clip" not in kinds  # nothing stands in it


def test_columns_of_mixed_types():
    found = columns([{"a": 1, "b": 1, "c": "x", "d": None}, {"a": 2.5, "b": "x", "c": None}])
    assert found == {"a": [1.0, 2.5], "b": ["1", "x"], "c": ["x", None]}


def test_without_pyarrow_the_command_says_so_at_once(monkeypatch):
    monkeypatch.setattr("vaekit.studies.table.find_spec", lambda name: None)
    refuse_without_pyarrow("csv")
    with pytest.raises(UserError, match=r"vaekit\[tables\]"):
        refuse_without_pyarrow("parquet")


def test_the_page_is_whole_and_asks_nobody(finished, tmp_path):
    study, place = finished
    table = rows(study, place)
    write_summary(study, table, tmp_path / "summary.html")
    page = (tmp_path / "summary.html").read_text()
    assert page == summary_html(study, table)  # the same every time
    for heading in (
        "Scores by method",
        "Scores against strength",
        "Where the spread",
        "Which scores",
        "Failures",
    ):
        assert heading in page
    assert "One run is not finished yet" in page
    assert "Two &lt;methods&gt;" in page
    assert "ValueError: &lt;script&gt;" in page
    assert "<script" not in page
    assert "<b>eta" not in page
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page)
    assert "http:" not in page
    assert "https:" not in page
    assert "prefers-color-scheme: dark" in page
    assert not re.findall(r"#0102a\d", page)  # colours of the drawings are those of the page
    found = spread_of([row for row in table if row["status"] == "finished"], "evaluation/elbo")
    assert f"{100 * found.methods:.0f} % method" in page


def test_a_page_of_nothing_yet(tiny):
    study = tiny({"seed": [0, 1]})
    page = summary_html(study, rows(study, "/nonexistent"))
    assert "2 runs are not finished yet" in page


def test_a_score_of_methods_without_strength_has_no_empty_panel(finished):
    study, place = finished
    table = [dict(row) for row in rows(study, place)]
    for i, row in enumerate(list(table)):
        if row["status"] == "finished":
            row["evaluation/only_here"] = None
            alone = {name: value for name, value in row.items() if not name.startswith("arguments.")}
            table.append({**alone, "method": "plain", "evaluation/only_here": float(i)})
    page = summary_html(study, table)
    assert "only_here by method" in page
    assert "Median evaluation/elbo by strength" in page
    assert "Median evaluation/only_here by strength" not in page
