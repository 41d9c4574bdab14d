"""ONNX graphs are the model: same numbers for any number of rows, nothing else in the file, or a refusal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import vaekit
from vaekit import recipes
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError, UserError
from vaekit.exporting import export_graphs, graphs, spread
from vaekit.exporting.compare import TOLERANCE, deviations, onnx_run
from vaekit.exporting.graphs import Traced, stored, traced
from vaekit.exporting.parts import halve

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")

FLAT = Spec("toy", (1, 4, 4), "binary", 40)


def session(path):
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def flat():
    torch.manual_seed(0)
    return recipes.vae(FLAT, latents=3, hidden=(8,)).model.eval()


@pytest.mark.parametrize("rows", [1, 2, 5, 64])
def test_graphs_give_what_the_model_gives(onnx_folder, run, rows):
    model = run.model()
    z = torch.randn(rows, 3)
    x = torch.randint(2, (rows, 1, 8, 8)).float()
    mean, stddev = session(onnx_folder / "decoder.onnx").run(["mean", "stddev"], {"z": z.numpy()})
    with torch.no_grad():
        p, q = model.decode({"z": z}), model.posterior({"x": x})["z"]
    assert torch.allclose(torch.from_numpy(mean), p.mean, atol=1e-6)
    assert torch.allclose(torch.from_numpy(stddev), p.stddev, atol=1e-6)
    mean, stddev = session(onnx_folder / "encoder.onnx").run(["mean", "stddev"], {"x": x.numpy()})
    assert torch.allclose(torch.from_numpy(mean), model.encode({"x": x})["z"], atol=1e-5)
    assert torch.allclose(torch.from_numpy(stddev), q.stddev, atol=1e-5)


def test_export_json_says_what_goes_in_and_comes_out(onnx_folder):
    about = json.loads((onnx_folder / "export.json").read_text())
    for role in ("decoder", "encoder"):
        graph = session(onnx_folder / about[role]["file"])
        for said, there in (
            (about[role]["inputs"], graph.get_inputs()),
            (about[role]["outputs"], graph.get_outputs()),
        ):
            assert [part["name"] for part in said] == [part.name for part in there]
            assert [part["shape"][1:] for part in said] == [part.shape[1:] for part in there]
            assert all(part.shape[0] == "N" for part in there)  # rows are open
            types = {"float32": "tensor(float)", "int64": "tensor(int64)"}
            assert [types[part["type"]] for part in said] == [part.type for part in there]
    assert about["latents"] == [{"name": "z", "shape": [3], "columns": [0, 3], "codes": None}]
    assert about["prior"] == "standard normal"
    assert max(about["deviations"].values()) <= TOLERANCE
    assert about["data"]["shape"] == [1, 8, 8]


def test_the_page_of_a_folder_runs_in_it(onnx_folder, monkeypatch, capsys):
    assert sorted(path.name for path in onnx_folder.iterdir()) == [
        "README.md", "decoder.onnx", "encoder.onnx", "export.json",
    ]  # fmt: skip
    [code] = re.findall(r"```python\n(.*?)```", (onnx_folder / "README.md").read_text(), re.DOTALL)
    assert "vaekit" not in code
    monkeypatch.chdir(onnx_folder)
    exec(code, {})  # our own page
    assert capsys.readouterr().out == "(4, 1, 8, 8)\n(4, 3)\n"


def test_files_hold_nothing_but_what_is_computed(onnx_folder):
    homes = [str(Path(vaekit.__file__).parent), str(Path(torch.__file__).parent), str(Path.home()), "/tmp"]
    for name in ("decoder.onnx", "encoder.onnx"):
        content = (onnx_folder / name).read_bytes()
        assert not any(home.encode() in content for home in homes)
        proto = onnx.load_from_string(content)
        onnx.checker.check_model(proto)
        assert [entry.domain for entry in proto.opset_import] == [""]
        assert proto.opset_import[0].version == graphs.OPSET
        assert not proto.graph.value_info
        assert not any(node.metadata_props or node.doc_string for node in proto.graph.node)
        weights = sum(np.prod(part.dims) for part in proto.graph.initializer) * 4
        assert len(content) < weights + 3000


def test_weights_in_fewer_bits_are_as_near_as_they_can_be(onnx_folder, run):
    from onnx import numpy_helper

    from vaekit.exporting.stored import store

    content = (onnx_folder / "decoder.onnx").read_bytes()
    halves = halve(run.model(), run.spec)
    exact = {
        part.name: numpy_helper.to_array(part) for part in onnx.load_from_string(content).graph.initializer
    }
    large = {name for name, values in exact.items() if values.size >= 256 and values.dtype == np.float32}
    assert large
    for precision, size, worst in (("float16", 0.7, 2e-3), ("int8", 0.6, 2e-2)):
        proto = store(onnx.load_from_string(content), precision)
        onnx.checker.check_model(proto)
        small = proto.SerializeToString()
        assert Traced(halves, content, None).stored(precision).decoder == small  # traced once, stored twice
        assert len(small) < size * len(content)
        run_it = onnx_run(small, halves.decoder)
        found = deviations(run_it, halves.decoder, halves, exact=False)
        assert 1e-7 < found["decoder mean"] < worst
        with pytest.raises(UnsupportedError, match="does not agree"):
            deviations(run_it, halves.decoder, halves)
        there = {part.name: numpy_helper.to_array(part) for part in proto.graph.initializer}
        for name in large:
            if precision == "float16":
                assert np.array_equal(there[f"{name}.half"], exact[name].astype(np.float16))
                continue
            step = there[f"{name}.scale"]  # of a linear layer: one for each of its outputs
            assert step.shape == (len(exact[name]), 1)
            assert there[f"{name}.bytes"].dtype == np.int8
            assert np.abs(there[f"{name}.bytes"] * step - exact[name]).max() <= 0.5001 * step.max()
            assert np.abs(there[f"{name}.bytes"]).max(axis=1).min() == 127


def test_a_weight_that_half_precision_cannot_hold_stays_as_it_is():
    from onnx import TensorProto, helper, numpy_helper

    from vaekit.exporting.stored import store

    weight = numpy_helper.from_array(np.full((16, 16), 1e5, dtype=np.float32), "w")
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 16]) for name in ("z", "mean")]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["z", "w"], ["mean"])], "g", shapes[:1], shapes[1:], [weight]
    )
    proto = store(helper.make_model(graph), "float16")
    assert [part.name for part in proto.graph.initializer] == ["w"]


def test_codes_are_whole_numbers_side_by_side():
    torch.manual_seed(0)
    model = recipes.vq_vae(FLAT, codes=8, dims=3, hidden=(8,)).model.eval()
    halves = halve(model, FLAT)
    assert halves.levels == {"z": 8}
    assert not halves.encoder.spreads
    content, found = stored(traced(halves.decoder, halves), halves.decoder, halves, "float32")
    assert max(found.values()) <= TOLERANCE
    codes = torch.randint(8, (4, len(halves.columns)))
    mean = onnx_run(content, halves.decoder)((codes,))[0]
    shape = halves.shapes["z"]
    assert torch.allclose(mean, model.decode({"z": codes.view(4, *shape)}).mean, atol=1e-6)
    with pytest.raises(ValueError, match="expected codes"):  # the model itself still looks
        model.decode({"z": codes.view(4, *shape) + 8})


def test_what_deviates_is_refused(flat):
    halves = halve(flat, FLAT)
    half = halves.encoder
    found = deviations(lambda values: half(*values), half, halves)
    assert set(found.values()) == {0.0}
    with pytest.raises(UnsupportedError, match=r"encoder mean deviates by 1\.0e-04"):
        deviations(lambda values: [part * (1 + 1e-4) for part in half(*values)], half, halves)
    with pytest.raises(UnsupportedError, match="expected torch"):
        deviations(lambda values: [part[:1] for part in half(*values)], half, halves)
    with pytest.raises(UnsupportedError, match="expected torch"):
        deviations(lambda values: [part.double() for part in half(*values)], half, halves)
    for wrong in (torch.nan, torch.inf):  # in fewer bits too
        with pytest.raises(UnsupportedError, match="not finite"):
            deviations(lambda values: [part * wrong for part in half(*values)], half, halves, exact=False)  # noqa: B023


def test_a_model_that_broke_is_refused(flat):
    halves = halve(flat, FLAT)
    with torch.no_grad():
        next(halves.decoder.model.likelihood.parameters()).fill_(torch.nan)
    with pytest.raises(UnsupportedError, match="not finite"):
        deviations(lambda values: halves.decoder(*values), halves.decoder, halves)


def test_an_encoder_that_cannot_leave_is_a_note_and_a_decoder_an_error(flat, monkeypatch):
    broken: list[str] = []

    def fake(half, halves):
        if half.role in broken:
            raise UnsupportedError(f"the {half.role} cannot")
        return b"graph"

    def compared(content, half, halves, precision):
        if half.role in apart:
            raise UnsupportedError(f"the {half.role} deviates")
        return content, {f"{half.role} mean": 1e-7}

    apart: list[str] = ["encoder"]
    monkeypatch.setattr(graphs, "traced", fake)
    monkeypatch.setattr(graphs, "stored", compared)
    assert export_graphs(flat, FLAT).notes == ("the encoder deviates",)
    apart.clear()
    assert export_graphs(flat, FLAT).encoder == b"graph"
    broken.append("encoder")
    found = export_graphs(flat, FLAT)
    assert (found.decoder, found.encoder, found.notes) == (b"graph", None, ("the encoder cannot",))
    assert found.worst == 1e-7
    assert found.columns == ("z 1", "z 2", "z 3")
    broken.append("decoder")
    with pytest.raises(UnsupportedError, match="the decoder cannot"):
        export_graphs(flat, FLAT)


def test_a_density_without_latents_has_nothing_to_export():
    prior = recipes.code_prior(Spec("codes", (4, 4), "categorical", 40, levels=8), width=8, blocks=2, heads=2)
    with pytest.raises(UnsupportedError, match="no latents"):
        export_graphs(prior.model, Spec("codes", (4, 4), "categorical", 40, levels=8))


def test_arguments_are_checked(flat):
    with pytest.raises(ValueError, match="float16"):
        export_graphs(flat, FLAT, precision="half")
    with pytest.raises(ValueError, match="expected latents of the model, z"):
        halve(flat, FLAT, names=["y"])


def test_a_missing_package_is_named(flat, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"onnxscript: python -m pip install 'vaekit\[onnx\]'"):
        export_graphs(flat, FLAT)


def test_the_model_stays_as_it_is():
    model = recipes.vae(FLAT, latents=3, hidden=(8,)).model.double().train()
    halves = halve(model, FLAT)
    assert model.training
    assert all(part.dtype == torch.float64 and part.requires_grad for part in model.parameters())
    assert halves.decoder(torch.zeros(2, 3))[0].dtype == torch.float32


def test_latents_that_are_left_out_follow_from_their_prior():
    torch.manual_seed(0)
    model = recipes.hvae(FLAT, latents=(3, 2), hidden=(8,), components=4).model.eval()
    every, upper = halve(model, FLAT), halve(model, FLAT, names=["z2"])
    assert every.columns == ["z1 1", "z1 2", "z1 3", "z2 1", "z2 2"]
    assert upper.columns == ["z2 1", "z2 2"]
    assert not every.standard
    z = torch.randn(4, 2)
    with torch.no_grad():
        assert torch.equal(upper.decoder(z)[0], model.decode({"z2": z}).mean)
        [x] = every.data(3)
        assert torch.equal(upper.encoder(x)[0], every.encoder(x)[0][:, 3:])


def test_a_standard_deviation_is_given_where_there_is_one(flat):
    from vaekit import distributions

    normal = distributions.DiagonalNormal(torch.zeros(2, 3), torch.zeros(3))
    assert torch.equal(spread(normal), torch.ones(2, 3))
    assert spread(distributions.PointMass(torch.zeros(2, 3))) is None
    assert spread(distributions.Categorical(torch.zeros(2, 3, 4))) is None
    assert spread(distributions.OneHot(torch.zeros(2, 3, 4), 2)) is None


def test_structured_residuals_leave_without_their_spread():
    spec = Spec("toy", (1, 4, 4), "unit", 20)
    model = recipes.structured_vae(spec, latents=3, hidden=(8,), neighbourhood=3, start=1).model.eval()
    assert halve(model, spec).decoder.spreads  # while they are one number
    model.likelihood.after_step()
    assert model.likelihood.started
    assert not halve(model, spec).decoder.spreads


def test_text_leaves_as_the_probabilities_of_its_tokens():
    spec = Spec("text", (6,), "categorical", 40, levels=4, vocabulary=("a", "b", "c", " "))
    torch.manual_seed(0)
    model = recipes.vae(spec, latents=3, hidden=(8,)).model.eval()
    halves = halve(model, spec)
    z = torch.randn(5, 3)
    with torch.no_grad():
        found = halves.decoder(z)[0]
        p = model.decode({"z": z})
    assert halves.told == (6, 4)
    assert torch.allclose(found.sum(-1), torch.ones(5, 6))
    assert torch.equal(found.argmax(-1).float(), p.mode)
    levels = Spec("levels", (6,), "categorical", 40, levels=4)  # amounts, not names: these have a mean
    halves = halve(recipes.vae(levels, latents=3, hidden=(8,)).model, levels)
    assert halves.told == (6,)
