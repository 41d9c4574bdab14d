"""A model small enough to be written down: numpy, the same as ONNX, and a payload about it."""

from __future__ import annotations

import base64
import io
from types import SimpleNamespace

import numpy as np

SHAPE = (1, 12, 10)
LATENTS = 3
AREA = 120
COUNT = 40
HOSTILE = '</script><img src=x onerror="window.hurt=1">&<b>\u2028'

_random = np.random.default_rng(0)
W = _random.normal(size=(LATENTS, AREA)).astype(np.float32)
B = _random.normal(size=AREA).astype(np.float32)
V = _random.normal(size=(LATENTS, AREA)).astype(np.float32)
U = (0.2 * _random.normal(size=(AREA, LATENTS))).astype(np.float32)
CODES = _random.normal(size=(COUNT, LATENTS)).astype(np.float32)
DRAWN = _random.normal(size=(30, LATENTS)).astype(np.float32)
GIVEN = _random.normal(size=(3, 30, LATENTS)).astype(np.float32)
WAY = np.array([0.6, -0.8, 0.0], dtype=np.float32)


def decode(z):
    """Means, (N, AREA)."""
    return 1 / (1 + np.exp(-(np.atleast_2d(z).astype(np.float32) @ W + B)))


def spread(z):
    """Standard deviations, (N, AREA)."""
    return 1 / (1 + np.exp(-(np.atleast_2d(z).astype(np.float32) @ V)))


def encode(x):
    """Codes, (N, LATENTS)."""
    return np.atleast_2d(x).astype(np.float32) @ U


def levels(mean):
    """Grey levels as a page shows them: 0 at 0.1, 255 at 0.9."""
    return np.clip((mean - 0.1) / 0.8, 0, 1) * 255


def packed(values):
    """An array as it stands in a payload."""
    values = np.ascontiguousarray(values)
    values = values.astype("<i4" if values.dtype.kind in "iub" else "<f4")
    name = "int32" if values.dtype.kind == "i" else "float32"
    data = base64.b64encode(values.tobytes()).decode()
    return {"dtype": name, "shape": list(values.shape), "data": data}


def unpacked(given):
    """The inverse."""
    kind = {"float32": "<f4", "int32": "<i4"}[given["dtype"]]
    return np.frombuffer(base64.b64decode(given["data"]), dtype=kind).reshape(given["shape"])


def files(decoder, encoder, *notes):
    """What the page needs of exported graphs."""
    return SimpleNamespace(decoder=decoder, encoder=encoder, notes=notes)


def graphs():
    """The model as ONNX."""
    from onnx import TensorProto, helper, numpy_helper

    def model(nodes, given, found, **weights):
        def info(name, *shape):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])

        graph = helper.make_graph(
            nodes,
            "small",
            [info(*given)],
            [info(*each) for each in found],
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        )
        opset = [helper.make_opsetid("", 18)]
        return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()

    node = helper.make_node
    event, flat = np.array([-1, *SHAPE]), np.array([-1, AREA])
    decoder = model(
        [
            node("Gemm", ["z", "w", "b"], ["a"]),
            node("Sigmoid", ["a"], ["s"]),
            node("Reshape", ["s", "event"], ["mean"]),
            node("MatMul", ["z", "v"], ["t"]),
            node("Sigmoid", ["t"], ["u"]),
            node("Reshape", ["u", "event"], ["stddev"]),
        ],
        ("z", LATENTS),
        [("mean", *SHAPE), ("stddev", *SHAPE)],
        w=W,
        b=B,
        v=V,
        event=event,
    )
    encoder = model(
        [node("Reshape", ["x", "flat"], ["f"]), node("MatMul", ["f", "u"], ["mean"])],
        ("x", *SHAPE),
        [("mean", LATENTS)],
        u=U,
        flat=flat,
    )
    return files(decoder, encoder, "The weights are kept in full.")


def given(**changes):
    """The same of a conditional model: codes of the prior belong to one of three conditions each."""
    samplers = [
        {"name": "prior", "codes": packed(GIVEN), "conditional": True, "how": "from the prior"},
        {"name": "mixture", "codes": packed(CODES[::-1]), "conditional": False, "how": "from a mixture"},
    ]
    context = {"values": packed(np.eye(3, dtype=np.float32)), "names": ["left", HOSTILE, "right"]}
    return payload(**{"samplers": samplers, "context": context, **changes})


def sheet():
    """Pictures of the data, eight in a row."""
    from PIL import Image

    _, height, width = SHAPE
    tiles = levels(decode(CODES)).round().astype(np.uint8).reshape(COUNT // 8, 8, height, width)
    buffer = io.BytesIO()
    whole = tiles.transpose(0, 2, 1, 3).reshape(COUNT // 8 * height, 8 * width)
    Image.fromarray(whole).save(buffer, format="PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return {
        "png": f"data:image/png;base64,{data}",
        "width": width,
        "height": height,
        "across": 8,
        "count": COUNT,
    }


def payload(**changes):
    """What the explorer would say of the model."""
    kinds, names = np.arange(COUNT) % 3, ["one", HOSTILE, "three"]
    found = {
        "format": 1,
        "title": f"small {HOSTILE}",
        "facts": [["recipe", "none"], ["data", HOSTILE]],
        "notes": [f"a note {HOSTILE}"],
        "view": "image",
        "shape": list(SHAPE),
        "kind": "unit",
        "levels": None,
        "display": {"low": 0.1, "high": 0.9},
        "columns": None,
        "offset": None,
        "scale": None,
        "vocabulary": None,
        "sound": None,
        "classes": None,
        "latents": [
            {
                "name": f"z {k + 1}",
                "rate": rate,
                "mean": 0.0,
                "std": 1.0,
                "used": rate > 0,
                "low": -3.0,
                "high": 3.0,
            }
            for k, rate in enumerate((0.5, 2.0, 0.0))
        ],
        "order": [1, 0, 2],
        "discrete": False,
        "points": {
            "codes": packed(CODES),
            "pictures": sheet(),
            "values": None,
            "colours": [
                {"name": "label", "kind": "class", "values": packed(kinds), "names": names},
                {"name": "number", "kind": "number", "values": packed(np.arange(COUNT, dtype=np.float32))},
            ],
        },
        "plane": {
            "kind": "pair",
            "axes": [0, 1],
            "components": packed(np.eye(2, 3, dtype=np.float32)),
            "centre": packed(np.zeros(3, dtype=np.float32)),
        },
        "directions": [{"name": f"more {HOSTILE}", "vector": packed(WAY), "how": "made up"}],
        "samplers": [
            {"name": "prior", "codes": packed(DRAWN), "how": "from the prior"},
            {"name": "mixture", "codes": packed(CODES[::-1]), "how": "from a mixture"},
        ],
        "start": packed(CODES[0]),
        "encoder": True,
        "uncertainty": True,
        "context": None,
        "refine": {"steps": 7},
    }
    return {**found, **changes}
