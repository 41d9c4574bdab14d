"""What several processes do together: `torchrun --nproc-per-node 2 tests/parallel/together.py FOLDER`.

One process alone calls the same functions, with the whole batches, and has to end in the same place.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import torch
from torch import nn

import vaekit
from vaekit import conditionals as c
from vaekit import recipes
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import MLP
from vaekit.networks.batch_norm import BatchNorm
from vaekit.objective import elbo
from vaekit.parallel import team_here
from vaekit.procedures import Manner, Player, Simultaneous
from vaekit.system import System
from vaekit.testing.select import batch_for
from vaekit.trainer import pieces, refuse_apart

SMALL = runpy.run_path(str(Path(__file__).parents[1] / "recipes" / "conftest.py"))
ROWS = (7, 1, 8)
"""Sizes of the batches: odd, even, and one that leaves a process without data."""

PIECES = ("vae", "piwae")
"""Recipes that are also tried with batches cut into pieces."""


def spec_of(name):
    fitting = dict(SMALL["FITTING"].get(name, {}))
    context = SMALL["CONTEXT"] if fitting.pop("context", False) else None
    fields = {"name": "toy", "shape": SMALL["SHAPE"], "kind": "binary", "size": 20, "context": context}
    return Spec(**(fields | fitting))


def normalised():
    """A system whose encoder normalises over the batch, which no small recipe does."""

    def encoder(output):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 5), BatchNorm(5), nn.Linear(5, *output))

    decoder = MLP([(3,)], SMALL["SHAPE"], hidden=(8,))
    model = Flat(
        c.Gaussian(encoder, (3,)), c.StandardGaussian((3,)), c.Bernoulli(lambda _: decoder, SMALL["SHAPE"])
    )
    player = Player("vae", [model], elbo(), lambda p: torch.optim.Adam(p, 1e-3))
    return System(model, Simultaneous(model, [player]))


MORE = {"batch_norm": normalised}
"""Systems beside the recipes."""


def system_of(name):
    torch.manual_seed(0)
    system = MORE[name]() if name in MORE else getattr(recipes, name)(spec_of(name), **SMALL["SMALL"][name])
    for module in system.modules().values():
        module.train()
    return system


def steps(name, team=None, accumulate=1):
    """Some steps of a recipe: everything that it then knows, and the named values of every step."""
    system = system_of(name)
    if team is not None:
        refuse_apart(system, team.size)
    torch.manual_seed(1)
    found = {}
    for number, rows in enumerate(ROWS):
        batch = batch_for(spec_of(name), rows, seed=number)
        if "y" in batch and "c" in batch:
            batch["c"] = torch.nn.functional.one_hot(batch["y"], batch["c"].shape[1]).double()
        values = system.procedure.step(pieces(batch, accumulate), Manner(clip=1e3, team=team))
        found |= {f"{number} {key}": value for key, value in values.items()}
    for root, module in system.modules().items():
        found |= {f"{root} {key}": value.clone() for key, value in module.state_dict().items()}
    return {**found, "stream": torch.get_rng_state()}


def all_steps(team=None):
    """Recipe -> what `steps` finds, or why it is refused."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    found = {}
    try:
        for name in (*recipes.names, *MORE):
            try:
                found[name] = steps(name, team)
            except vaekit.UnsupportedError as error:
                found[name] = str(error)
        for name in PIECES:
            found[f"{name} in pieces"] = steps(name, team, accumulate=2)
    finally:
        torch.set_default_dtype(before)
    return found


def toy_splits():
    """Grey pictures whose pixels are drawn anew in every batch."""
    generator = torch.Generator().manual_seed(3)
    kinds = torch.randint(0, 2, (60, 1, 1, 1), generator=generator)
    grey = (8 + 8 * (2 * kinds - 1) * torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)).round()
    x = grey.clamp(0, 16).to(torch.uint8)
    spec = Spec("toy", (1, 4, 4), "binary", 33, levels=17)
    held_out = torch.bernoulli(x[33:].float() / 16, generator=generator)
    return Splits(
        ArrayData(spec, x[:33], binarise=True), ArrayData(spec, held_out[:13]), ArrayData(spec, held_out[13:])
    )


ARGUMENTS = {"batch_size": 8, "latents": 2, "hidden": (8,), "seed": 5, "device": "cpu"}


def whole_run(out, stop=None, last=True):
    """A training with a run directory; with `stop`, it is stopped after that step and resumed."""

    def show(at, batches, means):
        return last and at.step == stop

    splits = toy_splits()
    try:
        run = vaekit.train("vae", splits, out=out, epochs=3, show=show, **ARGUMENTS)
    except KeyboardInterrupt:
        run = vaekit.resume(out, data=splits, device="cpu")
    state, about = run.state()
    return {
        "state": state,
        "metrics": run.metrics(),
        "record": json.loads(json.dumps(run.record)),
        "seen": about["seen"],
    }


def staged_run(out):
    """A training with a second stage on the codes of the first: the last states of both."""
    spec = Spec("toy", (4,), "real", 20)
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(2))
    splits = Splits(*(ArrayData(spec, part) for part in x.split([20, 11, 9])))
    settings = {"batch_size": 8, "hidden": (8,), "second_hidden": (8,), "second_epochs": 2}
    run = vaekit.train("two_stage_vae", splits, out=out, epochs=2, **(ARGUMENTS | settings))
    return {"first": run.state()[0], "second": run.stage("second").state()[0]}


def occupied(out):
    """The error of a run that would stand on another."""
    try:
        vaekit.train("vae", toy_splits(), out=out, **ARGUMENTS)
    except vaekit.UserError as error:
        return str(error)
    return "nothing"


def main(folder):
    team = team_here("cpu")
    torch.save(
        {
            "steps": all_steps(team),
            "run": whole_run(folder / "run"),
            "cut": whole_run(folder / "cut", stop=7, last=team.rank == 1),
            "stages": staged_run(folder / "stages"),
            "occupied": occupied(folder / "run"),
            "files": sorted(path.name for path in folder.iterdir() if path.is_dir()),
        },
        folder / f"rank{team.rank}.pt",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
