"""Sequences of tokens as text: what comes back of them, and new ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.data.spec import Spec
from vaekit.report.codes import Codes
from vaekit.report.look import label_text
from vaekit.report.parts import Cell, Figure, Table
from vaekit.report.walks import draw_noise, prior_context, source_word

_ROWS = 8
_TOKENS = 160


def vocabulary_of(spec: Spec) -> Sequence[str] | None:
    """The texts of the tokens, where the data are sequences of them."""
    found = getattr(spec, "vocabulary", None)  # older records of data have none
    return found if found and spec.kind == "categorical" and len(spec.shape) == 1 else None


@torch.no_grad()
def rebuilt_texts(words: Sequence[str], codes: Codes, held: str) -> Figure:
    """Held-out sequences beside what comes back, what differs marked."""
    some = slice(0, _ROWS)
    x = codes.batch["x"][some].long()
    back = likeliest(codes.decode(codes.means[some], codes.context(some)))
    rows = []
    for number, (before, after) in enumerate(zip(x, back, strict=True)):
        rows.append((f"datum {number + 1}", text(words, before), text(words, after, before)))
    right = float((x == back).double().mean())
    return Figure(
        key="reconstructions",
        title="Reconstructions",
        how="The right column is what comes back of the left one through the latents: what is marked "
        "differs, and is what the latents do not carry.",
        tables=(Table(("", f"{held} datum", "its reconstruction"), tuple(rows), texts=True),),
        caption=f"{len(x)} {held} data; the most probable token at every place, at the posterior mean.",
        found=f"{100 * right:.0f} % of these tokens come back.",
    )


@torch.no_grad()
def sampled_texts(words: Sequence[str], codes: Codes) -> Figure:
    """Sequences decoded from draws of the prior."""
    context, said = prior_context(codes, _ROWS)
    p = codes.source.generate(_ROWS, context)
    drawn = draw_noise(p)
    made = likeliest(p) if drawn is None else drawn.long()
    rows = tuple((f"sample {i + 1}", text(words, row)) for i, row in enumerate(made))
    return Figure(
        key="samples",
        title="Samples from the prior",
        how="These were never data: where they read like data, the prior is filled by the data's codes.",
        tables=(Table(("", "text"), rows, texts=True),),
        caption=f"{len(made)} draws of the {source_word(codes)}{said}.",
    )


def likeliest(p: Distribution) -> Tensor:
    """The most probable token at every place, (N, T) int64."""
    try:
        found: Tensor = p.mode
    except NotImplementedError:
        found = p.mean.round()
    return found.long()


def text(words: Sequence[str], tokens: Tensor, beside: Tensor | None = None) -> Cell:
    """Tokens as they read, those that differ from `beside` marked; control characters are left out."""
    pieces: list[tuple[str, bool]] = []
    gap = "" if all(len(word) <= 1 for word in words) else " "
    for place, token in enumerate(tokens.tolist()[:_TOKENS]):
        marked = beside is not None and int(beside[place]) != token
        word = words[token] if 0 <= token < len(words) else "\ufffd"
        shown = (label_text(word, 40) if word.strip() else word.replace("\n", "\u23ce")) + gap
        if pieces and pieces[-1][1] == marked:
            pieces[-1] = (pieces[-1][0] + shown, marked)
        else:
            pieces.append((shown, marked))
    if len(tokens) > _TOKENS:
        pieces.append(("\u2026", False))
    return tuple(pieces)
