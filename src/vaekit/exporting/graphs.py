"""A model as two ONNX graphs, each compared with the model itself before it is handed out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from vaekit.checks import known
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError, UserError
from vaekit.exporting.compare import deviations, onnx_run
from vaekit.exporting.parts import ROWS, Decoder, Encoder, Halves, halve
from vaekit.exporting.programs import first_line, program_of, silently
from vaekit.models import Model

Precision = Literal["float32", "float16", "int8"]
"""How weights are stored. Inputs, outputs and all that is computed are float32 in each."""

OPSET = 18
"""Version of the operators: old enough for every runtime of the last years."""


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
    decoder, found = exported(halves.decoder, halves, precision)
    encoder = None
    try:
        encoder, of_encoder = exported(halves.encoder, halves, precision)
    except UnsupportedError as error:
        notes.append(str(error))
    else:
        found |= of_encoder
    return Graphs(
        decoder=decoder,
        encoder=encoder,
        worst=max(found.values()),
        deviations=found,
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


def exported(half: Decoder | Encoder, halves: Halves, precision: Precision) -> tuple[bytes, dict[str, float]]:
    """One half as an ONNX file, and how far each of its outputs is from the model's.

    Raises:
        UnsupportedError: if it cannot be exported, with the reason.
    """
    from vaekit.exporting.stored import store

    example = half.example(halves, ROWS)
    program = program_of(half, example)
    try:
        with silently(), torch.no_grad():
            made = torch.onnx.export(
                program,
                dynamo=True,
                input_names=list(half.inputs[: len(example)]),
                output_names=list(half.outputs),
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # the exporter has many classes, none of them public
        raise UnsupportedError(
            f"the {half.role} has an operation that ONNX has no counterpart for: {_operation(error)}"
        ) from error
    if made is None:
        raise UnsupportedError(f"the {half.role} cannot be exported: torch made no ONNX program of it")
    content: bytes = store(made.model_proto, precision).SerializeToString()
    return content, deviations(onnx_run(content, half), half, halves, exact=precision == "float32")


def _operation(error: BaseException) -> str:
    """The operation that stopped an export, such as aten.linalg_cholesky_ex; else what the error says."""
    cause: BaseException | None = error
    while cause is not None:
        if found := re.search(r"torch\.ops\.(\w+\.\w+)", str(cause)):
            return found[1]
        cause = cause.__cause__
    return first_line(error)
