"""Training and held-out loss apart: over-fitting, and training that was stopped too early."""

from __future__ import annotations

import math

from vaekit.doctor.finding import Finding
from vaekit.doctor.run_command import again, longer, slower
from vaekit.doctor.run_subject import Subject
from vaekit.metrics.evidence import mean_and_error
from vaekit.schedules import value_of
from vaekit.system import System
from vaekit.terms import Rate

CERTAIN = 4.0
"""Standard errors of a difference: once in 30,000 where there is none."""

LOST = 0.25
"""Share of what was gained on training data that does not carry over to held-out ones, from which it is a
fault. Every model that learns at all fits its training data somewhat better."""

STILL = 1e-3
"""Share of the variance of the data below which reconstructions are all the same."""


def overfitting(subject: Subject) -> list[Finding]:
    """The gap of the loss between held-out and training data, in standard errors and as a share of the gain.

    gap = mean loss of held-out data - mean loss of training data, both at the weights that the run hands
    out. It is a finding where it exceeds four standard errors and a quarter of what the model gains on its
    training data over the best constant predictor.
    """
    held_out, train = subject.held_out.loss, subject.train.loss
    if held_out is None or train is None or subject.gained is None:
        return subject.leave_out("over-fitting", subject.ungained)
    if len(held_out) < 10:
        return subject.leave_out("over-fitting", "there are fewer than 10 held-out data")
    (high, high_se), (low, low_se) = mean_and_error(held_out), mean_and_error(train)
    gap, error = high - low, math.hypot(high_se, low_se)
    gain = max(subject.gained[0], 0.0) + gap
    if not gap > CERTAIN * error or gap < LOST * gain:
        return []
    return [
        Finding(
            key="overfitting",
            title="The model knows its training data by heart",
            measured=f"The loss of {len(held_out)} held-out data is {high:.2f}, that of {len(train)} "
            "training "
            f"data {low:.2f} nats per datum: a gap of {gap:.2f} +- {error:.2f}, {gap / error:.0f} standard "
            f"errors, and {100 * gap / gain:.0f} % of what is gained on training data over a constant."
            + _growth(subject),
            meaning="What it learnt about single training data does not carry over: reconstructions, "
            "likelihoods and anomaly scores of new data are worse than the training curve says.",
            change="Take more data if there are any, a smaller network, or stop earlier (--patience 5).",
            command=again(subject.run, _smaller(subject)),
            severity="warning",
        )
    ]


def _growth(subject: Subject) -> str:
    """By how much the held-out loss has grown since its best epoch, in words; "" where it has not."""
    values = [(row.get("epoch"), _loss(row, subject)) for row in subject.rows]
    known = [(epoch, value) for epoch, value in values if value is not None]
    if len(known) < 3:
        return ""
    epoch, best = min(known, key=lambda pair: pair[1])
    last = known[-1][1]
    if last <= best:
        return ""
    return f" The held-out loss has grown by {last - best:.2f} since epoch {epoch} of {known[-1][0]}."


def _loss(row: dict[str, object], subject: Subject) -> float | None:
    for name in ("valid/loss", f"valid/{subject.system.procedure.players[0].name}/loss"):
        value = row.get(name)
        if isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    return None


def _smaller(subject: Subject) -> dict[str, object]:
    if subject.system.monitor == "loss" and subject.run.record["training"].get("weights") != "last":
        return {"patience": 5}
    epochs = subject.run.record["training"].get("epochs", 2)
    return {"epochs": max(1, int(epochs) // 2)}


def undertrained(subject: Subject) -> list[Finding]:
    """Training that could go on: the held-out bound still rises at the end, by more than its own noise.

    A straight line is fitted to the last quarter of the epochs, at least five: going on for as long again
    would gain the slope times their number, if nothing changed. It is worth saying where the slope is four
    of its standard errors below zero and that gain is a twentieth of all that was gained since the first
    epoch. Advice, not a fault.
    """
    values = _course(subject)
    if not subject.rows:
        return subject.leave_out("the course of the training", "the record has no rows of it")
    count = max(5, len(values) // 4)
    if len(values) < 6:
        return []
    slope, error = _slope(values[-count:])
    gain, whole = -slope * count, values[0] - min(values)
    if slope >= -CERTAIN * error or gain < 0.05 * whole:
        return []
    return [
        Finding(
            key="still_learning",
            title="Training stopped while it was still learning",
            measured=f"Over the last {count} epochs the held-out loss fell by {-slope:.3g} +- "
            f"{error:.2g} nats an epoch; from the first epoch to the best one by {whole:.3g} in all.",
            meaning="The model has not come to rest: more of the same would make it better.",
            change="Train for longer.",
            command=longer(subject.run),
            severity="note",
        )
    ]


def going_on(subject: Subject) -> bool:
    """Whether training was still under way at its end: by its slope, or by falling in all of few epochs."""
    course = _course(subject)
    falls = len(course) < 6 and course == sorted(course, reverse=True)
    return falls or bool(undertrained(subject))


def worse_than_constant(subject: Subject) -> list[Finding]:
    """A held-out ELBO below that of the best constant predictor, by more than four standard errors.

    Of a training that was stopped early that is no wonder, and a note where the bound still rises.
    """
    if subject.gained is None or subject.held_out.distortion is None:
        return subject.leave_out("whether it is better than no model", subject.ungained)
    if subject.gained[0] > -CERTAIN * subject.gained[1]:
        return []
    if len(subject.empty) and bool(subject.empty.all()):
        return []  # `collapse` says more
    if subject.decodes:
        return [_dear(subject)]
    value, error = subject.gained
    # a decoder that says the same always is not on its way
    early = going_on(subject) and (subject.movement is None or subject.movement >= STILL)
    return [
        Finding(
            key="worse_than_constant",
            title="The model is worse than no model",
            measured=f"Its held-out ELBO is {-value:.3g} +- {error:.2g} nats per datum below that of "
            "the best constant: the same mean and scale for every datum, fitted to the training data.",
            meaning="It has not learnt yet what every datum has in common: other figures say nothing so far."
            if early
            else "What the encoder says misleads the decoder, or training has gone astray.",
            change="Train for longer." if early else "Lower the learning rate; look at the loss curves.",
            command=longer(subject.run) if early else again(subject.run, slower(subject.run)),
            severity="note" if early else "warning",
        )
    ]


def _dear(subject: Subject) -> Finding:
    """Latents that save distortion, and cost more than they save."""
    seen, constant = subject.held_out, subject.constant
    assert constant is not None  # only called where the model is worse than it
    assert seen.distortion is not None
    assert seen.rate is not None
    saved, rate = float((constant - seen.distortion).mean()), float(seen.rate.mean())
    weight = rate_weight(subject.system)
    light = weight is not None and weight < 1
    return Finding(
        key="latents_cost_too_much",
        title="The latents cost more than they bring",
        measured=f"They save {saved:.4g} nats of distortion per held-out datum over the best constant, "
        f"at a rate of {rate:.4g} nats" + ("." if weight is None else f", which has the weight {weight:g}."),
        meaning="As a density of the data the model is worse than a constant one"
        + (": that is what so light a rate asks for." if light else "; new data surprise its encoder."),
        change="Weigh the rate by 1 where likelihoods and samples from the prior are to count."
        if light
        else "Take fewer latents, a smaller network, or stop earlier.",
        command=again(subject.run, {"beta": 1.0} if light else {"patience": 5}),
        severity="note" if light else "warning",
    )


def rate_weight(system: System) -> float | None:
    """The weight of the rate in the objective of the player that moves the model, as training left it."""
    for player in system.procedure.players:
        for weight, term in player.objective.terms.values():
            if isinstance(term, Rate):
                return float(value_of(weight))
    return None


def _course(subject: Subject) -> list[float]:
    """The held-out loss epoch by epoch: where there is a bound, its negative, which always means the same."""
    bounds = [-row["valid/elbo"] for row in subject.rows if isinstance(row.get("valid/elbo"), int | float)]
    if bounds or subject.system.monitor == "last":
        return bounds
    return [v for row in subject.rows if (v := _loss(row, subject)) is not None]


def _slope(values: list[float]) -> tuple[float, float]:
    """The slope of a straight line through values one apart, and its standard error."""
    n = len(values)
    middle, mean = (n - 1) / 2, sum(values) / n
    power = sum((i - middle) ** 2 for i in range(n))
    slope = sum((i - middle) * (v - mean) for i, v in enumerate(values)) / power
    rest = sum((v - mean - slope * (i - middle)) ** 2 for i, v in enumerate(values))
    return slope, math.sqrt(rest / (n - 2) / power)
