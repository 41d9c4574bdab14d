"""What the trainer measures on held-out data: the same every time, and without a trace in the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from vaekit.checkpoint import Tensors, device_of
from vaekit.data.batch import Batch, Data
from vaekit.errors import UnsupportedError
from vaekit.models import Classifier, without_withheld
from vaekit.models.columns import labels_of
from vaekit.parallel import Team
from vaekit.procedures import Manner, Procedure
from vaekit.randomness import quiet
from vaekit.schedules import value_of
from vaekit.system import System
from vaekit.terms import Distortion, Rate, per_datum, rate_per_dimension
from vaekit.trace import Trace

EVALUATION_SEED = 20_230_817
"""Any fixed number: evaluation is the same every time."""

RATES = "rates"
"""Under which a row has the rate of every latent: one mapping, latent -> nats per datum."""

MOST_RATES = 1024
"""Models with more latents than this leave their rates out: a row would consist of nothing else."""


def validate(system: System, data: Data, batch_size: int, team: Team | None = None) -> dict[str, float]:
    """Means over a held-out set: every player's named values, and the parts of the ELBO where there is one.

    So is the rate of every latent whose posterior and prior have one, as "rates/z 1", "rates/z 2", ...: their
    names are those of `report.codes.Codes`, and they are in its order.

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
    found = {name: float(total / count) for name, total in one_by_one(totals).items()}
    return found | ({"error": float(tally["wrong"] / tally["labelled"])} if tally.get("labelled") else {})


def measured(system: System, batch: Batch) -> Tensors:
    """What is said of one batch: every player's named values, and the parts of the ELBO if there is one.

    "rates/z" is a vector: the rates of the dimensions of z, (n,).
    """
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
    return values | {f"{RATES}/{name}": rates for name, rates in rates_of(trace).items()}


def rates_of(trace: Trace) -> Tensors:
    """Latent name -> the mean rate of every dimension over the batch, (n,), nats, in the order of the model.

    Latents without such parts are left out: see `rate_per_dimension`.
    """
    found: Tensors = {}
    for name, latent in trace.latents.items():
        rates = rate_per_dimension(latent)
        if rates is not None:
            flat = rates.flatten(rates.dim() - len(latent.q.event_shape))
            found[name] = per_datum(flat, trace, kept=1).mean(0)
    return found if sum(map(len, found.values())) <= MOST_RATES else {}


def one_by_one(means: Tensors) -> Tensors:
    """Vectors of rates as single values: "rates/z" (..., n) becomes "rates/z 1" ... "rates/z n", (...)."""
    found: Tensors = {}
    for name, value in means.items():
        if name.startswith(f"{RATES}/"):
            found |= zip(labels_of({name: value.shape[-1:]}), value.unbind(-1), strict=True)
        else:
            found[name] = value
    return found


def standing(procedure: Procedure) -> Tensors:
    """What of the objectives moves while training, as it stands now: "weight/rate", or "weight/critic/rate"
    where there are several players, as `Objective.moving` names it.
    """
    found: Tensors = {}
    for player in procedure.players:
        for name, part in player.objective.moving.items():
            kind, _, term = name.partition("/")
            [labelled] = procedure.labelled(player, {term: torch.empty(0)})
            found[f"{kind}/{labelled}"] = torch.as_tensor(value_of(part), dtype=torch.float64).detach()
    return found


def row_of(held_out: Mapping[str, float]) -> dict[str, Any]:
    """What a row of the record says of held-out data: named values, and the rates in one mapping.

    Args:
        held_out: as `validate` returns it.
    """
    row: dict[str, Any] = {}
    rates: dict[str, float] = {}
    for name, value in held_out.items():
        if name.startswith(f"{RATES}/"):
            # six digits: a row is read, and these are many
            rates[name.removeprefix(f"{RATES}/")] = float(f"{value:.6g}")
        else:
            row[f"valid/{name}"] = value
    return row | ({f"valid/{RATES}": rates} if rates else {})
