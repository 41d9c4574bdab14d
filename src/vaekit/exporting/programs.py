"""A half of a model as a `torch.export` program: one graph for every number of rows, free of this machine."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.exporting.compare import deviations
from vaekit.exporting.parts import ROWS, Decoder, Encoder, Halves, halve
from vaekit.models import Model

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_LEFTOVERS = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn", "original_aten")


@dataclass(frozen=True)
class Programs:
    """Decoder and encoder of a model as files that `torch.export.load` reads, weights included.

    Args:
        decoder: z (N, K) [, c] -> (mean,) or (mean, stddev), as the graphs of `Graphs`.
        encoder: x (N, *event) [, c] -> (mean,) or (mean, stddev); None where it cannot be exported.
        deviations: from the model, of every output, as in `Graphs`.
        notes: what to know, in words for people.

    Warning:
        Load such a file only if you trust where it comes from: torch does not promise that loading is safe.
        vaekit itself never loads one but what it has just written.
    """

    decoder: bytes
    encoder: bytes | None
    deviations: Mapping[str, float]
    notes: tuple[str, ...] = ()


def export_programs(model: Model, spec: Spec) -> Programs:
    """Export a model as two programs of torch, which run where torch is and vaekit is not.

    Args:
        model: a trained model; it stays as it is.
        spec: of its data.

    Raises:
        UnsupportedError: if the model has no decoder that can be exported, with the reason.
    """
    halves = halve(model, spec)
    decoder, found = _saved(halves.decoder, halves)
    try:
        encoder, of_encoder = _saved(halves.encoder, halves)
    except UnsupportedError as error:
        return Programs(decoder, None, found, (str(error),))
    return Programs(decoder, encoder, found | of_encoder)


def _saved(half: Decoder | Encoder, halves: Halves) -> tuple[bytes, dict[str, float]]:
    buffer = io.BytesIO()
    with silently(), torch.no_grad():
        torch.export.save(program_of(half, half.example(halves, ROWS)), buffer)
        buffer.seek(0)
        run = torch.export.load(buffer).module()
    return buffer.getvalue(), deviations(lambda values: run(*values), half, halves)


def program_of(half: Decoder | Encoder, example: tuple[Tensor, ...]) -> ExportedProgram:
    """Trace one half of a model, without the weights that it does not use.

    Args:
        half: a function of tensors with rows first.
        example: tensors to trace it with; their first axis stays open.

    Raises:
        UnsupportedError: if it cannot be traced, or only for one number of rows.
    """
    rows = torch.export.Dim("rows", min=1, max=1 << 20)
    open_axes = {name: {0: rows} for name in half.inputs[: len(example)]}
    try:
        with silently(), torch.no_grad():
            program = torch.export.export(half, example, dynamic_shapes=open_axes, strict=False)
    except Exception as error:  # torch has no one class for what it cannot trace
        raise UnsupportedError(
            f"the {half.role} cannot be traced as one graph for every number of rows: {first_line(error)}"
        ) from error
    return _tidied(program)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _tidied(program: ExportedProgram) -> ExportedProgram:
    """The same program without weights that nothing uses, and without names of files of this machine."""
    from torch.export.graph_signature import InputKind

    graph, signature = program.graph_module.graph, program.graph_signature
    kept = []
    nodes = {node.name: node for node in graph.nodes if node.op == "placeholder"}
    for spec in signature.input_specs:
        node = nodes[spec.arg.name]
        if node.users or spec.kind == InputKind.USER_INPUT or spec.target is None:
            kept.append(spec)
            continue
        graph.erase_node(node)
        program.state_dict.pop(spec.target, None)
        program.constants.pop(spec.target, None)
    signature.input_specs = kept
    for node in graph.nodes:
        for name in _LEFTOVERS:
            node.meta.pop(name, None)
    program.graph_module.recompile()
    return program


@contextmanager
def silently() -> Iterator[None]:
    """Without what torch says about its own tracing: what matters is raised or measured."""
    loggers = [logging.getLogger(name) for name in ("torch", "torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
