"""New codes on the page: some from every sampler; for each condition, where the sampler looks at it.

A code that was drawn given one condition says nothing of another: p(z|c) may lie elsewhere. The page shows a
code under the condition that it was drawn under, or under any if the draw did not look.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaekit.explorer.arrays import pack
from vaekit.explorer.subject import SEED, Subject

DRAWN = 64
"""Codes of every sampler that the page walks through: for each condition, if there is room."""

_NUMBERS = 250_000  # of all codes of a sampler: about a megabyte
_HOW = {
    "prior": "Codes from the prior: what the model was told that codes look like.",
    "stages": "Codes from the later stages of the run, which learned what codes look like.",
}


def samples(subject: Subject) -> list[dict[str, Any]]:
    """What was drawn from every sampler: (m, K), or (conditions, m, K) where it is `conditional`."""
    found = []
    for name in subject.samplers:
        how = _HOW.get(
            name, f"Codes from the sampler {name}, which was fitted to the codes of the training data."
        )
        codes, conditional = drawn(subject, name)
        found.append({
            "name": name, "codes": pack(subject.coded(codes)), "conditional": conditional, "how": how,
        })  # fmt: skip
    return found


def drawn(subject: Subject, name: str) -> tuple[Tensor, bool]:
    """Codes from a sampler, and whether they differ by the condition that it was given.

    Every condition is given the same noise: a sampler that looks at none draws the same codes each time, and
    they are kept once. Of many conditions, or long codes, each gets fewer draws, one at least.
    """
    if subject.contexts is None:
        return subject.draw(name, DRAWN, SEED), False
    every = subject.contexts[0]
    count = max(1, min(DRAWN, _NUMBERS // (len(every) * subject.size)))
    each = [subject.draw(name, count, SEED, condition) for condition in every.split(1)]
    if all(torch.equal(codes, each[0]) for codes in each):
        return subject.draw(name, DRAWN, SEED), False
    return torch.stack(each), True
