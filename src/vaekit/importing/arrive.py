"""A folder from elsewhere as a run directory."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vaekit.api import free_place, load_splits
from vaekit.checkpoint import load_weights
from vaekit.errors import UserError
from vaekit.files import disk_errors, read_json, write_folder, write_json, write_tensors
from vaekit.importing.pythae import Source, is_pythae, read_source, read_state
from vaekit.importing.weights import Weights, converted
from vaekit.randomness import own_stream
from vaekit.runs import (
    FORMAT,
    METRICS,
    PUBLISHED_RECORD,
    PUBLISHED_WEIGHTS,
    RECORD,
    SAMPLERS,
    STAGES,
    WEIGHTS,
    Run,
    build_system,
    find_recipe,
    refuse_occupied,
    versions,
)

_DEEPEST = 4  # stages within stages


def import_folder(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    data: Any = None,
    data_options: dict[str, Any] | None = None,
) -> Run:
    """Make a run directory of a folder from elsewhere; nothing in the folder is executed.

    Folders of Pythae are read where the networks are its standard ones, and folders for the Hugging Face hub
    that vaekit wrote. Encodings, reconstructions, likelihoods and samples are those of the model that was
    trained; what the recipe would train otherwise stands in the record, under "imported".

    Args:
        folder: what Pythae saved (with model_config.json and model.pt), or a folder for the hub.
        out: the run directory; by default the next free name below `runs/`.
        data: what the model was trained on, as for `vaekit.train`, so that the run can be evaluated and
            reported on by itself. Without it, data are taken to lie in [0, 1].
        data_options: arguments of `vaekit.data.load`.

    Returns:
        The run. Its status is "imported": it cannot be trained further.

    Raises:
        UserError: if the folder cannot be read, or is no model that vaekit has; nothing is left behind.
    """
    source = Path(folder)
    if not source.is_dir():
        raise UserError(f"{source} is no folder: give one that Pythae saved a model in, or one for the hub")
    if (theirs := is_pythae(source)) is not None:
        return _from_pythae(read_source(theirs), out, data, data_options or {})
    if (source / PUBLISHED_RECORD).is_file():
        if data is not None or data_options:
            raise UserError(f"{source} says itself what it was trained on: leave the data out")
        return _from_hub(source, out)
    raise UserError(
        f"{source} holds neither model_config.json, as a folder of Pythae does, nor {PUBLISHED_RECORD}, as "
        "one for the hub: expected one of them"
    )


def _from_pythae(source: Source, out: str | Path | None, data: Any, options: dict[str, Any]) -> Run:
    weights = Weights(read_state(source.folder), source.folder / "model.pt")
    state, hidden = converted(weights, source.meaning, source.shape, source.latents)
    splits = None
    about: dict[str, Any] = {"source": None, "options": {}, "fingerprint": ""}
    spec = source.spec()
    told = "the data are not known, and taken to lie in [0, 1]"
    if data is not None:
        splits, about = load_splits(data, options)
        spec, told = splits.spec, "the data were named at the import"
        if spec.shape != source.shape:
            raise UserError(
                f"{spec.name} has data of shape {spec.shape}; {source.folder} expects {source.shape}"
            )
    elif options:
        raise UserError(f"{', '.join(options)} say how to read data: give the data too")
    recipe = find_recipe(source.meaning.recipe)
    with own_stream("cpu", 0):
        system = build_system(recipe, spec, source.arguments(spec, hidden))
    load_weights(system.model, state, source.folder)
    origin = f"imported from Pythae's {source.system}: {told}"
    seed = source.training.get("seed")
    record: dict[str, Any] = {
        "format": FORMAT,
        **system.call,
        "stages": [],
        "spec": spec.to_json() | {"note": "; ".join(filter(None, (spec.note, origin)))},
        "sizes": {} if splits is None else {n: len(getattr(splits, n)) for n in ("train", "valid", "test")},
        "data": about,
        "seed": seed if isinstance(seed, int) and 0 <= seed < 2**63 else 0,
        "training": source.trained(),
        "versions": versions(),
        "status": "imported",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "imported": {
            "from": "Pythae", "system": source.system, "note": origin, "differences": source.differences(),
        },
    }  # fmt: skip

    def fill(draft: Path) -> None:
        write_json(draft / RECORD, record)
        write_tensors(draft / WEIGHTS, system.model.state_dict())

    place = free_place(source.meaning.recipe, spec.name) if out is None else Path(out)
    refuse_occupied(place)
    write_folder(place, fill)
    return Run.open(place, data=splits)


def _from_hub(source: Path, out: str | Path | None) -> Run:
    record = read_json(source / PUBLISHED_RECORD)
    if not isinstance(record, dict) or record.get("library_name") != "vaekit":
        raise UserError(
            f"{source / PUBLISHED_RECORD} is not from vaekit: only such folders for the hub are read"
        )

    def fill(draft: Path) -> None:
        _copy_published(source, draft, _DEEPEST)
        Run.open(draft).model()  # what does not fit together is refused before it has a place

    name = record.get("recipe")
    place = free_place(str(name), "hub") if out is None else Path(out)
    refuse_occupied(place)
    write_folder(place, fill)
    return Run.open(place)


def _copy_published(source: Path, draft: Path, depth: int) -> None:
    """Record, weights and curves, under the names of a run, and the same of its stages and samplers."""
    if depth == 0:
        raise UserError(f"{source} has stages within stages without end: it was damaged or changed")
    record = read_json(source / PUBLISHED_RECORD)
    if not isinstance(record, dict):
        raise UserError(f"{source / PUBLISHED_RECORD} is damaged: expected a JSON object")
    kept = {k: v for k, v in record.items() if k not in ("library_name", "model_type", "loggers")}
    write_json(draft / RECORD, kept | {"status": "imported"})
    for theirs, ours in ((PUBLISHED_WEIGHTS, WEIGHTS), (METRICS, METRICS)):
        if (source / theirs).is_file():
            with disk_errors(source / theirs, "copy"):
                shutil.copyfile(source / theirs, draft / ours)
    for group in (STAGES, SAMPLERS):
        for part in sorted((source / group).iterdir()) if (source / group).is_dir() else ():
            inner = draft / group / part.name
            inner.parent.mkdir(exist_ok=True)
            if (part / PUBLISHED_RECORD).is_file():
                inner.mkdir()
                _copy_published(part, inner, depth - 1)
            elif part.suffix == ".safetensors" and part.is_file():
                with disk_errors(part, "copy"):
                    shutil.copyfile(part, inner)
