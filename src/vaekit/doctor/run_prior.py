"""Prior holes: whether the codes of the data fill the prior that samples are drawn from."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vaekit.doctor.finding import Finding
from vaekit.doctor.run_command import of_run
from vaekit.doctor.run_subject import Seen, Subject
from vaekit.errors import UnsupportedError
from vaekit.metrics.latents import mutual_information
from vaekit.metrics.passes import evaluating, split_batch
from vaekit.models import without_withheld
from vaekit.terms.parts import given_data

WIDEST = 32
"""Latents that the classifier sees, the most used ones: the time grows with their number."""

APART, FAR = 0.75, 0.9
"""Share of codes and draws that a classifier tells apart: worth saying, and a fault. It is 1/2 where the two
are one distribution; two unit Gaussians in one dimension reach 0.75 at 1.3 and 0.9 at 2.6 standard deviations
between their means."""

ASTRAY = 0.5
"""Share of draws that decode to what no datum decodes to, from which it is a fault: a classifier finds a
difference in most models that are good, and it does no harm where the decoder copes with it."""


def holes(subject: Subject) -> list[Finding]:
    """A density-ratio classifier between codes of the data and draws from the prior, on data of its own.

    It learns from posterior draws for training data, and is asked about those for held-out data and fresh
    draws from the prior. At four standard errors above the limit, 1/(2 sqrt(n)) each for n of both, a false
    alarm where the two are one distribution is out of the question.
    """
    what = "holes in the prior"
    codes = subject.held_out.codes
    if not codes.labels:
        return []
    if subject.prior_comes_later:
        later = "codes have a prior that is learned afterwards", "new data come from a later stage"
        return subject.leave_out(what, later[0 if codes.discrete else 1])
    if not subject.decodes:
        return []  # there is worse to say
    try:
        parts = [_pair(subject, seen) for seen in (subject.train, subject.held_out)]
    except UnsupportedError:
        return subject.leave_out(what, "latents hang on each other, on a label or on a condition")
    found = (*parts[0], *parts[1])
    if len(found[2]) < 50:
        return subject.leave_out(what, "there are fewer than 50 held-out data")
    kept = subject.held_out.codes.order[:WIDEST]
    accuracy, error = told_apart(*(part[:, kept] for part in found), seed=subject.seed)
    if accuracy - 4 * error < 0.5 or accuracy < APART:
        return []
    astray = _astray(subject, found[0], found[2], found[3])
    far = accuracy >= FAR and astray >= ASTRAY
    return [
        Finding(
            key="prior_holes",
            title="Codes of the data and draws from the prior are told apart",
            measured=f"A classifier tells the codes of {len(found[2])} held-out data from as many draws from "
            f"the prior in {100 * accuracy:.0f} +- {100 * error:.0f} % of the cases (50 % where they are "
            f"alike). {100 * astray:.0f} % of the draws decode to something farther from all that training "
            "data decode to than 99 % of the held-out data do (1 % where they are "
            f"alike).{_information(subject)}",
            meaning="Samples start from places where hardly any datum lies, and the decoder never "
            "learnt what belongs there: samples are worse than reconstructions.",
            change="Draw new data from a density that is fitted to the codes; or weigh the rate more.",
            command=of_run("sample", subject.run, "--sampler", "mixture"),
            severity="warning" if far else "note",
        )
    ]


def _astray(subject: Subject, codes: Tensor, new_codes: Tensor, new_draws: Tensor) -> float:
    """Share of draws that decode to something new: farther from what training codes decode to than the
    99th percentile of held-out codes.
    """
    seen = subject.held_out.codes
    like = seen.draws

    def decoded(rows: Tensor) -> Tensor:
        pieces = []
        with evaluating(subject.model, subject.seed):
            for start in range(0, len(rows), 250):
                part = rows[start : start + 250].to(like)
                context = seen.context(torch.arange(start, start + len(part)) % len(seen.draws))
                pieces.append(seen.decode(part, context).mean.flatten(1))
        return torch.cat(pieces).clone()

    known, own, drawn = decoded(codes), decoded(new_codes), decoded(new_draws)
    usual = torch.cdist(own, known).min(1).values.quantile(0.99)
    return float((torch.cdist(drawn, known).min(1).values > usual).double().mean())


def told_apart(
    codes: Tensor, draws: Tensor, new_codes: Tensor, new_draws: Tensor, *, seed: int = 0
) -> tuple[float, float]:
    """How often boosted trees tell new codes from new draws, and the standard error of that share.

    Args:
        codes, draws: what they learn from, (N, K) each.
        new_codes, new_draws: what they are asked about, (M, K) each.
        seed: of the trees.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    def rows(first: Tensor, second: Tensor) -> Tensor:
        both = torch.cat([first, second]).double()
        return torch.cat([both, both.square().sum(1, keepdim=True)], 1)  # the radius, which no tree can sum

    trees = HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=15, learning_rate=0.1, early_stopping=False, random_state=seed % 2**32
    )
    with threadpool_limits(1, user_api="openmp"):  # its threads would wait for each other
        trees.fit(rows(codes, draws).numpy(), _labels(codes, draws).numpy())
        share = trees.score(rows(new_codes, new_draws).numpy(), _labels(new_codes, new_draws).numpy())
    return float(share), 0.5 / math.sqrt(len(new_codes) + len(new_draws))


def _labels(first: Tensor, second: Tensor) -> Tensor:
    return torch.cat([torch.ones(len(first)), torch.zeros(len(second))])


def _pair(subject: Subject, seen: Seen) -> tuple[Tensor, Tensor]:
    """Codes and as many draws from the prior."""
    draws = []
    with evaluating(subject.model, subject.seed + len(seen.x)):
        for piece in split_batch(without_withheld(subject.model, seen.codes.batch), 250):
            latents = given_data(subject.model.infer(piece)).values()
            if any(latent.p.batch_shape for latent in latents):
                raise UnsupportedError("the prior depends on the condition")
            lead = torch.Size([len(piece["x"])])
            draws.append(torch.cat([latent.p.sample(lead).flatten(1).double() for latent in latents], 1))
    return seen.codes.draws.double().clone(), torch.cat(draws).clone()


def _information(subject: Subject) -> str:
    """The marginal KL in words, or "" where it cannot be estimated."""
    try:
        found = mutual_information(subject.model, subject.splits.test, n=500, seed=subject.seed)
    except UnsupportedError:
        return ""
    if found.mutual_information > 0.8 * found.bound:
        return ""  # so many data cannot tell: what they share of the rate cannot pass ln N
    return f" KL(q(z) || p(z)) is about {found.marginal_kl:.2f} of the {found.rate:.2f} nats of the rate."
