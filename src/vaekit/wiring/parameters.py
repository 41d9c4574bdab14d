"""Systems that are told the ground-truth parameters of some of their data."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from vaekit.checks import number
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Model
from vaekit.objective import Objective
from vaekit.procedures import Player, Procedure
from vaekit.schedules import Weight
from vaekit.system import System
from vaekit.terms import Closeness, Term, Told, ToldDecoder

Terms = dict[str, tuple[Weight, Term]]


def known_parameters(
    spec: Spec,
    model: Model,
    alpha: float,
    closeness: Closeness = "squared",
    decoder: float = 0.0,
) -> Terms:
    """Terms that tie the first latent to theta where that is known, and withhold theta from held-out data.

    alpha * mean over known data of |E_q[z] - theta|^2 (or -log q(theta|x))
        + decoder * mean over known data of -log p(x|z = theta)

    Args:
        spec: the data, with parameters theta; `labelled` says how many are known.
        model: its first latent has at least as many dimensions as there are parameters. What is held out is
            judged without theta from now on, as if it were not known: it is what the model infers.
        alpha: weight of the first part; 0 leaves it out.
        closeness: which of the two that is.
        decoder: weight of the second part; 0 leaves it out.

    Raises:
        UnsupportedError: if nothing is known of theta, or the latent or the likelihood does not fit.
    """
    number("alpha", alpha, least=0)
    number("decoder", decoder, least=0)
    if spec.theta is None or spec.labelled == 0:
        what = "no parameters theta" if spec.theta is None else "theta of none of the training data"
        raise UnsupportedError(
            f"{spec.name!r} knows {what}, so nothing can be told of them: take data that do, such as darcy "
            "with the data option `labelled`, or leave the weight at 0"
        )
    wanted, found = len(spec.theta), _dimensions(model)
    if found is not None and (found < wanted or (decoder and found != wanted)):
        raise UnsupportedError(
            f"`latents` is {found}, but {spec.name!r} has {wanted} parameters theta, each tied to a "
            "latent of its own, and a decoder to no others: take as many latents"
        )
    scale = spec.size / (spec.size if spec.labelled is None else spec.labelled)
    latent = model.names[0] if model.names else ""
    terms: Terms = {}
    if alpha:
        terms["told"] = (alpha * scale, Told(closeness, latent))
    if decoder:
        if getattr(model.likelihood, "couples_batch", False):
            raise UnsupportedError(
                f"the variance of {type(model.likelihood).__name__} follows from the whole batch, of which "
                "theta is known in part: take another likelihood, or no weight for the decoder"
            )
        terms["told_decoder"] = (decoder * scale, ToldDecoder(model.decode, latent))
    model.withheld = (*model.withheld, "theta")
    return terms


def _dimensions(model: Model) -> int | None:
    """Of the first latent, where its posterior says."""
    posteriors: Any = getattr(model, "posteriors", ())
    event = getattr(posteriors[0], "event", None) if len(posteriors) else None
    return event[0] if event else None


def supervised(
    system: System, spec: Spec, alpha: float, closeness: Closeness = "squared", decoder: float = 0.0
) -> System:
    """Any system with a posterior, told theta of the training data of which it is known.

    The terms of `known_parameters` join the objective of the player that owns the posterior; the rest of it,
    and the other players, stay as they are. Called inside a recipe, on the system that it has wired, it makes
    another recipe.

    Args:
        system: wired and not trained yet.
        spec: the data.
        alpha, closeness, decoder: see `known_parameters`.

    Raises:
        UnsupportedError: as there, or if no player owns a posterior of the first latent.
    """
    model, before = system.model, system.procedure
    posteriors = getattr(model, "posteriors", None)
    own = {id(p) for p in posteriors[0].parameters()} if posteriors is not None and len(posteriors) else set()
    moved = [player for player in before.players if any(id(p) in own for p in player.parameters)]
    if not moved:
        raise UnsupportedError(
            f"no player of this {type(model).__name__} owns a posterior q(z|x) that theta could be told "
            "to: take a recipe such as vae"
        )
    old = moved[0].objective
    new = Objective({**old.terms, **known_parameters(spec, model, alpha, closeness, decoder)})
    return replace(system, procedure=_judged(before, old, new))


def _judged(procedure: Procedure, old: Objective, new: Objective) -> Procedure:
    """The same play, with another objective for those who had the old one."""

    def renewed(player: Player) -> Player:
        other = copy.copy(player)
        other.objective = new if player.objective is old else player.objective
        return other

    players = [renewed(player) for player in procedure.players]
    return type(procedure)(procedure.model, players, procedure.samples, procedure.branches)
