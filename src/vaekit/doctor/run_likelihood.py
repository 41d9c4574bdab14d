"""Whether the likelihood fits the data: its variance, its tails, and what neighbours have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.distributions import Bernoulli, ContinuousBernoulli, DiagonalNormal, Laplace, PointMass
from vaekit.doctor import run_pit
from vaekit.doctor.finding import Finding, Severity
from vaekit.doctor.run_command import again, first, longer
from vaekit.doctor.run_overfit import going_on
from vaekit.doctor.run_subject import NO_LATENTS, NOT_DECODED, Subject
from vaekit.metrics.evidence import mean_and_error
from vaekit.metrics.passes import evaluating
from vaekit.metrics.residuals import neighbour_correlation

CERTAIN = 4.0
"""Standard errors: a difference that is not there passes for one once in 30,000 tests."""

OFF, FAR = 2.0, 4.0
"""Factors between the variance of the residuals and that of the likelihood: a warning, and a problem. At a
factor of 2 a Gaussian loses 0.1 to 0.2 nats an element, at 4 it loses 0.3 to 0.8."""

HEAVY, VERY_HEAVY = 0.58, 0.65
"""Share of residuals within 0.6745 of their own standard deviations: 0.50 for a Gaussian, 0.61 for a Laplace
distribution, 0.67 for Student's with three degrees of freedom. Unlike the kurtosis it has a small error."""

ALIKE, VERY_ALIKE = 0.1, 0.5
"""Correlation of neighbouring residuals that is worth saying, and that is a fault."""


@dataclass(frozen=True)
class Calibration:
    """Variance of the residuals over that of the likelihood, with its standard error over data."""

    ratio: float
    error: float


def calibration(residuals: Tensor, variances: Tensor) -> Calibration:
    """mean |r|^2 / mean variance, 1 where the likelihood is right; (N, D) each.

    The error is that of a ratio of two means (delta method), from N independent data.
    """
    power, said = residuals.square().mean(1), variances.mean(1)
    ratio = float(power.mean() / said.mean())
    spread = (
        (power - ratio * said).std() / math.sqrt(len(power)) if len(power) > 1 else torch.tensor(math.inf)
    )
    return Calibration(ratio, float(spread / said.mean()))


def variance(subject: Subject) -> list[Finding]:
    """The variance that the likelihood claims against that of the residuals, at draws from the posterior."""
    p = subject.likelihood
    residuals, variances = subject.left or (None, None)
    if residuals is None or variances is None:
        why = f"the likelihood, a {type(p).__name__}, says no variance"
        if isinstance(p, PointMass):
            why = "the likelihood has no density, and no variance"
        elif p is None:
            why = NOT_DECODED if subject.held_out.codes.labels else NO_LATENTS
        return subject.leave_out("the variance of the likelihood", why)
    if len(residuals) < 10:
        return subject.leave_out("the variance of the likelihood", "there are fewer than 10 held-out data")
    found = calibration(residuals, variances)
    if not math.isfinite(found.ratio) or not math.isfinite(found.error):
        return []
    off = max(found.ratio, 1 / max(found.ratio, 1e-300))
    if off < OFF or abs(found.ratio - 1) < CERTAIN * found.error:
        return []
    measured = (
        f"The residuals of {len(residuals)} held-out data have {found.ratio:.3g} +- {found.error:.2g} "
        f"times the variance that p(x|z) says. {_covered(subject)}"
    )
    if isinstance(p, DiagonalNormal | Laplace):
        return [_miscalibrated(subject, found, off, measured)]
    if found.ratio < 1:
        return [_tied(subject, measured)] if isinstance(p, ContinuousBernoulli) or _grey(p) else []
    return [
        Finding(
            key="overconfident",
            title="The likelihood is too sure of itself",
            measured=measured,
            meaning="Its variance follows from its mean, so the mean goes further towards the extremes than "
            "the data allow: single values are predicted with a certainty that they do not have.",
            change="Stop earlier, take a smaller network, or a likelihood with a variance of its own.",
            command=first([_with(subject, "gaussian"), again(subject.run, {"patience": 5})]),
            severity="warning",
        )
    ]


def _miscalibrated(subject: Subject, found: Calibration, off: float, measured: str) -> Finding:
    wide = found.ratio < 1
    fixed = subject.run.record["arguments"].get("likelihood") == "gaussian_fixed" or (
        subject.run.record["arguments"].get("variance") == "fixed"
    )
    return Finding(
        key="variance_too_large" if wide else "variance_too_small",
        title=f"The likelihood's variance is {off:.3g} times too {'large' if wide else 'small'}",
        measured=measured,
        meaning="A variance that is too large makes errors cheap: the latents are not worth their rate, "
        "reconstructions blur, and samples with noise are too noisy."
        if wide
        else "A variance that is too small makes errors dear: the rate hardly counts, the posterior shrinks, "
        "and likelihoods of new data are far worse than they could be."
        + ("" if fixed else " As it was learned, the model is over-fitted."),
        change="Let the variance be learned."
        if fixed
        else "Look for extreme training data, or take a likelihood with heavier tails (laplace)."
        if wide
        else "Stop earlier, or take a smaller network.",
        command=first([_with(subject, "gaussian"), again(subject.run, {"variance": "shared", "sigma": None})])
        if fixed
        else first([_with(subject, "laplace") if wide else "", again(subject.run, {"patience": 5})]),
        severity="problem" if off >= FAR else "warning",
    )


def _tied(subject: Subject, measured: str) -> Finding:
    return Finding(
        key="grey_levels",
        title="The data are less noisy than this likelihood can say",
        measured=measured,
        meaning="The variance of this likelihood follows from its mean; grey levels have less. Means are "
        "right, and samples with noise are too noisy: look at means.",
        change="A Gaussian with a learned variance says how large the residuals are.",
        command=_with(subject, "gaussian"),
        severity="note",
    )


def tails(subject: Subject) -> list[Finding]:
    """Share of Gaussian residuals in the middle, each element divided by its own scale: the shape alone."""
    p = subject.likelihood
    residuals, variances = subject.left or (None, None)
    if not isinstance(p, DiagonalNormal) or residuals is None or variances is None or len(residuals) < 50:
        return []
    scaled = residuals / variances.clamp_min(1e-30).sqrt()
    spread = scaled.square().mean(0).sqrt()
    kept = spread > 1e-3 * float(spread.max().clamp_min(1e-30))
    scaled = scaled[:, kept] / spread[kept]
    inside = (scaled.abs() < 0.6745).double().mean(1)
    share, error = mean_and_error(inside)
    excess = float(scaled.pow(4).mean()) - 3
    if share < HEAVY or share - 0.5 < CERTAIN * error or excess < 1:
        return []
    severity: Severity = "warning" if share >= VERY_HEAVY else "note"
    return [
        Finding(
            key="heavy_tails",
            title="The residuals have heavier tails than a Gaussian",
            measured=f"Divided by the scale of its own element, {100 * share:.0f} +- {100 * error:.1f} "
            "% of the "
            "held-out residuals are in the middle where a Gaussian has 50 % and a Laplace distribution 61 %; "
            f"the excess kurtosis is {excess:.3g}. {_covered(subject)}",
            meaning="A few values are much further off than the others, and the squared error follows them: "
            "the model bends to its largest errors.",
            change="Take a likelihood with heavier tails (laplace), or a variance for every element "
            "(gaussian_pixel); look for extreme values in the data.",
            command=_with(subject, "laplace"),
            severity=severity,
        )
    ]


def scales(subject: Subject) -> list[Finding]:
    """What a variance for every element gains over one for all: D/2 ln (mean / geometric mean), nats."""
    p = subject.likelihood
    if not isinstance(p, DiagonalNormal) or p.log_std.dim() or subject.left is None:
        return []
    powers = subject.left[0].square().mean(0)
    kept = powers[powers > 1e-4 * float(powers.max())]
    # the mean of ln of an estimate from N squares is too low by 1/N
    gain = 0.5 * len(kept) * (float(kept.mean().log() - kept.log().mean()) - 1 / len(subject.left[0]))
    if subject.gained is None or gain < 0.1 * max(subject.gained[0], 1.0):
        return []
    return [
        Finding(
            key="one_variance_for_all",
            title="Elements have residuals of different size",
            measured=f"Root mean square residuals of {len(kept)} elements range from "
            f"{float(kept.min().sqrt()):.3g} "
            f"to {float(kept.max().sqrt()):.3g}; a variance for each would gain {gain:.3g} nats per datum.",
            meaning="One variance for all is too large for the elements that are well predicted, and "
            "they are given less weight than they could have.",
            change="Take a variance for every place.",
            command=_with(subject, "gaussian_map"),
            severity="note",
        )
    ]


def neighbours(subject: Subject) -> list[Finding]:
    """Correlation of residuals one pixel apart, expected to be 0 +- 1/sqrt(number of pairs)."""
    shape = subject.run.spec.shape
    if (
        subject.left is None
        or len(shape) != 3
        or min(shape[1:]) < 4
        or subject.run.spec.kind == "categorical"
    ):
        return []
    residuals, variances = subject.left
    scaled = residuals if variances is None else residuals / variances.mean(0).clamp_min(1e-6).sqrt()
    pictures = scaled.reshape(-1, *shape)
    found = neighbour_correlation(pictures)
    halves = [neighbour_correlation(part) for part in pictures.chunk(8) if len(part)]
    error = float(torch.tensor(halves).std()) / math.sqrt(len(halves)) if len(halves) > 1 else math.inf
    if found < ALIKE or found < CERTAIN * error:
        return []
    return [
        Finding(
            key="correlated_residuals",
            title="What the reconstruction leaves over has shape",
            measured=f"Residuals of neighbouring pixels have the correlation {found:.2f} +- "
            f"{error:.2g} (0 for a likelihood of independent pixels that is right).",
            meaning="Whole patches are off together: details are missing that are larger than a pixel. "
            "Samples with independent noise look grainy.",
            change="Train for longer or take more latents; or a likelihood of correlated residuals "
            "(structured_vae).",
            command=first(
                [
                    again(subject.run, {}, recipe="structured_vae")
                    if subject.run.spec.kind in ("real", "unit")
                    else "",
                    longer(subject.run),
                ]
            ),
            severity="warning" if found >= VERY_ALIKE and not going_on(subject) else "note",
        )
    ]


def kind(subject: Subject) -> list[Finding]:
    """Coins for data that are no coins."""
    p, x = subject.likelihood, subject.held_out.x
    if not isinstance(p, Bernoulli):
        return []
    between = float(((x > 0) & (x < 1)).double().mean())
    outside = float(((x < 0) | (x > 1)).double().mean())
    if not between and not outside:
        return []
    wrong = outside > 0 or not p.grey
    return [
        Finding(
            key="not_binary",
            title="The likelihood is one of coins, and the data are none",
            measured=f"{100 * between:.1f} % of the held-out values lie between 0 and 1, and "
            f"{100 * outside:.1f} % outside, from {float(x.min()):.3g} to {float(x.max()):.3g}.",
            meaning="The numbers are no log-likelihoods: nothing that is computed from them can be compared "
            "with other models."
            if wrong
            else "As is usual for grey levels, the loss is the mean cost of pixels drawn with them: a good "
            "training loss, and no density of the levels themselves.",
            change="Take a density of grey levels (continuous_bernoulli, logistic or gaussian), or binarise.",
            command=_with(subject, "continuous_bernoulli" if not outside else "gaussian"),
            severity="problem" if wrong else "note",
        )
    ]


def saturated(subject: Subject) -> list[Finding]:
    """Held-out values that were given a chance below 1/10,000, and what they cost of all.

    Coins that are right meet such a value less than once in 10,000 elements that were given one; here their
    share of the whole distortion counts, from a tenth on.
    """
    p = subject.likelihood
    if not isinstance(p, Bernoulli) or p.grey:
        return []
    cost = certain = wrong = whole = count = 0.0
    for x, q in subject.parts(subject.held_out):
        if not isinstance(q, Bernoulli):
            return []
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            q.logits.expand_as(x), x, reduction="none"
        )
        dear, sure = each > math.log(1e4), q.logits.abs() > math.log(1e4)
        cost, whole = cost + float(each[dear].sum()), whole + float(each.sum())
        wrong, certain, count = wrong + float(dear.sum()), certain + float(sure.sum()), count + x.numel()
    if wrong < 5 or cost < 0.1 * whole:
        return []
    return [
        Finding(
            key="saturated",
            title="The decoder is certain, and wrong",
            measured=f"{100 * certain / count:.1f} % of the outputs give one value a chance below 1 in "
            "10,000; it "
            f"came {wrong:.0f} times nevertheless, which is {100 * cost / whole:.0f} % of the distortion.",
            meaning="Logits have grown without bound: single pixels ruin the likelihood of whole data.",
            change="Stop earlier, or lower the learning rate.",
            command=again(subject.run, {"patience": 5}),
            severity="warning",
        )
    ]


def _grey(p: Distribution | None) -> bool:
    return isinstance(p, Bernoulli) and p.grey


def _covered(subject: Subject) -> str:
    """The coverage of central intervals in words, or "" where there are none."""
    found = []
    with evaluating(subject.model, subject.seed):
        for x, p in subject.parts(subject.held_out):
            values = run_pit.transform(p, x)
            if values is None:
                return ""
            found.append(values.flatten(1).double())
    return run_pit.worded(run_pit.coverage(torch.cat(found)))


def _with(subject: Subject, likelihood: str) -> str:
    """The run again with another likelihood, if its recipe has the choice."""
    return again(subject.run, {"likelihood": likelihood})
