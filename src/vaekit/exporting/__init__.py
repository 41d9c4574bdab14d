"""Leaving vaekit: a trained model as ONNX graphs, torch programs, or a folder for the Hugging Face hub."""

from vaekit.exporting.graphs import Graphs, Precision, Traced, export_graphs, trace_graphs
from vaekit.exporting.parts import posterior_spread, spread, told

__all__ = [
    "Graphs",
    "Precision",
    "Traced",
    "export_graphs",
    "posterior_spread",
    "spread",
    "told",
    "trace_graphs",
]
