"""`vaekit disrupt`: what breaks with every dimension of the latents."""

from __future__ import annotations

from pathlib import Path

from vaekit.cli.outputs import endings, place, write_bytes
from vaekit.cli.progress import say
from vaekit.cli.words import bold, count
from vaekit.disruption import Disruption, disrupt, strips, train_reader
from vaekit.errors import UserError
from vaekit.models import Model
from vaekit.pictures import grid, png
from vaekit.runs import Run


def disrupt_command(
    run: Path,
    /,
    *,
    limit: int = 2000,
    steps: int = 2000,
    seed: int = 0,
    datum: int = 0,
    draws: int = 8,
    out: Path | None = None,
) -> int:
    """Break every dimension of the latents in turn, and measure which known factor goes with it.

    A network learns to read the factors off the data; each dimension is then replaced by that of another
    datum, and the decoded pictures are read before and after. 0: the factor stays as it is. 1: it is that of
    another datum. Where the run has a generator of the same codes as a later stage, both are measured.

    Args:
        run: the run directory, of data with known factors.
        limit: look at a random subset of this size of the test data.
        steps: of the network that reads the factors.
        seed: of the network, the subset and the draws.
        datum: the one that the picture shows, by its number in the subset.
        draws: values of every dimension in the picture.
        out: a .png, of which each row is one datum, its decoding, and what becomes of it as one dimension
            takes the values of other data; by default disruption.png in the run directory. Of data that are
            no pictures there is none.
    """
    for name, value, least in (("limit", limit, 2), ("steps", steps, 1), ("draws", draws, 1)):
        if value < least:
            raise UserError(f"--{name} is {value}; expected {least} or more")
    if not 0 <= seed < 2**63:
        raise UserError(f"--seed is {seed}; expected 0 .. 2^63 - 1")
    opened = Run.open(run)
    spec = opened.spec
    if not spec.factors or sum(size > 1 for size in spec.factors.values()) < 2:
        raise UserError(
            f"{spec.name} comes without two known factors to tell apart: disruption is for data with ground "
            "truth, such as dsprites"
        )
    picture = endings(spec)[0] == ".png"
    if out is not None and not picture:
        raise UserError(f"--out is {out}, but {spec.name} are no pictures: leave it out")
    path = place(out, opened.path, "disruption", ".png", (".png",)) if picture else None
    models = {"decoder": opened.model()}
    for part in opened.record.get("stages") or []:
        if part["latent"] is None:
            models[part["name"]] = opened.stage(part["name"]).model()
    splits = opened.data()
    used = min(limit, len(splits.test))
    if not (0 <= datum < used and draws < used):
        raise UserError(f"--datum is {datum} and --draws {draws}, of {used} data; expected less than that")
    say(f"Learning to read {', '.join(spec.factors)} in {count(steps)} steps")
    reader = train_reader(splits.train, seed=seed, steps=steps)
    held = splits.test.take(range(min(2000, len(splits.test))))
    right = reader.accuracy(held["x"], held["factors"])
    print("Read right: " + ", ".join(f"{name} {share:.0%}" for name, share in right.items()))
    for name, model in models.items():
        found = disrupt(model, splits.test, reader.read, limit=limit, seed=seed)
        print(f"\n{bold(f'{name}, {count(found.n)} test data, seed {seed}')}\n{matrix(found)}")
    if path is not None:
        for number, (name, model) in enumerate(models.items()):
            where = path if number == 0 else path.with_name(f"{path.stem}-{name}{path.suffix}")
            write_bytes(where, _strips(model, opened, datum, draws, limit, seed))
            print(f"\n{where}: a row for every dimension of the {name}")
    return 0


def matrix(found: Disruption) -> str:
    """S as a table, and what it comes to."""
    width = max(8, *(len(name) + 2 for name in found.factors))
    first = max(9, *(len(name) + 2 for name in found.latents))
    lines = [" " * first + "".join(f"{name:>{width}}" for name in found.factors) + "    rate, nats"]
    rows = zip(found.latents, found.strength, found.rates, found.strongest, strict=True)
    for name, row, rate, factor in rows:
        cells = "".join(f"{value:{width}.2f}" for value in row)
        bits = "       -" if rate is None else f"{rate:8.3f}"
        lines.append(f"{name:<{first}}{cells}{bits}    {'not active' if factor is None else factor}")
    active = sum(found.active)
    lines.append(
        f"disruption disentanglement {found.disentanglement:.2f}, mean over {active} active dimensions of "
        "(largest - second) / largest"
    )
    return "\n".join("  " + line for line in lines)


def _strips(model: Model, run: Run, datum: int, draws: int, limit: int, seed: int) -> bytes:
    rows = strips(model, run.data().test, datum=datum, draws=draws, limit=limit, seed=seed)
    return png(grid(rows.flatten(0, 1), rows.shape[1]))
