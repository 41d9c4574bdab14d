"""A model as two ONNX graphs, each compared with the model itself before it is handed out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from vaekit.checks import known
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError, UserError
from vaekit.exporting.parts import ROWS, Decoder, Encoder, Halves, halve
from vaekit.exporting.programs import program_of, silently
from vaekit.models import Model

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch.export import ExportedProgram

Precision = Literal["float32", "float16", "int8"]
"""How weights are stored. Inputs, outputs and all that is computed are float32 in each."""

OPSET = 18
"""Version of the operators: old enough for every runtime of the last years."""

TOLERANCE = 1e-5
"""Largest deviation of a float32 graph from the model, as a share of the largest number of that output."""

FLIPPED = 0.01
"""Largest share of codes that a float32 graph may choose differently, where two are equally near."""

_TRIED = (1, 3, 7)


@dataclass(frozen=True)
class Graphs:
    """Decoder and encoder of a model as ONNX files, weights included.

    Args:
        decoder: z (N, K) [, c (N, *context)] -> mean (N, *event) [, stddev (N, *event)]; N is open. z holds
            all latents side by side in the order of `columns`, int64 where they are codes.
        encoder: x (N, *event) [, c] -> mean (N, K) [, stddev (N, K)]; None where it cannot be exported.
        worst: largest deviation from the model on made-up data, as a share of the largest number of that
            output; of codes, the share that differs.
        deviations: the same for every output, such as "decoder mean".
        columns: names of the K columns of the codes.
        precision: how weights are stored.
        notes: what to know, in words for people.
    """

    decoder: bytes
    encoder: bytes | None
    worst: float
    deviations: Mapping[str, float] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    precision: Precision = "float32"
    notes: tuple[str, ...] = ()


def export_graphs(
    model: Model, spec: Spec, *, precision: Precision = "float32", names: Sequence[str] | None = None
) -> Graphs:
    """Export a model to ONNX.

    Every graph is run by onnxruntime on 1, 3 and 7 rows and compared with the model.

    Args:
        model: a trained model; it stays as it is.
        spec: of its data.
        precision: how weights are stored: float16 takes half the room and int8 a quarter.
        names: latents that the codes hold; by default all. The others stand at the mean of their prior.

    Raises:
        UnsupportedError: if the model has no decoder that can be exported, with the reason.
        UserError: if a package of the extra `onnx` is missing.
    """
    known("precision", precision, Precision)
    require()
    halves = halve(model, spec, names)
    notes: list[str] = []
    decoder, deviations = _exported(halves.decoder, halves, precision)
    encoder = None
    try:
        encoder, of_encoder = _exported(halves.encoder, halves, precision)
    except UnsupportedError as error:
        notes.append(str(error))
    else:
        deviations |= of_encoder
    return Graphs(
        decoder=decoder,
        encoder=encoder,
        worst=max(deviations.values()),
        deviations=deviations,
        columns=tuple(halves.columns),
        precision=precision,
        notes=tuple(notes),
    )


def require() -> None:
    """See that the packages are there that exporting needs.

    Raises:
        UserError: if one is missing.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(name)
        except ImportError as error:
            raise UserError(
                f"exporting to ONNX needs the package {name}: python -m pip install 'vaekit[onnx]'"
            ) from error


def _exported(
    half: Decoder | Encoder, halves: Halves, precision: Precision
) -> tuple[bytes, dict[str, float]]:
    from vaekit.exporting.stored import store

    role = "decoder" if isinstance(half, Decoder) else "encoder"
    given = halves.codes if role == "decoder" else halves.data
    example = given(ROWS)
    arguments = ("z" if role == "decoder" else "x", "c")[: len(example)]
    outputs = ("mean", "stddev")[: 1 + half.spreads]
    proto = _proto(program_of(half, example, arguments), arguments, outputs, role)
    proto = store(proto, precision)
    content: bytes = proto.SerializeToString()
    found = _compared(content, half, [given(rows, seed=rows) for rows in _TRIED], arguments, outputs, role)
    if precision == "float32":
        for name, deviation in found.items():
            codes = halves.discrete and role == "encoder"
            if not deviation <= (FLIPPED if codes else TOLERANCE):
                raise UnsupportedError(
                    f"the graph of the {role} does not agree with the model: {name} deviates by "
                    f"{deviation:.1e} of its largest number; expected {TOLERANCE:.0e} at most"
                )
    return content, found


def _proto(
    program: ExportedProgram, arguments: tuple[str, ...], outputs: tuple[str, ...], role: str
) -> ModelProto:
    try:
        with silently(), torch.no_grad():
            made = torch.onnx.export(
                program,
                dynamo=True,
                input_names=list(arguments),
                output_names=list(outputs),
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # the exporter has many classes, none of them public
        reason = str(error.__cause__ or error).strip().splitlines()
        raise UnsupportedError(
            f"the {role} has an operation that ONNX has no counterpart for: "
            f"{reason[0].rstrip('.') if reason else type(error).__name__}"
        ) from error
    if made is None:
        raise UnsupportedError(f"the {role} could not be exported: torch gave no program")
    return made.model_proto


def _compared(
    content: bytes,
    half: Decoder | Encoder,
    given: list[tuple[Tensor, ...]],
    arguments: tuple[str, ...],
    outputs: tuple[str, ...],
    role: str,
) -> dict[str, float]:
    """Deviation of every output, as `Graphs` defines it."""
    session = session_of(content)
    worst = dict.fromkeys((f"{role} {name}" for name in outputs), 0.0)
    for values in given:
        with torch.no_grad():
            expected = half(*values)
        fed = {name: value.numpy() for name, value in zip(arguments, values, strict=True)}
        for name, mine, theirs in zip(worst, session.run(list(outputs), fed), expected, strict=True):
            found = torch.from_numpy(mine)
            if found.shape != theirs.shape or found.dtype != theirs.dtype:
                raise UnsupportedError(
                    f"the graph of the {role} gives {name} as {found.dtype} {tuple(found.shape)}; expected "
                    f"{theirs.dtype} {tuple(theirs.shape)}"
                )
            worst[name] = max(worst[name], _deviation(found, theirs, name))
    return worst


def _deviation(found: Tensor, expected: Tensor, name: str) -> float:
    if not expected.is_floating_point():
        return float((found != expected).float().mean())
    if not bool(expected.isfinite().all()):
        raise UnsupportedError(
            f"the model gives numbers that are not finite ({name} of made-up data), so there is nothing to "
            "compare a graph with: train it again"
        )
    largest = float(expected.abs().max()) or 1.0
    return float((found - expected).abs().max().nan_to_num(torch.inf)) / largest


def session_of(content: bytes) -> Any:
    """An onnxruntime session for a graph, on one thread and without a word."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
