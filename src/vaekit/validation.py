"""What the trainer measures on held-out data: the same every time, and without a trace in the training."""

from __future__ import annotations

import torch

from vaekit.checkpoint import Tensors, device_of
from vaekit.data.batch import Batch, Data
from vaekit.errors import UnsupportedError
from vaekit.models import Classifier, without_withheld
from vaekit.parallel import Team
from vaekit.procedures import Manner
from vaekit.randomness import quiet
from vaekit.system import System
from vaekit.terms import Distortion, Rate

EVALUATION_SEED = 20_230_817
"""Any fixed number: evaluation is the same every time."""


def validate(system: System, data: Data, batch_size: int, team: Team | None = None) -> dict[str, float]:
    """Means over a held-out set: every player's named values, and the parts of the ELBO where there is one.

    The same every time, and without effect on the training's random stream. Labels that the model infers are
    withheld from it; of a classifier, "error" is the share of them that it gets wrong. Several processes each
    take their rows of every batch, and know the means of all.
    """
    model, device = system.model, device_of(system)
    totals: Tensors = {}
    tally: Tensors = {}
    count = 0
    with quiet(model, device, EVALUATION_SEED), torch.no_grad():
        for batch in data.batches(batch_size, seed=EVALUATION_SEED, shuffle=False, device=device):
            size = len(batch["x"])
            shown, mine = without_withheld(model, batch), size
            if team is not None:
                batch, shown = team.part(batch), team.part(shown)
                mine = shown.count
            values = measured(system, shown)
            for name, value in values.items():
                totals[name] = totals.get(name, 0) + mine * value.double()
            count += size
            if isinstance(model, Classifier) and "y" in batch:
                known = batch["y"] >= 0
                wrong = known & (model.classify(shown).argmax(-1) != batch["y"])
                tally["wrong"] = tally.get("wrong", 0) + wrong[:mine].sum().double()
                tally["labelled"] = tally.get("labelled", 0) + known[:mine].sum().double()
    if team is not None:
        totals, tally = team.sums(totals), team.sums(tally)
    found = {name: float(total / count) for name, total in totals.items()}
    return found | ({"error": float(tally["wrong"] / tally["labelled"])} if tally.get("labelled") else {})


def measured(system: System, batch: Batch) -> Tensors:
    """What is said of one batch: every player's named values, and the parts of the ELBO if there is one."""
    procedure = system.procedure
    trace = procedure.trace(batch, Manner())
    values: Tensors = {}
    for player in procedure.players:
        judged = procedure.judged(player, trace)
        values |= procedure.labelled(player, {**judged.values, "loss": judged.total})
    try:
        values["distortion"], values["rate"] = Distortion()(trace).mean(), Rate()(trace).mean()
        values["elbo"] = -values["distortion"] - values["rate"]
    except UnsupportedError:
        pass  # no density, no bound: the players' own values are all there is
    return values
