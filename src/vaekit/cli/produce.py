"""`vaekit sample`, `encode` and `reconstruct`: what a trained model is used for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast, get_args

import torch
from torch import Tensor

from vaekit.cli.outputs import (
    as_pictures,
    endings,
    joined,
    place,
    rows,
    whole,
    write,
    write_array,
    write_bytes,
)
from vaekit.cli.progress import say
from vaekit.data import shown
from vaekit.data.batch import Batch, Data
from vaekit.data.conditions import conditions_for
from vaekit.data.spec import Spec
from vaekit.errors import UserError
from vaekit.models import Model, without_withheld
from vaekit.pictures import grid, png
from vaekit.randomness import own_stream
from vaekit.runs import Run
from vaekit.staged import SamplerName, fit_sampler

_AT_ONCE = 256  # data in one pass: bounds the memory; a fixed number, for the same draws every time
_SPLITS = ("train", "valid", "test")


def sample_command(
    run: Path,
    /,
    *,
    n: int = 64,
    out: Path | None = None,
    seed: int = 0,
    mean: bool = False,
    noise: bool = False,
    sampler: str = "auto",
) -> int:
    """Draw new data: z from the prior, x from p(x|z); given classes, or held-out conditions, in turn.

    Args:
        run: the run directory.
        n: number of data.
        out: a .png grid (images), a .csv table in original units (tables), lines of .txt (text), a .wav with
            one sound after another (spectrograms) or an .npy array; by default samples in the run directory.
        seed: of the draws.
        mean: write the mean of p(x|z), the most probable tokens of text; the default for pictures.
        noise: draw from p(x|z), with its noise; the default for everything else.
        sampler: where z comes from: prior; stages, those that the run was trained with; mixture, hypersphere,
            flow or second, which are fitted to the codes of the training data when they are first asked for;
            auto takes the stages where there are any, else the prior.
    """
    if n < 1:
        raise UserError(f"-n is {n}; expected 1 or more")
    if mean and noise:
        raise UserError("--mean and --noise exclude each other: take one")
    _check_seed(seed)
    opened = Run.open(run)
    if sampler in get_args(SamplerName) and sampler not in opened.samplers():
        say(f"Fitting the sampler {sampler} to the codes of the training data")
        fit_sampler(opened, cast(SamplerName, sampler), seed=seed)
    spec, model = opened.spec, opened.generator(sampler)
    path = place(out, opened.path, "samples", endings(spec)[0], endings(spec))
    given = None if spec.context is None else conditions_for(opened.data().test, n)
    noisy = noise or not (mean or endings(spec)[0] == ".png")
    context = None if given is None else given.values
    parts = []
    with own_stream("cpu", seed), torch.no_grad():
        for begin in range(0, n, _AT_ONCE):
            size = min(_AT_ONCE, n - begin)
            p = model.generate(size, None if context is None else context[begin : begin + size])
            parts.append(p.sample() if noisy else shown(spec, p))
    written = write(path, spec, torch.cat(parts), context, None if given is None else given.across)
    held = "" if given is None else f", {given.words}"
    stages = sampler == "auto" and "stages" in opened.samplers()
    on_data = [part["name"] for part in opened.record.get("stages") or [] if part["latent"] is None]
    if stages and on_data:  # it has a model of its own, in the place of the run's
        source = f"prior of the stage {on_data[-1]}"
    else:
        source = "stages" if stages else "prior" if sampler == "auto" else sampler
    print(f"{path}: {written}, {'drawn from' if noisy else 'means of'} p(x|z), z from the {source}{held}")
    return 0


def encode_command(
    run: Path,
    data: str,
    /,
    *,
    out: Path | None = None,
    sample: bool = False,
    seed: int = 0,
    limit: int | None = None,
    labels: str | None = None,
) -> int:
    """Turn data into latents: the mean of q(z|x), or one draw of it.

    Args:
        run: the run directory.
        data: train, valid or test of the run; or the name of a data set or a path, whose data have to fit.
        out: an .npy array or a .csv table with one row per datum; by default codes.npy in the run directory.
        sample: draw from q(z|x) instead of taking its mean.
        seed: of these draws.
        limit: only the first so many data.
        labels: the label column of a table, which is left out.
    """
    _check_seed(seed)
    opened = Run.open(run)
    model = opened.model()
    if not model.names:
        raise UserError(f"the model of {run} has no latents: there is nothing to encode to")
    path = place(out, opened.path, "codes", ".npy", (".npy", ".csv"))
    parts = []
    with own_stream("cpu", seed), torch.no_grad():
        for batch in _batches(_source(opened, data, limit, labels), limit):
            names, values = joined(model.encode(without_withheld(model, batch), sample=sample))
            parts.append(values)
    codes = torch.cat(parts).cpu().numpy()
    if path.suffix.lower() == ".csv":
        write_bytes(path, rows(names, codes))
    else:
        write_array(path, codes)
    kind = "draws of" if sample else "means of"
    print(f"{path}: {len(codes)} data, {codes.shape[1]} latent dimensions ({_span(names)}), {kind} q(z|x)")
    return 0


def reconstruct_command(
    run: Path,
    data: str,
    /,
    *,
    out: Path | None = None,
    n: int | None = None,
    labels: str | None = None,
) -> int:
    """Send data through the latents and back: the mean of p(x|z) at the mean of q(z|x).

    Args:
        run: the run directory.
        data: train, valid or test of the run; or the name of a data set or a path, whose data have to fit.
        out: a .png with every row of data above the row of its reconstructions (images), a .csv table in
            original units (tables), lines of .txt (text), a .wav (spectrograms) or an .npy array; by default
            reconstructions in the run directory.
        n: only the first so many data; 32 for pictures, else all, if nothing is said.
        labels: the label column of a table, which is left out.
    """
    if n is not None and n < 1:
        raise UserError(f"-n is {n}; expected 1 or more")
    opened = Run.open(run)
    spec, model = opened.spec, opened.model()
    path = place(out, opened.path, "reconstructions", endings(spec)[0], endings(spec))
    picture = path.suffix.lower() == ".png"
    wanted = 32 if picture and n is None else n
    originals, rebuilt, contexts = [], [], []
    with torch.no_grad():
        for batch in _batches(_source(opened, data, wanted, labels), wanted):
            originals.append(batch["x"])
            rebuilt.append(_rebuilt(spec, model, batch))
            contexts += [batch["c"]] if "c" in batch else []
    x, back = torch.cat(originals), torch.cat(rebuilt)
    context = torch.cat(contexts) if contexts else None
    if not picture:
        print(f"{path}: {write(path, spec, back, context)}")
        return 0
    pictures, remark = as_pictures(
        spec, whole(spec, torch.cat([x, back]), None if context is None else torch.cat([context, context]))
    )
    write_bytes(path, png(grid(_in_pairs(pictures, min(8, len(x))), min(8, len(x)))))
    print(f"{path}: {len(x)} pictures in rows, each row above the row of its reconstructions{remark}")
    return 0


def _in_pairs(pictures: Tensor, across: int) -> Tensor:
    """Rows of the first half of the pictures, each above its row of the second half; white fills the last."""
    lines = []
    for above, below in zip(*(half.split(across) for half in pictures.chunk(2)), strict=True):
        white = above.new_ones(across - len(above), *above.shape[1:])
        lines += [above, white, below, white]
    return torch.cat(lines)


def _rebuilt(spec: Spec, model: Model, batch: Batch) -> Tensor:
    return shown(spec, model.decode(model.encode(without_withheld(model, batch)), batch.get("c")))


def _source(run: Run, data: str, limit: int | None, labels: str | None) -> Data:
    """A part of the run's own data, or other data treated as they were."""
    if limit is not None and limit < 1:
        raise UserError(f"--limit is {limit}; expected 1 or more")
    if data in _SPLITS and not Path(data).exists():
        found: Data = getattr(run.data(), data)
        return found
    from vaekit.data import load_like

    return load_like(data, run.spec, labels=labels, limit=limit)


def _batches(data: Data, limit: int | None) -> Iterator[Batch]:
    """The first `limit` data in their order."""
    left = len(data) if limit is None else min(limit, len(data))
    for batch in data.batches(_AT_ONCE, seed=0, shuffle=False):
        yield {name: value[:left] for name, value in batch.items()}
        left -= len(batch["x"])
        if left <= 0:
            return


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**63:
        raise UserError(f"--seed is {seed}; expected 0 .. 2^63 - 1")


def _span(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"
