"""One training carried to its end, and the stages and samplers that follow on its latents."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from vaekit.checkpoint import Tensors, digest, pack_system
from vaekit.data.batch import Splits, mix
from vaekit.errors import UserError, arguments_of
from vaekit.files import disk_errors, write_tensors
from vaekit.loggers import Following
from vaekit.models import Model
from vaekit.parallel import Team
from vaekit.randomness import own_stream
from vaekit.runs import SAMPLERS, STAGES, Recipe, Run, build_system, find_recipe
from vaekit.stages import (
    COMPONENTS,
    Composed,
    Encoded,
    Hypersphere,
    Mixture,
    Sampler,
    Stages,
    codes_of,
    encoded_splits,
    only_latent,
)
from vaekit.system import Stage, System
from vaekit.trainer import Fit, Progress, Show, Training

DEFAULT_BUDGET = 2_000_000
"""Data seen by default at most: large sets get fewer epochs than the recipe names."""
LEAST_STEPS = 2_000
"""Steps by default at least: small sets get more epochs than the recipe names."""

SamplerName = Literal["mixture", "hypersphere", "flow", "second"]
"""mixture: ten Gaussians. hypersphere: uniform on a sphere. flow: normalising flow. second: a second VAE."""

_TRAINED = {"flow": "flow_density", "second": "latent_vae"}
_CODES = 50_000  # codes that a sampler is fitted to at most

Started = Callable[[Run], None]


class Stopped(KeyboardInterrupt):
    """A training that was stopped on purpose, and can go on: `path` is the run directory."""

    def __init__(self, path: Path, how: str = "vaekit.resume") -> None:
        super().__init__(f"{path} was stopped; `{how}` goes on with it")
        self.path = path


def default_epochs(system: System, count: int, batch_size: int) -> int:
    """Epochs where nobody says how many: the recipe's, raised for small sets and lowered for large ones.

    Args:
        system: names its epochs.
        count: number of training data.
        batch_size: data per step.
    """
    if system.scheduled:
        return system.epochs
    least = math.ceil(LEAST_STEPS / math.ceil(count / max(1, batch_size)))
    return max(1, min(max(system.epochs, least), DEFAULT_BUDGET // count))


def finish(
    run: Run,
    fit: Fit,
    system: System,
    show: Show | None,
    started: Started | None,
    log: Following | None = None,
) -> Run:
    """Train to the end, then the stages; leave weights and record, and tell the loggers of both."""
    told = Following() if log is None else log

    def save(tensors: Tensors, about: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        run.save_state(tensors, about, rows)
        told.rows(run, rows)

    fit.save = save
    try:
        told.started(run)
        if started is not None:
            started(run)
        fit.run()
        run.save_weights(system.model)
        _wait(fit.team)
        run.update(
            status="stages" if system.stages else "finished",
            seconds=round(fit.at.seconds, 3),
            best={"epoch": fit.at.best_epoch, "value": fit.at.best_value},
        )
        for number, stage in enumerate(system.stages):
            settings, share = _stage_settings(system, fit, number)
            path = run.path / STAGES / stage.name
            _train_stage(
                run, path, stage, system.model, fit.splits, settings, share, show, started, fit.team,
                log=told.within(stage.name),
            )  # fmt: skip
    except KeyboardInterrupt as stop:
        _mark(run, "interrupted")
        told.finished(run, "interrupted")
        raise Stopped(run.path) from stop
    except BaseException:
        with contextlib.suppress(UserError):  # the row of the epoch in which it failed says where
            run.save_rows(fit.rows)
        _mark(run, "failed")
        told.finished(run, "failed")
        raise
    run.update(status="finished")
    told.finished(run, "finished")
    _wait(fit.team)
    return run


def made(team: Team | None, create: Callable[[], Run], recipe: Recipe, data: Splits) -> Run:
    """A new run: of several processes the first creates and writes it, and all have it.

    Args:
        team: the processes that train together, if there are several.
        create: makes the run.
        recipe: what builds the system.
        data: the data of the run.
    """
    if team is None:
        return create()
    mine: list[Run] = []

    def place() -> Path:
        mine.append(create())
        return mine[0].path

    path = team.once(place)
    if mine:
        return mine[0]
    run = Run.open(path, recipe=recipe, data=data)
    run.writes = False
    return run


def check_stages(system: System, splits: Splits, device: torch.device) -> None:
    """Wire every stage once, so that what is wrong with one is refused before anything is trained.

    Raises:
        UserError: as the stage's recipe says.
    """
    for stage in system.stages:
        of = splits.spec
        if stage.latent is not None:
            of = Encoded(splits.train, system.model, stage.latent, stage.given).spec
        with own_stream(device, 0):
            later = build_system(find_recipe(stage.recipe), of, stage.arguments, "meta")
        for mine, theirs in later.inherits.items():
            wanted, found = (
                {key: tuple(value.shape) for key, value in model.get_submodule(name).state_dict().items()}
                for model, name in ((later.model, mine), (system.model, theirs))
            )
            if wanted != found:
                raise UserError(
                    f"the stage {stage.name!r} takes {theirs!r} over from the trained model, and its "
                    "arguments make it of another shape: give both the same latents and networks"
                )


def refuse_heirs(system: System) -> None:
    """Refuse a system that takes trained parts over from another, where there is no other.

    Raises:
        UserError: if it does.
    """
    if system.inherits:
        name = system.call.get("recipe")
        raise UserError(
            f"{name} takes {', '.join(system.inherits.values())} over from a trained model: it is made for a "
            "stage, and trained with the recipe that has this stage, such as id_gan"
        )


def inherit(later: System, model: Model) -> None:
    """Give the system of a stage what it inherits from the model below, which is trained.

    Args:
        later: changed in place.
        model: the trained one.
    """
    for mine, theirs in later.inherits.items():
        later.model.get_submodule(mine).load_state_dict(model.get_submodule(theirs).state_dict())


def _stage_settings(system: System, fit: Fit, number: int) -> tuple[Training, float]:
    """What a stage takes over from the system's training: settings, and the share of its default epochs."""
    training = fit.training
    default = default_epochs(system, len(fit.splits.train), training.batch_size)
    settings = replace(training, seed=mix(training.seed, number), patience=None, accumulate=1)
    return settings, training.epochs / default


def _stage_training(
    stage: Stage, system: System, count: int, settings: Training, share: float, epochs: int | None = None
) -> Training:
    """How the system of a stage is trained on so many data; see `_train_stage`."""
    size = system.batch_size if stage.batch_size is None else stage.batch_size
    if epochs is None:
        named = system if stage.epochs is None else replace(system, epochs=stage.epochs)
        # a schedule of the stage's own is not cut short by the share that its predecessor was given
        share = 1.0 if named.scheduled else share
        epochs = max(1, round(share * default_epochs(named, count, size)))
    with arguments_of(f"the stage {stage.name!r}"):
        return replace(settings, epochs=epochs, batch_size=size)


def _train_stage(
    run: Run,
    path: Path,
    stage: Stage,
    model: Model,
    splits: Splits,
    settings: Training,
    share: float,
    show: Show | None,
    started: Started | None,
    team: Team | None = None,
    epochs: int | None = None,
    log: Following | None = None,
) -> Run:
    """Train a stage in its own directory, or go on with it, unless it is finished.

    Args:
        run: of the model whose latents are the data.
        path: where the stage's run lies or will lie.
        stage: what is trained.
        model: encodes; trained, on the training device.
        splits: the data of the model, on that device.
        settings: of the model's training, with the stage's seed.
        share: of the stage's default epochs; what the user's epochs are of the model's default.
        show, started: as for `vaekit.train`.
        team: the processes that train together, if there are several.
        epochs: exactly so many, where the user said it of this stage.
        log: the loggers of the run, for this stage.
    """
    device = next(model.parameters()).device
    codes = encoded_splits(splits, model, stage.latent, stage.given)
    source: dict[str, Any] = {
        "source": None, "options": {}, "latent": stage.latent, "given": stage.given,
        "fingerprint": digest(model, run.record["data"]["fingerprint"]),
    }  # fmt: skip
    build = find_recipe(stage.recipe)
    earlier = Run.open(path, data=codes) if path.exists() else None
    _wait(team)  # all have looked before one changes what is there
    if earlier is not None:
        earlier.writes = run.writes
        if earlier.record["data"] != source:
            if run.writes:
                with disk_errors(path, "remove"):  # it was trained on the codes of other weights
                    shutil.rmtree(path)
            earlier = None
    with own_stream(device, settings.seed):
        system = build_system(build, codes.spec, stage.arguments, device)
        inherit(system, model)
        training = _stage_training(stage, system, len(codes.train), settings, share, epochs)
        fit = Fit(system, codes, training, save=lambda *_: None, show=show, team=team)

        def create() -> Run:
            tensors, about = pack_system(system)
            fresh = Run.create(
                path, system=system, recipe=build, splits=codes, data=source, training=training,
                state=tensors, about={**about, "at": vars(Progress()), "seen": 0},
            )  # fmt: skip
            fresh.update(device=str(device), processes=1 if team is None else team.size)
            return fresh

        if earlier is None:
            earlier = made(team, create, build, codes)
        elif earlier.record["status"] == "finished":
            return earlier
        else:
            tensors, about = earlier.state()
            fit.restore(tensors, about, earlier.metrics(), earlier.path)
            earlier.remove_drafts()
        return finish(earlier, fit, system, show, started, log)


def stages_in_memory(system: System, fit: Fit, show: Show | None = None) -> Model:
    """Train the stages of a system that is trained, without a run directory.

    Returns:
        The model whose `generate` gives new data: that of the last stage on the data themselves, or the
        system's own, with its latents drawn by the stages where there are any.

    Args:
        system: trained by `fit`.
        fit: its training, whose settings and share of the default epochs the stages take over.
        show: as for `vaekit.train`.
    """
    parts: list[tuple[Model, str, str | None, bool]] = []
    source: Model | None = None
    for number, stage in enumerate(system.stages):
        settings, share = _stage_settings(system, fit, number)
        codes = encoded_splits(fit.splits, system.model, stage.latent, stage.given)
        with own_stream(fit.device, settings.seed):
            built = build_system(find_recipe(stage.recipe), codes.spec, stage.arguments, fit.device)
            inherit(built, system.model)
            training = _stage_training(stage, built, len(codes.train), settings, share)
            Fit(built, codes, training, save=lambda *_: None, show=show).run()
        if stage.latent is None:
            source = built.model
        else:
            parts.append((built.model, stage.latent, stage.given, codes.spec.kind == "categorical"))
    if source is not None:
        return source
    return Composed(system.model, Stages(parts)) if parts else system.model


def fit_sampler(
    run: Run,
    name: SamplerName,
    *,
    seed: int = 0,
    epochs: int | None = None,
    components: int | None = None,
    arguments: dict[str, Any] | None = None,
    show: Show | None = None,
    started: Started | None = None,
) -> Run:
    """Fit a density to the codes of the training data, and keep it with the run.

    `run.generator(name).generate(n)` then draws from it. What was fitted before under this name is replaced.

    Args:
        run: a finished run of a model with one latent.
        name: mixture, hypersphere, flow or second.
        seed: of the draws of the codes, and of the fit.
        epochs: of flow and second, where they are not the recipe's own.
        components: of mixture; ten if nothing is said.
        arguments: of the recipe behind flow (flow_density) or second (latent_vae).
        show, started: as for `vaekit.train`; flow and second are trained.

    Raises:
        UserError: if there is no such sampler.
        UnsupportedError: if the model has several latents, or codes.
    """
    if name not in get_args(SamplerName):
        raise UserError(f"there is no sampler {name!r}; there are {', '.join(get_args(SamplerName))}")
    if components is not None and name != "mixture":
        raise UserError(f"`components` is {components}, but the sampler {name} has none: leave it out")
    if name not in _TRAINED and (epochs is not None or arguments):
        raise UserError(f"the sampler {name} is not trained: leave `epochs` and `arguments` out")
    model, splits = run.model(), run.data()
    latent = only_latent(model)
    path = run.path / SAMPLERS / name
    if name in _TRAINED:
        stage = Stage(name, _TRAINED[name], arguments or {}, latent)
        training = Training(epochs=1, batch_size=1, seed=seed)
        if path.exists() and Run.open(path, data=splits).record["status"] == "finished":
            with disk_errors(path, "remove"):
                shutil.rmtree(path)
        _train_stage(run, path, stage, model, splits, training, 1.0, show, started, epochs=epochs)
        return run
    codes = codes_of(Encoded(splits.train, model, latent), limit=_CODES, seed=seed)
    about: dict[str, Any] = {"latent": latent, "shape": codes.shape[1:], "codes": len(codes), "seed": seed}
    made: Sampler = Hypersphere.fit(codes, latent)
    if name == "mixture":
        made = Mixture.fit(codes, latent, components=components or COMPONENTS, seed=seed)
        about["components"] = len(made.weights)
    with disk_errors(path, "create"):
        path.parent.mkdir(exist_ok=True)
    write_tensors(path.with_suffix(".safetensors"), made.state_dict(), about)
    return run


def _wait(team: Team | None) -> None:
    if team is not None:
        team.wait()


def _mark(run: Run, status: str) -> None:
    # where the disk is what failed, the first error is the one to report
    with contextlib.suppress(UserError):
        run.update(status=status)
