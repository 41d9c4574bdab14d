"""Whether what left is what was there: a graph against the model, on made-up data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vaekit.errors import UnsupportedError
from vaekit.exporting.parts import Decoder, Encoder, Halves

TOLERANCE = 1e-5
"""Largest deviation of float32 numbers from the model's, as a share of the largest number of that output."""

FLIPPED = 0.01
"""Largest share of codes that float32 numbers may choose differently, where two are equally near."""

TRIED = (1, 3, 7)
"""Numbers of rows on which everything is compared."""

Run = Callable[[tuple[Tensor, ...]], Sequence[Tensor]]
"""Tensors in, tensors out: what is compared with a half of a model."""


def deviations(run: Run, half: Decoder | Encoder, halves: Halves, exact: bool = True) -> dict[str, float]:
    """How far the outputs of `run` are from those of a half, on 1, 3 and 7 rows.

    Args:
        run: what left.
        half: what was there.
        halves: of the model.
        exact: whether to refuse what is not equal to rounding.

    Returns:
        Such as "decoder mean" -> the largest deviation, as a share of the largest number of that output; of
        codes the share that differs.

    Raises:
        UnsupportedError: for outputs of another shape or type or that are not finite, and if they are to be
            equal and are not.
    """
    names = [f"{half.role} {name}" for name in half.outputs]
    worst = dict.fromkeys(names, 0.0)
    for rows in TRIED:
        values = half.example(halves, rows)
        with torch.no_grad():
            expected, given = half(*values), run(values)
        for name, found, wanted in zip(names, given, expected, strict=True):
            if found.shape != wanted.shape or found.dtype != wanted.dtype:
                raise UnsupportedError(
                    f"the graph gives {name} as {found.dtype} {tuple(found.shape)}; expected {wanted.dtype} "
                    f"{tuple(wanted.shape)}"
                )
            if half.chooses:
                worst[name] = max(worst[name], float((found != wanted).float().mean()))
            else:
                worst[name] = max(worst[name], _deviation(found, wanted, name))
    for name, deviation in worst.items():
        if exact and not deviation <= (FLIPPED if half.chooses else TOLERANCE):
            raise UnsupportedError(
                f"the graph does not agree with the model: {name} deviates by {deviation:.1e} of its largest "
                f"number; expected {TOLERANCE:.0e} at most"
            )
    return worst


def _deviation(found: Tensor, expected: Tensor, name: str) -> float:
    if not bool(expected.isfinite().all()):
        raise UnsupportedError(
            f"the model gives numbers that are not finite ({name} of made-up data), so there is nothing to "
            "compare a graph with: train it again"
        )
    if not bool(found.isfinite().all()):
        raise UnsupportedError(
            f"the graph does not agree with the model: it gives numbers that are not finite ({name})"
        )
    largest = float(expected.abs().max()) or 1.0
    return float((found - expected).abs().max()) / largest


def onnx_run(content: bytes, half: Decoder | Encoder) -> Run:
    """An ONNX graph as a function of tensors, by onnxruntime on one thread and without a word."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(values: tuple[Tensor, ...]) -> list[Tensor]:
        given = {name: value.numpy() for name, value in zip(half.inputs, values, strict=False)}
        return [torch.from_numpy(found) for found in session.run(list(half.outputs), given)]

    return run
