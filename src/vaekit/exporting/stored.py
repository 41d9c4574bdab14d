"""How a graph is stored: nothing but what is computed, and weights in fewer bits where that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

LEAST = 256
"""Numbers that a weight holds at least to be stored in fewer bits: small ones weigh nothing, biases count."""

_HALF = 65504.0  # the largest number of half precision


def store(proto: ModelProto, precision: str) -> ModelProto:
    """Strip a graph and store its weights as asked; it computes in float32 in any case.

    float16: every large weight, rounded. int8: every large weight w of a matrix product or convolution as
    round(w / s) with one scale s = max |w| / 127 for each output channel; the others as float16.

    Args:
        proto: is changed.
        precision: float32, float16 or int8.
    """
    graph = proto.graph
    strip(proto)
    if precision == "float32":
        return proto
    axes = _channel_axes(graph)
    nodes: list[NodeProto] = []
    for tensor in list(graph.initializer):
        if tensor.data_type != 1 or _size(tensor) < LEAST:  # 1: float32
            continue
        if precision == "int8" and tensor.name in axes:
            nodes += _in_bytes(graph, tensor, axes[tensor.name])
        else:
            nodes += _in_halves(graph, tensor)
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)
    return proto


def strip(proto: ModelProto) -> None:
    """Remove notes: shapes in between, where in a program a node came from, names of files; rows are N."""
    proto.doc_string = ""
    del proto.metadata_props[:]
    graph = proto.graph
    graph.doc_string = ""
    graph.name = "vaekit"
    del graph.metadata_props[:]
    del graph.value_info[:]
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output, *proto.functions):
        part.doc_string = ""
        del part.metadata_props[:]
    for node in graph.node:
        node.name = ""
    for part in (*graph.input, *graph.output):
        part.type.tensor_type.shape.dim[0].dim_param = "N"


def _size(tensor: TensorProto) -> int:
    return int(np.prod(tensor.dims, dtype=np.int64))


def _channel_axes(graph: GraphProto) -> dict[str, int]:
    """Name of a weight -> the axis of its output channels, where all that uses it agrees."""
    found: dict[str, set[int | None]] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            found.setdefault(name, set()).add(_channel_axis(node, place))
    return {name: axes.pop() for name, axes in found.items() if len(axes) == 1 and None not in axes}  # type: ignore[misc]


def _channel_axis(node: NodeProto, place: int) -> int | None:
    flags = {attribute.name: attribute.i for attribute in node.attribute}
    if place != 1:
        return None
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1 if flags.get("group", 1) == 1 else None
    if node.op_type == "Gemm":
        return 0 if flags.get("transB", 0) else 1
    return -1 if node.op_type == "MatMul" else None


def _in_halves(graph: GraphProto, tensor: TensorProto) -> list[NodeProto]:
    from onnx import helper, numpy_helper

    values = numpy_helper.to_array(tensor)
    if np.abs(values).max() > _HALF:  # would become infinite
        return []
    name = tensor.name
    _replace(graph, tensor, {f"{name}.half": values.astype(np.float16)})
    return [helper.make_node("Cast", [f"{name}.half"], [name], to=1)]


def _in_bytes(graph: GraphProto, tensor: TensorProto, axis: int) -> list[NodeProto]:
    from onnx import helper, numpy_helper

    values = numpy_helper.to_array(tensor)
    axis %= values.ndim
    others = tuple(k for k in range(values.ndim) if k != axis)
    scale = np.abs(values).max(axis=others, keepdims=True) / 127
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    name = tensor.name
    stored = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
    _replace(graph, tensor, {f"{name}.bytes": stored, f"{name}.scale": scale})
    # onnxruntime computes these two once, when it loads the graph; DequantizeLinear it would at every call
    return [
        helper.make_node("Cast", [f"{name}.bytes"], [f"{name}.whole"], to=1),
        helper.make_node("Mul", [f"{name}.whole", f"{name}.scale"], [name]),
    ]


def _replace(graph: GraphProto, tensor: TensorProto, by: dict[str, NDArray[Any]]) -> None:
    from onnx import numpy_helper

    graph.initializer.remove(tensor)
    graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in by.items())
