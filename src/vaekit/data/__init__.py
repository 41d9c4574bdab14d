"""Data: specs, arrays, streams, named sets. Names are imported when used: `names` needs no torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaekit.data.arrays import ArrayData
    from vaekit.data.batch import Batch, Data, Splits
    from vaekit.data.catalogue import names
    from vaekit.data.dsprites import dsprites_images
    from vaekit.data.factors import FactorData, Grid
    from vaekit.data.fields import flow_fields
    from vaekit.data.grids import GridData, grid_splits
    from vaekit.data.ground import ground_truth, ground_truth_of
    from vaekit.data.identity import fingerprint
    from vaekit.data.loading import load, load_like
    from vaekit.data.pairs import PairData, paired
    from vaekit.data.restore import assemble, original_units, shown
    from vaekit.data.sound import recording, spectrogram
    from vaekit.data.spec import Kind, Sound, Spec
    from vaekit.data.streams import StreamData
    from vaekit.data.text import texts

_HOMES = {
    "ArrayData": "arrays",
    "Batch": "batch",
    "Data": "batch",
    "FactorData": "factors",
    "Grid": "factors",
    "GridData": "grids",
    "Kind": "spec",
    "PairData": "pairs",
    "Sound": "spec",
    "Spec": "spec",
    "Splits": "batch",
    "StreamData": "streams",
    "assemble": "restore",
    "original_units": "restore",
    "dsprites_images": "dsprites",
    "fingerprint": "identity",
    "flow_fields": "fields",
    "grid_splits": "grids",
    "ground_truth": "ground",
    "ground_truth_of": "ground",
    "load": "loading",
    "load_like": "loading",
    "names": "catalogue",
    "paired": "pairs",
    "recording": "sound",
    "shown": "restore",
    "spectrogram": "sound",
    "texts": "text",
}

__all__ = [
    "ArrayData",
    "Batch",
    "Data",
    "FactorData",
    "Grid",
    "GridData",
    "Kind",
    "PairData",
    "Sound",
    "Spec",
    "Splits",
    "StreamData",
    "assemble",
    "dsprites_images",
    "fingerprint",
    "flow_fields",
    "grid_splits",
    "ground_truth",
    "ground_truth_of",
    "load",
    "load_like",
    "names",
    "original_units",
    "paired",
    "recording",
    "shown",
    "spectrogram",
    "texts",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vaekit.data' has no attribute {name!r}")
    value = getattr(import_module(f"vaekit.data.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
