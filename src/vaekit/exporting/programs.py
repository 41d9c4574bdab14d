"""A half of a model as a `torch.export` program: one graph for every number of rows, free of this machine."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind

from vaekit.errors import UnsupportedError

_LEFTOVERS = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn", "original_aten")


def program_of(half: nn.Module, example: tuple[Tensor, ...], names: tuple[str, ...]) -> ExportedProgram:
    """Trace one half of a model, without the weights that it does not use.

    Args:
        half: a function of tensors with rows first.
        example: tensors to trace it with.
        names: of its arguments; their first axis stays open.

    Raises:
        UnsupportedError: if it cannot be traced, or only for one number of rows.
    """
    rows = Dim("rows", min=1, max=1 << 20)
    try:
        with silently(), torch.no_grad():
            program = torch.export.export(
                half, example, dynamic_shapes={name: {0: rows} for name in names}, strict=False
            )
    except Exception as error:  # torch has no one class for what it cannot trace
        reason = str(error).strip().splitlines()
        raise UnsupportedError(
            f"the {type(half).__name__.lower()} cannot be traced as one graph for every number of rows: "
            f"{reason[0].rstrip('.') if reason else type(error).__name__}"
        ) from error
    return _tidied(program)


def _tidied(program: ExportedProgram) -> ExportedProgram:
    """The same program without weights that nothing uses, and without names of files of this machine."""
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
