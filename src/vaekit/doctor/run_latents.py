"""Latents that say nothing: spare ones, collapsed ones, and a rate that weighs too much."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vaekit.doctor.finding import Finding, Severity
from vaekit.doctor.run_command import again, first, slower
from vaekit.doctor.run_overfit import STILL, going_on, rate_weight
from vaekit.doctor.run_spare import Left
from vaekit.doctor.run_subject import Subject
from vaekit.doctor.words import listed
from vaekit.report.history import EMPTY, asleep_since, rates_of_rows, told_since

NOTHING = 0.05
"""Share of what there is to gain below which a model as a whole has learnt nothing from its latents."""

WORTH = 0.25
"""Share of what there is to gain that is left over, from which empty latents are missing, not spare."""

HALF = 0.5
"""Share of what there is to gain that a heavy rate gives up, from which it is called too heavy."""


def collapse(subject: Subject) -> list[Finding]:
    """Posterior collapse, told from more latents than the data need.

    A latent is empty where neither its rate nor the variance of its posterior means says anything. Whether
    that is a fault depends on what is left to say: `structure_left` of the residuals, in nats, against what
    the model has gained over the best constant predictor. Shares of the sum of both are compared, since
    every model leaves something over that is significant.
    """
    codes = subject.held_out.codes
    if not codes.labels or codes.discrete:
        return []  # `codebook` looks at codes
    empty = subject.empty
    count, every = int(empty.sum()), len(empty)
    if not count:
        return []
    left = subject.structure
    won = _won(subject)
    names = ", ".join(label for label, is_empty in zip(codes.labels, empty.tolist(), strict=True) if is_empty)
    largest = "" if codes.rates is None else f", the largest rate {float(codes.rates[empty].max()):.2g} nats"
    use = (
        f"{count} of {every} latents are empty on {len(codes.means)} held-out data: variance of the "
        f"posterior mean at most {float(codes.spread[empty].max()):.2g}{largest}."
    )
    worth = ""
    if left is not None:
        worth += (
            f" The residuals still hold structure worth at least {left.nats:.2f} nats per datum to linear "
            f"latents ({left.directions} directions)."
        )
    if won is not None:
        worth += (
            f" Latents and decoder are {abs(won):.2f} nats per datum {'better' if won > 0 else 'worse'} than "
            "the best constant predictor."
        )
    if count == every:
        return [_all_empty(subject, use + worth + (_each_since(subject) or _since(subject)), left)]
    total = (0.0 if won is None else max(won, 0.0)) + (0.0 if left is None else left.nats)
    missing = left is not None and won is not None and total > 0 and left.nats > WORTH * total
    shown = names if len(names) < 120 else names[:117] + "..."
    if not missing:
        return [
            Finding(
                key="spare_latents",
                title=f"{count} of {every} latents are not needed",
                measured=f"{use}{worth} Empty: {shown}.{_each_since(subject)}",
                meaning="The model has more latents than it makes use of, and little is left over that they "
                "could say. It switched them off by itself, which costs nothing but time.",
                change=f"Nothing has to change; {every - count + 2} latents would do.",
                command=again(subject.run, {"latents": every - count + 2}) if _one_number(subject) else "",
                severity="note",
            )
        ]
    return [
        Finding(
            key="collapsed_latents",
            title=f"{count} of {every} latents have collapsed",
            measured=f"{use}{worth} Empty: {shown}.{_each_since(subject)}",
            meaning="These latents say nothing, though there is something left to say: what the "
            "decoder leaves "
            "over is structured, and a latent that carried it would be worth more than it costs.",
            change="Weigh the rate less at the beginning (warm-up), or less altogether; train for longer.",
            command=_lighter(subject),
            severity="note" if going_on(subject) else "warning",  # they may still wake up
        )
    ]


def _all_empty(subject: Subject, measured: str, left: Left | None) -> Finding:
    if left is not None and not left.directions:
        return Finding(
            key="nothing_to_encode",
            title="No latent is used, and none is missed",
            measured=measured,
            meaning="The elements of the data are as good as independent of each other: there is nothing "
            "that a latent could tell about several of them, as far as linear latents can see.",
            change="Look whether the data are what they should be; a model of every element alone would do.",
            command="",
            severity="note",
        )
    return Finding(
        key="posterior_collapse",
        title="All latents have collapsed",
        measured=measured,
        meaning="The encoder says the same about every datum, so the decoder ignores it: each "
        "reconstruction is the mean of all data, and latents are noise.",
        change="Weigh the rate less, at least at the beginning (warm-up); give the likelihood the "
        "scale of the residuals (a learned variance); or take a decoder that cannot do without latents.",
        command=_lighter(subject),
        severity="problem",
    )


def decoder_ignores(subject: Subject) -> list[Finding]:
    """Latents that say something, to a decoder that does not listen: other latents decode to the same.

    The variance of p(x|z)'s mean over draws of z from the aggregate posterior, as a share of the variance of
    the data: below `STILL` while the rate is above 0.1 nats.
    """
    seen, share = subject.held_out, subject.movement
    if share is None or seen.rate is None or not seen.codes.labels:
        return []
    rate = float(seen.rate.mean())
    if share >= STILL or rate < 0.1:
        return []
    return [
        Finding(
            key="decoder_ignores_latents",
            title="The decoder does not listen to its latents",
            measured=f"Reconstructions vary by {share:.2g} of the variance of the data, while the "
            f"latents cost {rate:.2f} nats per datum.",
            meaning="The encoder tells data apart and pays for it, and what is decoded is always the same.",
            change="The decoder has died or was not trained: lower the learning rate and train again.",
            command=_slower(subject),
            severity="problem",
        )
    ]


def heavy_rate(subject: Subject) -> list[Finding]:
    """A weight of the rate above 1 under which most of what there is to gain at weight 1 is given up."""
    weight = rate_weight(subject.system)
    left, won = subject.structure, _won(subject)
    if weight is None or left is None or won is None or weight <= 1:
        return []
    total = max(won, 0.0) + left.nats
    if not total or left.nats < HALF * total:
        return []
    severity: Severity = "problem" if max(won, 0.0) < NOTHING * total else "warning"
    rate = subject.held_out.rate
    active = int((~subject.empty).sum())
    each = "" if rate is None else (
        f" The rate is {float(rate.mean()):.2f} nats per datum over {active} latents in use."
    )  # fmt: skip
    return [
        Finding(
            key="rate_too_strong",
            title="The rate weighs too much",
            measured=f"The rate has the weight {weight:g}.{each} The model is {abs(won):.2f} nats per "
            f"datum {'better' if won > 0 else 'worse'} than the best constant predictor, "
            f"and linear latents could gain at least {left.nats:.2f} more.",
            meaning="At this weight most of what the latents could say costs more than it brings: "
            "reconstructions are close to the mean of the data.",
            change=f"Take a smaller weight, such as {max(1.0, weight / 10):g}.",
            command=_lighter(subject),
            severity="note" if going_on(subject) else severity,
        )
    ]


def _won(subject: Subject) -> float | None:
    return None if subject.gained is None else subject.gained[0]


def _each_since(subject: Subject) -> str:
    """Since when each empty latent is: the first row after which its rate stayed below `EMPTY`, in words.

    "" where no row tells, as in older runs.
    """
    epochs, rates = rates_of_rows(subject.rows)
    labels = subject.held_out.codes.labels
    empty = [name for name, is_empty in zip(labels, subject.empty.tolist(), strict=True) if is_empty]
    known = [name for name in empty if name in rates and np.isfinite(rates[name]).any()]
    if not known:
        return ""
    since = {name: asleep_since(epochs, rates[name], EMPTY) for name in known}
    awake = [name for name, epoch in since.items() if epoch is None]
    told = told_since(since, epochs, subject.rows)
    said = f" Since when: {told}." if told else ""
    if awake:
        last = max(float(rates[name][np.isfinite(rates[name])][-1]) for name in awake)
        said += f" In the last row of the record {listed(awake)} had a rate of up to {last:.2g} nats."
    if len(known) < len(empty):
        said += f" Of {listed([name for name in empty if name not in known])} the record does not tell."
    return said


def _since(subject: Subject) -> str:
    """From which epoch on the rate of all latents together was as good as zero, as far as the rows tell."""
    rates = [(row.get("epoch"), row.get("valid/rate")) for row in subject.rows]
    known = [(epoch, rate) for epoch, rate in rates if isinstance(rate, int | float) and math.isfinite(rate)]
    if not known or known[-1][1] >= 0.1:
        return ""
    since: Any = known[-1][0]
    for epoch, rate in reversed(known):
        if rate >= 0.1:
            break
        since = epoch
    return f" The rate is below 0.1 nats since epoch {since} of {known[-1][0]}."


def _one_number(subject: Subject) -> bool:
    return isinstance(subject.run.record["arguments"].get("latents"), int)


def _lighter(subject: Subject) -> str:
    run, weight = subject.run, rate_weight(subject.system)
    arguments = run.record["arguments"]
    if isinstance(arguments.get("beta"), float | int) and weight is not None and weight > 1:
        return again(run, {"beta": max(1.0, round(arguments["beta"] / 10, 3))})
    if arguments.get("likelihood") == "gaussian_fixed":
        return again(run, {"likelihood": "gaussian"})
    if arguments.get("variance") == "fixed":
        return again(run, {"variance": "shared", "sigma": None})
    return first(
        [again(run, {"warmup": 1000}), again(run, {"beta": 0.5}, recipe="beta_vae"), _slower(subject)]
    )


def _slower(subject: Subject) -> str:
    return again(subject.run, slower(subject.run))
