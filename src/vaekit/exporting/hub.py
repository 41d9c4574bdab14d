"""A run as a folder for the Hugging Face hub, which opens as the run that it was made of."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vaekit.data.catalogue import names as named_data
from vaekit.data.conditions import conditions_for
from vaekit.data.restore import shown
from vaekit.errors import UnsupportedError, UserError
from vaekit.exporting.card import card
from vaekit.exporting.folders import refuse_other, write_onnx
from vaekit.exporting.graphs import Precision
from vaekit.files import write_bytes, write_folder, write_json, write_text
from vaekit.models import without_withheld
from vaekit.pictures import grid, png
from vaekit.randomness import own_stream
from vaekit.report.pictures import Pixels
from vaekit.runs import METRICS, PUBLISHED_RECORD, PUBLISHED_WEIGHTS, SAMPLERS, STAGES, Run

SEED = 0
_ACROSS, _SAMPLES = 8, 64
_CLIENTS = ("huggingface_hub", "httpx2", "httpx", "httpcore", "requests", "urllib3")


def write_hub(
    run: Run,
    folder: str | Path,
    *,
    graphs: bool = False,
    precision: Precision = "float32",
    repository: str | None = None,
    overwrite: bool = False,
) -> list[str]:
    """Write a folder in the layout of the hub, whole or not at all.

    It holds model.safetensors, config.json, README.md (the model card) and, of pictures, samples.png; later
    stages in folders of their own. `Run.open` reads it. Data are never part of it, nor is where they lay:
    reconstructions, which show data, come only of sets that have a name in vaekit.

    Args:
        run: a run with weights.
        folder: where to.
        graphs: whether ONNX graphs go into `onnx/` too.
        precision: how these store their weights.
        repository: OWNER/NAME, for the card.
        overwrite: whether such a folder that stands there is replaced.

    Returns:
        What was written, one line each.

    Raises:
        UserError: if something stands there, the run has no weights, or the disk refuses.
        UnsupportedError: if graphs are asked for and cannot be made, with the reason.
    """
    target = Path(folder)
    refuse_other(target, overwrite, PUBLISHED_RECORD)
    run.model()  # so that a run without weights is refused before anything is written
    said: list[str] = []

    def fill(draft: Path) -> None:
        _part(run, draft)
        pictures, notes = _pictures(run, draft)
        said.extend(notes)
        if graphs:
            said.extend(
                line.replace(str(draft), str(target))
                for line in write_onnx(run, draft / "onnx", precision=precision)
            )
        write_text(draft / "README.md", card(run, pictures=pictures, graphs=graphs, repository=repository))

    write_folder(target, fill, replace=True)
    names = ", ".join(sorted(path.name for path in target.iterdir()))
    return [f"{target}: {names}", *said]


def _part(run: Run, folder: Path) -> None:
    """Record, weights and curves of a run, and of its stages."""
    write_json(folder / PUBLISHED_RECORD, published(run.record))
    shutil.copyfile(run.weights, folder / PUBLISHED_WEIGHTS)
    if (run.path / METRICS).is_file():
        shutil.copyfile(run.path / METRICS, folder / METRICS)
    for stage in run.record.get("stages") or []:
        inner = folder / STAGES / stage["name"]
        inner.mkdir(parents=True)
        _part(run.stage(stage["name"]), inner)
    if (run.path / SAMPLERS).is_dir():
        for path in sorted((run.path / SAMPLERS).iterdir()):
            if path.is_file() and path.suffix == ".safetensors":
                (folder / SAMPLERS).mkdir(exist_ok=True)
                shutil.copyfile(path, folder / SAMPLERS / path.name)
            elif path.is_dir():
                inner = folder / SAMPLERS / path.name
                inner.mkdir(parents=True)
                _part(Run.open(path), inner)


def published(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a run as others may read it: a data set without a name in vaekit has no source."""
    found = {"library_name": "vaekit", "model_type": record["recipe"], **record}
    found.pop("loggers", None)  # where a tracker of one's own keeps the run
    data = dict(record["data"])
    if not is_named(record) and "source" in data:
        data["source"], data["options"] = None, {}
    return found | {"data": data}


def is_named(record: Mapping[str, Any]) -> bool:
    """Whether the data are a set that vaekit knows by name, so that all can have them."""
    return record["data"].get("source") in [name for name, _ in named_data()]


@torch.no_grad()
def _pictures(run: Run, folder: Path) -> tuple[dict[str, str], list[str]]:
    """Samples, and reconstructions where the data are known to all: file name -> what it shows; and notes."""
    spec, notes = run.spec, list[str]()
    found: dict[str, str] = {}
    held = None
    if is_named(run.record):
        try:
            held = run.data().test
        except UserError as error:
            notes.append(f"no reconstructions: {error}")
    batch = None if held is None or not len(held) else held.take(torch.arange(min(_SAMPLES, len(held))))
    if Pixels.of(spec) is None or (spec.context is not None and batch is None):
        return found, notes
    given = None if held is None or spec.context is None else conditions_for(held, _SAMPLES)
    context = None if given is None else given.values
    try:
        with own_stream("cpu", SEED):
            x = shown(spec, run.generator().generate(_SAMPLES, context))
        across = _ACROSS if given is None or given.across is None else given.across
        _save(run, folder / "samples.png", x, context, across)
        found["samples.png"] = "Draws from the model: means of p(x|z)" + (
            "" if given is None else f", {given.words}"
        )
    except (UnsupportedError, NotImplementedError) as error:
        notes.append(f"no samples: {error}")
    if batch is not None and run.model().names:
        model, c = run.model(), batch.get("c")
        back = shown(spec, model.decode(model.encode(without_withheld(model, batch)), c))
        # each row of data above the row of what comes back
        order = torch.arange(2 * len(back)).view(2, -1)[:, : 2 * _ACROSS].split(_ACROSS, 1)
        rows = torch.cat([half for piece in order for half in piece])
        conditions = None if c is None else torch.cat([c, c])[rows]
        both = torch.cat([batch["x"].to(back.dtype), back])[rows]
        _save(run, folder / "reconstructions.png", both, conditions, _ACROSS)
        found["reconstructions.png"] = "Held-out data, each row above what comes back from its latents"
    return found, notes


def _save(run: Run, path: Path, x: torch.Tensor, c: torch.Tensor | None, across: int) -> None:
    pixels = Pixels.of(run.spec, x)
    if pixels is not None:
        write_bytes(path, png(grid(pixels.values(x, c), across)))


def check_repository(name: str) -> str:
    """OWNER/NAME, if it is of that form.

    Raises:
        UserError: if it is not.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UserError(f"--push is {name!r}; expected OWNER/NAME, such as me/beta-vae-dsprites")
    return name


def push(folder: str | Path, repository: str, *, public: bool = False) -> str:
    """Upload a folder that `write_hub` wrote. A repository that is not there is made, private by default.

    Args:
        folder: the folder.
        repository: OWNER/NAME.
        public: whether a new repository is for all to see.

    Returns:
        The address of the repository.

    Raises:
        UserError: without huggingface_hub, a token or a network, or if the hub refuses.
    """
    api = ready_to_push()
    check_repository(repository)
    try:
        made = api.create_repo(repository, private=not public, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=str(folder),
            commit_message="A model trained with vaekit",
        )
    except Exception as error:
        # its transport has had several names: what is not from there or from the system is a bug of ours
        if not isinstance(error, OSError) and type(error).__module__.split(".")[0] not in _CLIENTS:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"cannot push to {repository}: {reason}: the folder {folder} is whole; export again with "
            "--overwrite to push it"
        ) from error
    return str(made)


def ready_to_push() -> Any:
    """The hub's client, with a token.

    Raises:
        UserError: without the package or a token.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(
            "pushing needs the package huggingface_hub: python -m pip install 'vaekit[hub]'"
        ) from error
    if not huggingface_hub.get_token():
        raise UserError("pushing needs a token of the hub: set HF_TOKEN, or `hf auth login`")
    return huggingface_hub.HfApi()
