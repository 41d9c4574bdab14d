"""Sequences of tokens as text: what comes back of them, new ones, and the way between two."""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.data.conditions import by_class
from vaekit.data.restore import shown
from vaekit.data.spec import Spec
from vaekit.report.between import HOW_TABLES, some_pairs, ways
from vaekit.report.codes import Codes
from vaekit.report.look import clean_text, label_text
from vaekit.report.parts import Cell, Figure, Table
from vaekit.report.walks import draw_noise, prior_context, source_word

_ROWS = 8
_TOKENS = 160


@torch.no_grad()
def rebuilt_texts(spec: Spec, codes: Codes, held: str) -> Figure:
    """Held-out sequences beside what comes back, what differs marked."""
    some = slice(0, _ROWS)
    x = codes.batch["x"][some].long()
    back = shown(spec, codes.decode(codes.means[some], codes.context(some))).long()
    rows = tuple(
        (f"datum {number + 1}", text(spec, before), text(spec, after, before))
        for number, (before, after) in enumerate(zip(x, back, strict=True))
    )
    right = float((x == back).double().mean())
    return Figure(
        key="reconstructions",
        title="Reconstructions",
        how="The right column is what comes back of the left one through the latents: what is marked "
        "differs, and is what the latents do not carry.",
        tables=(Table(("", f"{held} datum", "its reconstruction"), rows, texts=True),),
        caption=f"{len(x)} {held} data; the most probable token at every place, at the posterior mean.",
        found=f"{100 * right:.0f} % of these tokens come back.",
    )


@torch.no_grad()
def sampled_texts(spec: Spec, codes: Codes) -> Figure:
    """Sequences decoded from draws of the prior."""
    context, said = prior_context(codes, _ROWS)
    given = _given(spec, codes)
    p = codes.source.generate(_ROWS, context)
    drawn = draw_noise(p)
    made = (shown(spec, p) if drawn is None else drawn).long()
    likely = shown(spec, p).long()
    rows = tuple(
        (f"sample {i + 1}{given[i % len(given)]}", text(spec, one), text(spec, other))
        for i, (one, other) in enumerate(zip(likely, made, strict=True))
    )
    return Figure(
        key="samples",
        title="Samples from the prior" if source_word(codes) == "prior" else "Samples from the stages",
        how="These were never data: where they read like data, the prior is filled by the data's codes.",
        tables=(Table(("", "the most probable tokens", "drawn from the likelihood"), rows, texts=True),),
        caption=f"{len(made)} draws of the {source_word(codes)}{said}, each decoded in two ways.",
    )


def _given(spec: Spec, codes: Codes) -> list[str]:
    """Under which condition each draw is made, as `prior_context` has them in turn."""
    if not by_class(codes.batch):
        return [
            f", given that of datum {i + 1}" if "c" in codes.batch else "" for i in range(len(codes.means))
        ]
    names = spec.class_labels(codes.batch["c"].shape[1])
    return [f", given {label_text(names[int(k)])}" for k in codes.batch["y"]]


@torch.no_grad()
def texts_between(spec: Spec, codes: Codes, held: str) -> Figure:
    """The way from one held-out sequence to another, as text."""
    pairs = some_pairs(codes, 2)
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    tables = []
    for number, ((first, second), line) in enumerate(
        zip(pairs, ways(codes, pairs, len(shares), lambda p: shown(spec, p)), strict=True)
    ):
        rows: list[tuple[Cell, ...]] = [("this datum", text(spec, codes.batch["x"][first].long()))]
        rows += [(f"{100 * t:.0f} %", text(spec, one.long())) for t, one in zip(shares, line, strict=True)]
        rows.append(("that datum", text(spec, codes.batch["x"][second].long())))
        tables.append(Table(("place", "text"), tuple(rows), label=f"pair {number + 1}", texts=True))
    return Figure(
        key="between",
        title="Between two data",
        how=HOW_TABLES,
        tables=tuple(tables),
        caption=f"The most probable tokens; those at 0 and 100 % are the reconstructions of the two {held} "
        "data.",
    )


def text(spec: Spec, tokens: Tensor, beside: Tensor | None = None) -> Cell:
    """Tokens as they read, those that differ from `beside` marked; control characters are left out.

    Args:
        spec: with a vocabulary.
        tokens: their numbers, (T,).
        beside: others, (T,).
    """
    names = spec.vocabulary or ()
    pieces: list[tuple[str, bool]] = []
    for place, token in enumerate(tokens.tolist()[:_TOKENS]):
        marked = beside is not None and int(beside[place]) != token
        word = clean_text(names[token].replace("\n", "\u23ce"))
        if pieces and pieces[-1][1] == marked:
            pieces[-1] = (pieces[-1][0] + word, marked)
        else:
            pieces.append((word, marked))
    if len(tokens) > _TOKENS:
        pieces.append(("\u2026", False))
    return tuple(pieces)
