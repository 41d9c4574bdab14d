"""Codebooks of which hardly any entry is used."""

from __future__ import annotations

from vaekit.doctor.finding import Finding
from vaekit.doctor.run_command import again, first
from vaekit.doctor.run_subject import Subject
from vaekit.metrics.codes import code_use


def codebook(subject: Subject) -> list[Finding]:
    """Codebook collapse: a perplexity of the codes below 2 % of their number, or below 2 codes.

    The perplexity can be no larger than the number of codes that were drawn, N data times P positions, and
    this bound counts where it is smaller than the codebook. Small sets use few of many codes in good health:
    between 2 % and 10 % it is a note.
    """
    found = []
    uses = code_use(subject.model, subject.splits.test, seed=subject.seed, limit=subject.most)
    for name, use in uses.items():
        room = min(use.codes, use.positions * use.n)
        share = use.perplexity / room
        if room < 3 or (share > 0.1 and use.perplexity > 2):
            continue
        collapsed = share < 0.02 or use.perplexity <= 2
        smaller = max(2, min(use.codes // 2, 2 * use.used))
        found.append(
            Finding(
                key="codebook_collapse" if collapsed else "spare_codes",
                title=f"Hardly any code of {name} is used"
                if collapsed
                else f"Most codes of {name} are spare",
                measured=f"The codes of {name} have the perplexity {use.perplexity:.1f} of {use.codes}; "
                f"{use.used} occur in {use.positions} positions of {use.n} held-out data.",
                meaning="The codebook has collapsed: a few entries stand for everything, and the others are "
                "never chosen, so they do not learn."
                if collapsed
                else "The model makes do with a part of its codebook.",
                change="Restart codes that are not used (--restart above 0), learn the codebook more "
                "slowly, or take fewer codes."
                if collapsed
                else f"Nothing has to change; {smaller} codes would do.",
                command=first(
                    [
                        again(subject.run, {"codes": smaller, "restart": 0.05}),
                        again(subject.run, {"codes": smaller}),
                    ]
                ),
                severity="warning" if collapsed else "note",
            )
        )
    return found
