"""CSV and Parquet: every oddity has its line and column."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
import torch

from vaekit.data import Spec, load, load_like, original_units
from vaekit.data.tables import read_table
from vaekit.errors import UserError


def write(tmp_path, text: str | bytes, name: str = "t.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a,b\n1,2\n3,4.5\n", ("a", "b")),
        ("1,2\n3,4.5\n", ("column1", "column2")),
        ("\ufeffa,b\n1,2\n3,4.5", ("a", "b")),
        ("\n\na,b\n\n1,2\n   \n3,4.5\n\n", ("a", "b")),
        ('"a, or so","b\nb"\r\n1,2\r\n"3",4.5\r\n', ("a, or so", "b\nb")),
        ("a;b\n1;2\n3;4.5\n", ("a", "b")),
        ("a\tb\n1\t2\n3\t4.5\n", ("a", "b")),
        ("a, b\n 1, 2\n3 , 4.5 \n", ("a", "b")),
        (",b\n1,2\n3,4.5\n", ("column1", "b")),
        ("2020,b\n1,2\n3,45e-1\n", ("2020", "b")),
    ],
)
def test_read_csv(tmp_path, text, columns):
    table = read_table(write(tmp_path, text))
    assert table.columns == columns
    assert table.values.tolist() == [[1, 2], [3, 4.5]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("a,b\n", "no rows"),
        ("a,b\n1,2\n3\n", "line 3 has 1 values; expected 2"),
        ("a,b\n1,2\n\n3,4,5\n", "line 4 has 3 values"),
        ("a,b\n1,2\n3,\n", "line 3, column 'b': the value is missing"),
        ("a,b\n1,2\nNA,4\n", "line 3, column 'a': the value is missing"),
        ("a,b\n1,nan\n", "line 2, column 'b': the value is missing"),
        ("a,b\n1,2\n1,inf\n", "line 3, column 'b': the value is inf"),
        ("a,b\n1,x\n2,y\n", "line 2, column 'b': 'x' is not a number"),
        ("1,2\n3,x\n", "line 2, column 'column2'"),
        ("1,x\n3,y\n", "line 1, column 'column2': 'x'"),
        ("a,b\n1,1_000\n", "'1_000' is not a number"),
        ("a,a\n1,2\n", "'a' stands twice"),
        (b"a,b\n1,\xff\n", "not UTF-8"),
        ('a,b\n1,"2\n', "line"),
        (b"PK\x03\x04\x00\x01", "not a number|no rows|UTF-8|line"),
    ],
)
def test_csv_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        read_table(write(tmp_path, text))
    assert "t.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_large_finite_values_are_no_overflow(tmp_path):
    assert read_table(write(tmp_path, "1e308,1e308\n1e308,1\n")).values.shape == (2, 2)


def test_label_column(tmp_path):
    rows = "".join(f"{k},{'xyz'[k % 3]},{k * k}\n" for k in range(30))
    path = write(tmp_path, "a,species,b\n" + rows)
    with pytest.raises(UserError, match=r"column 'species': 'x' is not a number.*`labels`"):
        load(path)
    splits = load(path, labels="species", context="labels")
    assert splits.spec.columns == ("a", "b")
    assert splits.spec.class_names == ("x", "y", "z")
    batch = splits.train.take(range(24))
    original = original_units(splits.spec, batch["x"])
    torch.testing.assert_close(original[:, 0].round() % 3, batch["y"].float(), atol=1e-3, rtol=0)
    assert torch.equal(batch["c"].argmax(1), batch["y"])
    with pytest.raises(UserError, match="no column 'genus'"):
        load(path, labels="genus")
    with pytest.raises(UserError, match="line 3: the label 'species' is missing"):
        load(write(tmp_path, "a,species\n1,x\n2,\n"), labels="species")


def test_standardised_with_the_training_rows_only(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(5, 3, (50, 3))
    x[:, 1] = 7.0
    path = write(tmp_path, "a,b,c\n" + "\n".join(",".join(map(repr, row)) for row in x.tolist()))
    splits = load(path)
    spec = splits.spec
    train = splits.train.x.double()
    assert len(train) == 40
    torch.testing.assert_close(train.mean(0), torch.zeros(3).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        train.var(0, correction=0), torch.tensor([1.0, 0, 1]).double(), atol=1e-5, rtol=0
    )
    assert abs(float(splits.test.x[:, [0, 2]].mean())) > 1e-4
    assert spec.scale[1] == 1.0
    assert "constant, and divided by 1 instead: b" in spec.note
    assert "training mean" in spec.note
    everything = torch.cat(
        [original_units(spec, part.x) for part in (splits.train, splits.valid, splits.test)]
    )
    torch.testing.assert_close(everything.sort(0).values, torch.from_numpy(x).float().sort(0).values)
    assert Spec.from_json(spec.to_json()) == spec
    plain = load(path, standardise=False)
    assert plain.spec.offset is None
    assert "standardised" not in plain.spec.note
    assert original_units(plain.spec, plain.train.x) is plain.train.x
    # Changing rows outside the training part changes no constant.
    held_out = {row[0] for row in original_units(spec, splits.test.x).tolist()}
    changed = x.copy()
    for k in range(50):
        if any(abs(value - x[k, 0]) < 1e-5 for value in held_out):
            changed[k] += 100
    assert (changed != x).any()
    assert load(changed).spec.offset == load(x).spec.offset
    x[:, 0] += 1
    assert load(x).spec.offset != spec.offset


def test_load_like_finds_columns_by_name(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 2))
    spec = load(write(tmp_path, "a,b\n" + "\n".join(f"{p},{q}" for p, q in x))).spec
    other = write(tmp_path, "b,extra,a\n" + "\n".join(f"{q},9,{p}" for p, q in x), "other.csv")
    data = load_like(other, spec)
    assert len(data) == 30
    torch.testing.assert_close(original_units(spec, data.x), torch.from_numpy(x).float())
    with pytest.raises(UserError, match="no column 'a'"):
        load_like(write(tmp_path, "b,extra\n1,2\n", "less.csv"), spec)
    with pytest.raises(UserError, match=r"shape \(3,\); expected \(2,\)"):
        load_like(np.zeros((4, 3)), spec)
    assert len(load_like(x[:1], spec)) == 1  # one row is enough where nothing is split


def test_binary_and_fractional_tables(tmp_path):
    bits = "".join(f"{k % 2},{k // 2 % 2}\n" for k in range(12))
    assert load(write(tmp_path, bits)).spec.kind == "binary"
    spec = load(write(tmp_path, "".join(f"{k / 12},0.5\n" for k in range(12)))).spec
    assert spec.kind == "real"
    assert (
        load(write(tmp_path, "".join(f"{k / 12},0.5\n" for k in range(12))), kind="unit").spec.kind == "unit"
    )


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    import decimal

    path = tmp_path / "t.parquet"
    columns = {
        "i": pa.array([1, 2, 3], pa.int16()),
        "f": pa.array([0.5, 1.5, 2.5], pa.float32()),
        "b": pa.array([True, False, True]),
        "d": pa.array([decimal.Decimal("1.25")] * 3),
        "word": pa.array(["x", "y", "x"]),
    }
    pq.write_table(pa.table(columns), path)
    with pytest.raises(UserError, match="column 'word' holds string"):
        read_table(path)
    table = read_table(path, "word")
    assert table.columns == ("i", "f", "b", "d")
    assert table.values.tolist() == [[1, 0.5, 1, 1.25], [2, 1.5, 0, 1.25], [3, 2.5, 1, 1.25]]
    assert table.labels.tolist() == ["x", "y", "x"]
    assert len(load(path, labels="word").train) == 1
    for values, message in (
        ([1.0, None, 3.0], "row 1, column 'v': the value is missing"),
        ([1.0, 2.0, float("inf")], "row 2, column 'v': the value is inf"),
    ):
        pq.write_table(pa.table({"v": values}), path)
        with pytest.raises(UserError, match=message):
            read_table(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="as Parquet"):
        read_table(path)


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    original = builtins.__import__

    def without(name, *args):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return original(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"vaekit\[tables\]"):
        read_table(write(tmp_path, b"", "t.parquet"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_are_left_out(tmp_path, suffix):
    """They may hold anything; what a model is shown later may hold them too."""
    path = tmp_path / f"t{suffix}"
    names, rows = ["id", "a", "note", "b"], [[k, k % 3, f"row {k}", k / 7] for k in range(20)]
    if suffix == ".csv":
        path.write_text("\n".join(",".join(map(str, row)) for row in [names, *rows]))
    else:
        pa = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.table({n: [r[k] for r in rows] for k, n in enumerate(names)}), path)
    splits = load(path, drop=("id", "note"))
    assert splits.spec.columns == ("a", "b")
    assert "columns left out: id, note" in splits.spec.note
    with pytest.raises(UserError, match=r"`drop` names 'nots'.*did you mean 'note'"):
        load(path, drop=("nots",))
    with pytest.raises(UserError, match="both `labels` and in `drop`"):
        load(path, labels="a", drop=("a", "note"))
    with pytest.raises(UserError, match="no columns of numbers"):
        load(path, drop=names)
    like = load_like(path, splits.spec)  # the text is not in its way
    assert len(like) == 20
    units = original_units(splits.spec, like.take([3])["x"])
    np.testing.assert_allclose(units[0], [0, 3 / 7], atol=1e-6)


def test_only_columns_with_names_are_left_out():
    with pytest.raises(UserError, match="no table with named columns"):
        load(np.zeros((9, 3)), drop=("a",))
    for name in ("digits", "mini_sprites", "darcy"):
        with pytest.raises(UserError, match=f"{name} has no named columns"):
            load(name, drop=("a",))
