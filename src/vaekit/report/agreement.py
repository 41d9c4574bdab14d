"""How well the codes of all data agree with the prior, in whole: measures, and how to read each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vaekit.data.batch import Data
from vaekit.errors import UnsupportedError
from vaekit.metrics.dependence import Dependence, total_correlation
from vaekit.metrics.latents import mutual_information
from vaekit.metrics.matching import prior_match
from vaekit.report.codes import Codes
from vaekit.report.scores import number

_PAIRS = 800  # data behind the measures that compare all pairs
_FULL = 0.9  # share of ln N at which the information about the datum is at its limit
_KNOWN = 0.01  # p-values below it: the two can be told apart


def agreement(
    codes: Codes, data: Data, evaluation: Mapping[str, Any], seed: int
) -> tuple[list[tuple[str, ...]], list[str], str]:
    """Rows of the table, reasons for what is missing, and a sentence."""
    rows: list[tuple[str, ...]] = []
    reasons: dict[str, list[str]] = {}
    verdict = ""
    n = min(_PAIRS, len(data))
    if isinstance(known := evaluation.get("marginal_kl"), float):
        found, most = (evaluation.get(f"mutual_information{end}") for end in ("", "_bound"))
        full = isinstance(found, float) and isinstance(most, float) and found > _FULL * most
        rows.append(_marginal_kl(known, evaluation.get("mutual_information_n"), full))
    else:
        try:
            told = mutual_information(codes.model, data, n=n, seed=seed)
            full = told.mutual_information > _FULL * told.bound
            rows.append(_marginal_kl(told.marginal_kl, told.n, full))
        except UnsupportedError as error:
            reasons.setdefault(str(error), []).append("marginal KL")
    try:
        match = prior_match(codes.model, data, n=n, permutations=200, seed=seed)
        size = f"; n = {match.n}, {match.permutations} relabellings"
        p = f"p {'=' if match.p_value > 1.5 / match.permutations else '≤'} {match.p_value:.2g}"
        rows.append((
            "Two-sample test", p,
            "The chance of a difference as large (maximum mean discrepancy) if codes and prior were one "
            f"distribution: below {_KNOWN:g} they can be told apart{size}.",
        ))  # fmt: skip
        apart = match.p_value < _KNOWN
        verdict = (
            f"A two-sample test {'tells' if apart else 'cannot tell'} the codes of {match.n} held-out data "
            f"from draws of the prior ({p})"
            + (": samples come from places that differ from where data lie." if apart else ".")
        )
    except (UnsupportedError, ValueError) as error:
        reasons.setdefault(str(error), []).append("two-sample test")
    try:
        parts = total_correlation(codes.model, data, n=min(2000, len(data)), draws=300, seed=seed)
        value = f"{number(parts.total_correlation, parts.total_correlation_se)} ± "
        rows.append((
            "Total correlation", f"{value}{parts.total_correlation_se:.2g} nats",
            "How much the latents depend on each other over the data, which the panels, one latent each, "
            f"cannot show; 0 is independence. {_of_whom(parts)}",
        ))  # fmt: skip
    except UnsupportedError as error:
        reasons.setdefault(str(error), []).append("total correlation")
    said = [f"No {', no '.join(names)}: {reason}." for reason, names in reasons.items()]
    return rows, said, verdict


def _of_whom(parts: Dependence) -> str:
    """In which direction the number of posteriors pulls the total correlation."""
    if parts.n < parts.size:
        return f"From {parts.n} posteriors of {parts.size}, which makes it too low rather than too high."
    return f"Of exactly these {parts.n} data: fewer data make it larger."


def _marginal_kl(value: float, size: Any, full: bool) -> tuple[str, ...]:
    count = f" N = {size}." if isinstance(size, int) else ""
    most = "at most " if full else ""
    return (
        "Marginal KL", f"{most}{number(value)} nats",
        "How far all codes together are from the prior, 0 if they are distributed like it: the rate less the "
        "information about which datum it was, of which N data can show no more than ln N: what is beyond "
        f"that counts as distance.{count}",
    )  # fmt: skip
