"""Games between players: a critic that has won, losses that swing or run away."""

from __future__ import annotations

import math
from statistics import fmean, median, pstdev
from typing import Any

from vaekit.doctor.finding import Finding
from vaekit.doctor.run_command import again, first
from vaekit.runs import Run
from vaekit.system import System
from vaekit.terms import Acceptance, Discrimination, PermutationTest, Rejection
from vaekit.terms.features import Judgement, Owned

WON = 0.1
"""Nats: a critic that cannot tell pays ln 2 = 0.69 for every answer, one that is right 19 times of 20 about
0.1."""

SWING = 0.5
"""Scatter of a loss around its own course in the second half of training, in units of its size."""

AWAY = 3.0
"""How many times its size a loss has risen above its best."""

FEWEST = 8


def games(run: Run, system: System) -> list[Finding]:
    """How the players of a game stand, by the rows of the record.

    Args:
        run: with a row for every epoch.
        system: says who plays, and what each player is judged by.
    """
    players, rows = system.procedure.players, run.metrics()
    if len(players) < 2 or not rows:
        return []
    found = []
    for player in players:
        verdicts = [
            name
            for name, (_, term) in player.objective.terms.items()
            if isinstance(term, Discrimination | PermutationTest | Acceptance | Rejection | Judgement | Owned)
        ]
        owned = {id(parameter) for parameter in system.model.parameters()}
        if verdicts and not any(id(parameter) in owned for parameter in player.parameters):
            found += _critic(
                run, player.name, [series(rows, f"train/{player.name}/{name}") for name in verdicts]
            )
    return found + _unstable(
        run, {player.name: series(rows, f"train/{player.name}/loss") for player in players}
    )


def series(rows: list[dict[str, Any]], name: str) -> list[float]:
    """The finite values of one name, in order."""
    values = (row.get(name) for row in rows)
    return [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]


def _critic(run: Run, name: str, costs: list[list[float]]) -> list[Finding]:
    if not all(costs):
        return []
    late = [fmean(values[-max(1, len(values) // 4) :]) for values in costs]
    if max(late) >= WON:
        return []
    arguments = run.record["arguments"]
    rate = arguments.get("critic_learning_rate")
    return [
        Finding(
            key="critic_wins",
            title=f"The {name} has won the game",
            measured=f"Over the last quarter of training the {name} pays {fmean(late):.3g} nats for an "
            "answer; one that cannot tell the two apart pays 0.69.",
            meaning="It tells the two apart without fail, so its opponent hears only that it is wrong "
            "and not what would be better: its gradient has all but vanished.",
            change="Slow the critic down, make it smaller, or let it rest while it is ahead (--margin).",
            command=first([
                again(run, {"margin": 0.35}),
                again(run, {"critic_learning_rate": rate / 10}) if isinstance(rate, float) else "",
                again(run, {"learning_rate": arguments["learning_rate"] / 3})
                if isinstance(arguments.get("learning_rate"), float) else "",
            ]),
            severity="warning",
        )
    ]  # fmt: skip


def _unstable(run: Run, losses: dict[str, list[float]]) -> list[Finding]:
    """Losses that swing, or that have run away from their best."""
    said = []
    for name, values in losses.items():
        if len(values) < FEWEST:
            continue
        size = max(abs(median(values)), 0.1)
        swing = scatter(values[len(values) // 2 :]) / size
        # the median of three: one odd epoch is no best
        smooth = [median(values[i - 1 : i + 2]) for i in range(1, len(values) - 1)]
        away = (fmean(values[-max(2, len(values) // 4) :]) - min(smooth)) / max(abs(min(smooth)), 0.1)
        if swing > SWING:
            said.append(f"the loss of {name} scatters by {100 * swing:.0f} % of its size from epoch to epoch")
        elif away > AWAY:
            said.append(f"the loss of {name} has risen by {away:.1f} times its size since its best epoch")
    if not said:
        return []
    rate = run.record["arguments"].get("learning_rate")
    return [
        Finding(
            key="unstable_game",
            title="The game does not settle",
            measured=f"In the second half of training, {', and '.join(said)}.",
            meaning="The players undo each other's moves: which weights come out is a matter of where "
            "training happened to stop.",
            change="Lower the learning rates, limit gradients (--clip 1), or take larger batches.",
            command=again(
                run, {"clip": 1.0} | ({"learning_rate": rate / 3} if isinstance(rate, float) else {})
            ),
            severity="warning",
        )
    ]


def scatter(values: list[float]) -> float:
    """Standard deviation of a series around its course: a slope is no scatter.

    From second differences, whose variance is 6 times that of independent scatter: v_i - 2 v_(i+1) + v_(i+2).

    >>> scatter([1.0, 2.0, 3.0, 4.0])
    0.0
    """
    second = [a - 2 * b + c for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    return pstdev([0.0, *second, *(-v for v in second)]) / math.sqrt(6) if second else 0.0
