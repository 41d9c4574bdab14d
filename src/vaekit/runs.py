"""A run directory: the record of one training, its weights, and what is needed to go on."""

from __future__ import annotations

import contextlib
import inspect
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from vaekit.checkpoint import Tensors, digest, load_weights
from vaekit.data.batch import Splits
from vaekit.data.factors import FactorData
from vaekit.data.spec import Spec
from vaekit.errors import UserError, arguments_of, nearest
from vaekit.files import (
    disk_errors,
    read_json,
    read_lines,
    read_tensors,
    write_json,
    write_lines,
    write_tensors,
)
from vaekit.models import Classifier, Model
from vaekit.randomness import own_stream
from vaekit.system import System
from vaekit.trainer import Training

FORMAT = 1
RECORD, METRICS, WEIGHTS, STATE, REPORT = (
    "run.json", "metrics.jsonl", "weights.safetensors", "state.safetensors", "report.html",
)  # fmt: skip

PUBLISHED_RECORD, PUBLISHED_WEIGHTS = "config.json", "model.safetensors"
"""Names of record and weights in a folder for the Hugging Face hub, which opens as the run it was made of."""

STAGES, SAMPLERS = "stages", "samplers"
"""Folders of later stages, each a run directory, and of what was fitted to the codes afterwards."""

_SLACK = 256 << 20  # bytes that a record may ask for beyond its weights: shapes are compared one by one later

Recipe = Callable[..., System]


class Run:
    """One training, as it lies on the disk.

    Args:
        path: the directory.
        record: the content of run.json.
        recipe: what built the system.
        splits: the data, if they are in memory already.
        writes: whether this process writes the run; of several that train together, one does.
    """

    def __init__(
        self,
        path: Path,
        record: dict[str, Any],
        recipe: Recipe,
        splits: Splits | None = None,
        writes: bool = True,
    ) -> None:
        self.writes = writes
        self.path = path
        self.record = record
        self.recipe = recipe
        self.spec = Spec.from_json(record["spec"])
        self._splits = splits
        self._model: Model | None = None

    @classmethod
    def open(cls, path: str | Path, *, recipe: Recipe | None = None, data: Splits | None = None) -> Run:
        """Open a run directory. Nothing in it is executed.

        Args:
            path: the directory.
            recipe: the function that built the system, if it is not one of vaekit's own.
            data: the data, if the run was trained on data in memory.

        Raises:
            UserError: if it is no run directory, damaged, or of another version.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise UserError(f"{folder} is no run directory: give the folder that `vaekit train` named")
        written = _standing(folder, RECORD, PUBLISHED_RECORD)
        if not written.is_file():
            raise UserError(f"{folder} holds no {RECORD}: it is no run directory")
        record = read_json(written)
        _check_record(record, written)
        build = recipe or find_recipe(record["recipe"])
        try:
            return cls(folder, record, build, data)
        except (ValueError, TypeError) as error:
            raise UserError(f"{written} is damaged: {error}") from error

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        system: System,
        recipe: Recipe,
        splits: Splits,
        data: dict[str, Any],
        training: Training,
        state: Tensors,
        about: dict[str, Any],
    ) -> Run:
        """Make a run directory, whole or not at all.

        Raises:
            UserError: if something stands there already, or the disk refuses.
        """
        record: dict[str, Any] = {
            "format": FORMAT,
            **system.call,
            "stages": [
                {"name": stage.name, "latent": stage.latent, "given": stage.given} for stage in system.stages
            ],
            "spec": splits.spec.to_json(),
            "sizes": {name: len(getattr(splits, name)) for name in ("train", "valid", "test")},
            "data": data,
            "seed": training.seed,
            "training": asdict(training),
            "versions": versions(),
            "status": "running",
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
        }
        refuse_occupied(path)
        with disk_errors(path, "create"):
            path.parent.mkdir(parents=True, exist_ok=True)
            # the process number keeps two runs that start at once apart
            draft = path.parent / f".{path.name}.{os.getpid()}.part"
            draft.mkdir()
        try:
            write_json(draft / RECORD, record)
            write_tensors(draft / STATE, state, about)
            with disk_errors(path, "create"):
                os.rename(draft, path)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return cls(path, record, recipe, splits)

    @property
    def weights(self) -> Path:
        """The file of the weights that are handed out, whether it is there yet or not."""
        return _standing(self.path, WEIGHTS, PUBLISHED_WEIGHTS)

    # -- reading -------------------------------------------------------------------------------------------

    def system(self, device: torch.device | str = "cpu") -> System:
        """The system as the recipe wires it, freshly initialised from the run's seed.

        Raises:
            UserError: if the recorded call no longer builds a system.
        """
        self.refuse_oversize()
        with own_stream(device, self.record["seed"]):
            return build_system(self.recipe, self.spec, self.record["arguments"], device)

    def refuse_oversize(self) -> None:
        """Refuse a record that asks for more weights than the run holds, before any memory is taken.

        Raises:
            UserError: if it does.
        """
        files = [file for file in (self.weights, self.path / STATE) if file.is_file()]
        stored = max((file.stat().st_size for file in files), default=0)
        with own_stream():
            sketch = build_system(self.recipe, self.spec, self.record["arguments"], "meta").model.state_dict()
        asked = sum(value.numel() * value.element_size() for value in sketch.values())
        if asked > stored + _SLACK:
            raise UserError(
                f"{self.path} does not fit together: {RECORD} asks for {asked:,} bytes of weights, and the "
                f"files hold {stored:,}: it was damaged or changed"
            )

    def model(self) -> Model:
        """The trained model with its best weights, in eval mode on the CPU."""
        if self._model is None:
            if not self.weights.exists():
                raise UserError(
                    f"{self.path} has no {WEIGHTS} yet: finish the training with `vaekit resume {self.path}`"
                )
            model = self.system().model
            weights, _ = read_tensors(self.weights)
            load_weights(model, weights, self.weights)
            model.eval()
            self._model = model
        return self._model

    def data(self) -> Splits:
        """The data of the run, read again from where they came.

        Raises:
            UserError: if they were in memory, or are no longer what they were.
        """
        if self._splits is None:
            from vaekit.data import fingerprint, load

            if "latent" in self.record["data"]:
                self._splits = self._codes()
                return self._splits
            source = self.record["data"].get("source")
            if source is None and "imported" in self.record:
                raise UserError(
                    f"{self.path} was imported without its data: import it again with `data`, or name data "
                    "that are like them"
                )
            if source is None:
                raise UserError(
                    f"{self.path} was trained on data in memory, which the run does not hold: pass them as "
                    "`data`"
                )
            with arguments_of(f"the data options in {self.path / RECORD}"):
                splits = load(source, **self.record["data"].get("options", {}))
            same = fingerprint(splits.train) == self.record["data"]["fingerprint"]
            # the note is words for people, which may be put better from one version to the next
            if replace(splits.spec, note="") != replace(self.spec, note="") or not same:
                raise UserError(
                    f"the data at {source} changed since {self.path} was trained on them: put the former "
                    "data back, or train again"
                )
            self._splits = splits
        return self._splits

    def ground_truth(self) -> FactorData:
        """The known factors that the data of the run were made from.

        Raises:
            UserError: if they are not known, or the data cannot be had.
        """
        from vaekit.data import ground_truth_of

        return ground_truth_of(self.data())

    def _codes(self) -> Splits:
        """The data of a stage: the codes that the run above it makes of its own data."""
        from vaekit.stages import encoded_splits

        above, about = Run.open(self.path.parent.parent), self.record["data"]
        if digest(above.model(), above.record["data"]["fingerprint"]) != about["fingerprint"]:
            raise UserError(
                f"{above.path} was trained further since {self.path} was trained on its codes: "
                f"`vaekit resume {above.path}` brings its stages up to date"
            )
        return encoded_splits(above.data(), above.model(), about["latent"], about["given"])

    # -- new data ------------------------------------------------------------------------------------------

    def generator(self, sampler: str = "auto") -> Model:
        """The model, whose `generate` draws latents from a sampler of the run.

        A stage on the data themselves has a model of its own, which takes its place.

        Args:
            sampler: "prior"; the name of a sampler that was fitted (`vaekit.fit_sampler`); "stages", the
                run's own; or "auto": the stages if it has any, else the prior.

        Raises:
            UserError: if the run has no such sampler.
        """
        stages = self.record.get("stages") or []
        if sampler == "prior" or (sampler == "auto" and not stages):
            return self.model()
        if sampler in ("auto", "stages"):
            if not stages:
                raise UserError(f"{self.path} has no stages: take the sampler prior, or fit one")
            on_data = [part["name"] for part in stages if part["latent"] is None]
            if on_data:
                return self.stage(on_data[-1]).model()
            return self._composed([(Run.open(self.path / STAGES / part["name"]), part) for part in stages])
        folder = self.path / SAMPLERS
        if (folder / sampler).is_dir():
            stage = Run.open(folder / sampler)
            return self._composed([(stage, stage.record["data"])])
        if (folder / f"{sampler}.safetensors").is_file():
            from vaekit.stages import Composed, read_sampler

            return Composed(self.model(), read_sampler(folder / f"{sampler}.safetensors", sampler)).eval()
        raise UserError(f"{self.path} has no sampler {sampler!r}{nearest(sampler, self.samplers())}")

    def _composed(self, parts: list[tuple[Run, dict[str, Any]]]) -> Model:
        from vaekit.stages import Composed, Stages

        drawn = Stages([
            (stage.model(), about["latent"], about.get("given"), stage.spec.kind == "categorical")
            for stage, about in parts
        ])  # fmt: skip
        return Composed(self.model(), drawn).eval()

    def classifier(self) -> Classifier | None:
        """What tells the class of a datum: the model, a stage on its latents, or None if neither does."""
        from vaekit.stages import OnLatents

        model = self.model()
        if isinstance(model, Classifier):
            return model
        for part in self.record.get("stages") or []:
            if (found := self.stage(part["name"]).classifier()) is not None:
                return found if part["latent"] is None else OnLatents(model, part["latent"], found)
        return None

    def samplers(self) -> list[str]:
        """Names of what `generator` takes."""
        own = ["prior", *(["stages"] if self.record.get("stages") else [])]
        folder = self.path / SAMPLERS
        return own + sorted({path.stem for path in folder.iterdir()} if folder.is_dir() else set())

    def stage(self, name: str) -> Run:
        """The run of a later stage.

        Raises:
            UserError: if there is none of this name.
        """
        names = [part["name"] for part in self.record.get("stages") or []]
        if name not in names:
            raise UserError(f"{self.path} has no stage {name!r}{nearest(name, names)}")
        return Run.open(self.path / STAGES / name)

    # -- what was measured ---------------------------------------------------------------------------------

    def metrics(self) -> list[dict[str, Any]]:
        """One row for every epoch."""
        return read_lines(self.path / METRICS)

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """The last checkpoint."""
        return read_tensors(self.path / STATE)

    # -- writing -------------------------------------------------------------------------------------------

    def save_state(self, tensors: Tensors, about: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        """Write a checkpoint: rows first, so that a state never knows of a row that is not there."""
        self.save_rows(rows)
        if self.writes:
            write_tensors(self.path / STATE, tensors, about)

    def save_rows(self, rows: list[dict[str, Any]]) -> None:
        """Write the rows of the record alone; going on from a checkpoint drops those that came after it."""
        if self.writes:
            write_lines(self.path / METRICS, rows)

    def save_weights(self, model: Model) -> None:
        """Write the weights that are handed out."""
        if self.writes:
            write_tensors(self.path / WEIGHTS, model.state_dict())
        self._model = None

    def remove_drafts(self) -> None:
        """Remove what a killed training was about to write."""
        for draft in self.path.glob(".*.part") if self.writes else ():
            with disk_errors(draft, "remove"):
                draft.unlink(missing_ok=True)

    def update(self, **entries: Any) -> None:
        """Set entries of the record."""
        self.record |= entries
        if self.writes:
            write_json(_standing(self.path, RECORD, PUBLISHED_RECORD), self.record)


def _standing(folder: Path, *names: str) -> Path:
    """The first of these files that is there, or else the one named first."""
    return next((folder / name for name in names if (folder / name).is_file()), folder / names[0])


def find_recipe(name: str) -> Recipe:
    """A recipe of vaekit by its name.

    Raises:
        UserError: if there is none; the nearest name is offered.
    """
    from vaekit import recipes

    if name not in recipes.names:
        raise UserError(f"there is no recipe {name!r}{nearest(name, recipes.names)}")
    found: Recipe = getattr(recipes, name)
    return found


def build_system(
    recipe: Recipe, spec: Spec, arguments: dict[str, Any], device: torch.device | str = "cpu"
) -> System:
    """Call a recipe with arguments that may come from a file or a command line.

    Raises:
        UserError: if an argument is unknown (the nearest name is offered) or refused.
    """
    known = list(inspect.signature(recipe).parameters)[1:]
    for name in arguments:
        if name not in known:
            raise UserError(f"recipe {_name(recipe)!r} has no argument {name!r}{nearest(name, known)}")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    with arguments_of(f"the arguments of recipe {_name(recipe)!r}"), torch.device(device):
        return recipe(spec, **values)


def latest(folder: Path = Path("runs")) -> Path:
    """The run of a folder that was started last.

    Raises:
        UserError: if there is none.
    """
    found = [(path.stat().st_mtime, path.parent) for path in folder.glob(f"*/{RECORD}")]
    started = []
    for changed, path in found:
        with contextlib.suppress(UserError):  # a damaged run is not the one that is meant
            started.append((str(Run.open(path).record.get("started", "")), changed, path))
    if not started:
        raise UserError(
            f"there is no run below {folder}/ here: name a run directory, or `vaekit train` first"
        )
    return max(started)[2]


def refuse_occupied(path: Path) -> None:
    """Refuse to write a run where something stands.

    Raises:
        UserError: if the path exists and is no empty directory.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path} exists already: choose another place with --out, or `vaekit resume {path}`")


def _name(recipe: Recipe) -> str:
    return getattr(recipe, "__name__", "?")


def _check_record(record: Any, path: Path) -> None:
    if not isinstance(record, dict):
        raise UserError(f"{path} is damaged: expected a JSON object")
    if path.name == PUBLISHED_RECORD and record.get("library_name") != "vaekit":
        raise UserError(f"{path} is not from vaekit: {path.parent} is no run directory")
    if record.get("format") != FORMAT:
        raise UserError(
            f"{path} has format {record.get('format')!r}; this version of vaekit reads format {FORMAT}"
        )
    kinds = {"recipe": str, "arguments": dict, "spec": dict, "data": dict, "training": dict, "seed": int}
    for name, kind in kinds.items():
        if not isinstance(record.get(name), kind):
            raise UserError(f"{path} is damaged: {name!r} is missing or no {kind.__name__}")
    if not 0 <= record["seed"] < 2**63:
        raise UserError(f"{path} is damaged: 'seed' is {record['seed']}; expected 0 .. 2^63 - 1")
    for name, allowed in (("source", (str, type(None))), ("options", (dict,)), ("fingerprint", (str,))):
        if not isinstance(record["data"].get(name), allowed):
            raise UserError(f"{path} is damaged: 'data' has no usable {name!r}")


def versions() -> dict[str, str]:
    """Of what decides what comes out."""
    from vaekit import __version__

    return {"vaekit": __version__, "torch": torch.__version__, "python": platform.python_version()}
