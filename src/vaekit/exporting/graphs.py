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
    return trace_graphs(model, spec, names=names).stored(precision)


def trace_graphs(model: Model, spec: Spec, *, names: Sequence[str] | None = None) -> Traced:
    """Trace a model once, for graphs in any precision; see `export_graphs`.

    Raises:
        UnsupportedError: if the model has no decoder that can be exported, with the reason.
        UserError: if a package of the extra `onnx` is missing.
    """
    require()
    halves = halve(model, spec, names)
    decoder = traced(halves.decoder, halves)
    try:
        return Traced(halves, decoder, traced(halves.encoder, halves))
    except UnsupportedError as error:
        return Traced(halves, decoder, None, (str(error),))


@dataclass(frozen=True)
class Traced:
    """A model as two graphs with weights in full.

    Args:
        halves: the model itself.
        decoder: an ONNX file.
        encoder: the same, or None where it cannot be exported.
        notes: why it cannot.
    """

    halves: Halves
    decoder: bytes
    encoder: bytes | None
    notes: tuple[str, ...] = ()

    def stored(self, precision: Precision) -> Graphs:
        """The graphs in a precision, compared with the model.

        Raises:
            UnsupportedError: if the decoder does not agree with the model.
        """
        known("precision", precision, Precision)
        halves, notes = self.halves, list(self.notes)
        decoder, found = stored(self.decoder, halves.decoder, halves, precision)
        encoder = None
        if self.encoder is not None:
            try:
                encoder, of_encoder = stored(self.encoder, halves.encoder, halves, precision)
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


def traced(half: Decoder | Encoder, halves: Halves) -> bytes:
    """One half as an ONNX file with weights in full.

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
    content: bytes = store(made.model_proto, "float32").SerializeToString()
    return content


def stored(
    content: bytes, half: Decoder | Encoder, halves: Halves, precision: Precision
) -> tuple[bytes, dict[str, float]]:
    """An ONNX file in a precision, and how far each of its outputs is from the model's.

    Raises:
        UnsupportedError: if float32 outputs are not the model's.
    """
    import onnx

    from vaekit.exporting.stored import store

    if precision != "float32":
        content = store(onnx.load_from_string(content), precision).SerializeToString()
    return content, deviations(onnx_run(content, half), half, halves, exact=precision == "float32")


def _operation(error: BaseException) -> str:
    """The operation that stopped an export, such as aten.linalg_cholesky_ex; else what the error says."""
    cause: BaseException | None = error
    while cause is not None:
        if found := re.search(r"torch\.ops\.(\w+\.\w+)", str(cause)):
            return found[1]
        cause = cause.__cause__
    return first_line(error)
