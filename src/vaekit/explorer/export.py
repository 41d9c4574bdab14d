"""The page as one file that holds the model itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vaekit.explorer.assemble import assemble
from vaekit.explorer.loading import subject_of
from vaekit.explorer.payload import payload_of
from vaekit.files import write_text
from vaekit.runs import Run

if TYPE_CHECKING:
    from vaekit.exporting import Graphs, Precision

LARGE = 8_000_000
"""Bytes of a page from which on its weights are stored in half precision, if nobody says otherwise."""


def export_page(run: Run, path: Path, *, precision: Precision | None = None) -> str:
    """Write the page of a run with its decoder and encoder inside, whole or not at all.

    Args:
        run: a trained one.
        path: the file.
        precision: how weights are stored; by default float32, or float16 where the page is larger than
            `LARGE` otherwise.

    Returns:
        What was written, in words.

    Raises:
        UserError: if the run cannot be explored, a package is missing, or the file cannot be written.
        UnsupportedError: if the model cannot be exported, with the reason.
    """
    from vaekit.exporting import trace_graphs

    subject = subject_of(run)
    known = payload_of(subject)

    traced = trace_graphs(subject.model, subject.spec)

    def page(stored: Precision) -> tuple[str, Graphs]:
        graphs = traced.stored(stored)
        encodes = known["encoder"] and graphs.encoder is not None
        return assemble({**known, "encoder": encodes}, graphs=graphs), graphs

    chosen: Precision = precision or "float32"
    text, graphs = page(chosen)
    if precision is None and len(text) > LARGE:
        chosen = "float16"
        text, graphs = page(chosen)
    write_text(path, text)
    size = path.stat().st_size / 1e6
    return (
        f"{path}: {size:.1f} MB, weights in {chosen}; the page computes what the model does to "
        f"{graphs.worst:.0e} of the largest number, and asks no network"
    )
