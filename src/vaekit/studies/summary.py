"""The page of a study: one HTML file that asks no network for anything, of as many runs as are finished."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vaekit.files import write_text
from vaekit.report.look import (
    DATA,
    INK,
    MODEL,
    PAPER,
    SOFT,
    class_colour,
    dots,
    draw,
    label_text,
    plain_ticks,
)  # fmt: skip
from vaekit.report.parts import Figure, Key, Picture
from vaekit.report.render import render
from vaekit.studies import statistics as figures
from vaekit.studies.study import Study
from vaekit.studies.table import Row, stacking

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_SCORES = 24
"""Scores that have a picture; the table has all."""

_DOTS = 80  # runs of a method that are drawn one by one
_FAILURES = 50  # that are listed


def write_summary(study: Study, table: Sequence[Row], path: Path) -> None:
    """Write the page, whole or not at all.

    Args:
        study: gives title and words.
        table: its rows, see `vaekit.studies.table.rows`.
        path: of the file.
    """
    write_text(path, summary_html(study, table))


def summary_html(study: Study, table: Sequence[Row]) -> str:
    """The page; a pure function of the table."""
    counts = Counter(row["status"] for row in table)
    done = [row for row in table if row["status"] == "finished"]
    names, left_out = _scores(done)
    sets = list(dict.fromkeys(row["data"] for row in done))
    shown: list[Figure] = []
    for number, data in enumerate(sets):
        mine = [row for row in done if row["data"] == data]
        shown += _figures(mine, names, number, f" on {data}" if len(sets) > 1 else "")
    whole = len(done) == len(table)
    return render(
        "study.html",
        kind="vaekit study",
        title=study.title,
        status="finished" if whole else "running" if counts["open"] else "failures",
        facts=_facts(study, table, counts),
        notes=[*_notes(counts, left_out), *stacking(table)],
        about=study.about,
        figures=shown,
        medians=[(data, *_medians([row for row in done if row["data"] == data], names)) for data in sets],
        failures=_failures(table),
        more_failures=max(0, counts["failed"] - _FAILURES),
    )


def _scores(done: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Scores with a picture, and those without: all that do not differ, and the last of too many."""
    names = figures.score_names(done)
    varying = [name for name in names if len(set(figures.numbers(done, name))) > 1]
    return varying[:MOST_SCORES], [name for name in names if name not in varying[:MOST_SCORES]]


def _facts(study: Study, table: Sequence[Row], counts: Counter[str]) -> list[tuple[str, str]]:
    spent = sum(row.get("seconds") or 0.0 for row in table)
    found = [
        ("runs", f"{len(table):,}"),
        ("finished", f"{counts['finished']:,}"),
        ("failed", f"{counts['failed']:,}"),
        ("open", f"{counts['open']:,}"),
        ("methods", f"{len({row['method'] for row in table})}"),
        ("seeds", f"{len({row['seed'] for row in table})}"),
        ("compute", f"{spent / 3600:.2f} h"),
    ]
    if study.said > len(table):
        found.insert(1, ("said", f"{study.said:,}, equal ones are one run"))
    return found


def _notes(counts: Counter[str], left_out: Sequence[str]) -> list[str]:
    found = []
    if counts["open"]:
        what = "One run is" if counts["open"] == 1 else f"{counts['open']:,} runs are"
        found.append(f"{what} not finished yet: what follows is about {counts['finished']:,}.")
    if left_out:
        more = f", and {len(left_out) - 12} more" if len(left_out) > 12 else ""
        found.append(f"Without a picture, in the table alone: {', '.join(left_out[:12])}{more}.")
    return found


def _figures(table: Sequence[Row], names: Sequence[str], number: int, on: str) -> Iterator[Figure]:
    """The figures of one data set."""
    names = [name for name in names if len(figures.numbers(table, name)) > 1]
    if not names:
        return
    methods = list(dict.fromkeys(row["method"] for row in table))
    counted = f"{len(table):,} runs, {len({row['seed'] for row in table})} seeds."
    yield Figure(
        key=f"methods-{number}",
        title=f"Scores by method{on}",
        how="One point a run, over all strengths and seeds; the outline is their density. Where the outlines "
        "of two methods overlap widely, the choice between them decides little.",
        pictures=tuple(_violins(f"m{number}-{i}", name, table, methods) for i, name in enumerate(names)),
        caption=f"{counted} Outlines end at the smallest and the largest run.",
    )
    strengths = figures.strength_of(table)
    strong = [method for method in methods if strengths[method] is not None]
    steered = [row for row in table if row["method"] in strong]
    if shown := [name for name in names if len(figures.numbers(steered, name)) > 1]:
        told = ", ".join(f"{m}: {(strengths[m] or '').removeprefix('arguments.')}" for m in strong)
        yield Figure(
            key=f"strengths-{number}",
            title=f"Scores against strength{on}",
            how="From the weakest to the strongest regulariser of every method: the line is the median over "
            "seeds, the band goes from the smallest to the largest.",
            pictures=tuple(
                _against_strength(f"s{number}-{i}", name, table, strong, strengths)
                for i, name in enumerate(shown)
            ),
            keys=tuple(Key(m, f"class-{methods.index(m) % 10}") for m in strong),
            caption=f"Strengths are {told}; they stand at equal distances. {counted}",
        )
    parts = [(name, found) for name in names if (found := figures.spread_of(table, name)) is not None]
    yield Figure(
        key=f"spread-{number}",
        title=f"Where the spread comes from{on}",
        how="The variance of a score over all runs, in three parts: between methods, between the strengths "
        "of a method, between the seeds of a strength. Where the first is small, another seed or strength "
        "matters more than another method.",
        pictures=(_bars(f"v{number}", parts),),
        keys=(Key("method", "data"), Key("strength", "model"), Key("seed", "soft")),
        caption=f"Shares of the sum of squares. Groups of few runs explain a part by chance: {counted}",
    )
    if len(names) > 1 and len(table) > 2:
        yield Figure(
            key=f"agreement-{number}",
            title=f"Which scores agree{on}",
            how="Spearman's rank correlation between scores over all runs, in hundredths: 100 where two "
            "rank the runs alike, -100 where one ranks them in the opposite order.",
            pictures=(_correlations(f"c{number}", table, names),),
            keys=(Key("alike", "data"), Key("opposite", "model")),
            caption=counted,
        )


def _violins(key: str, name: str, table: Sequence[Row], methods: Sequence[str]) -> Picture:
    values = [figures.numbers([row for row in table if row["method"] == m], name) for m in methods]
    rng = np.random.default_rng(0)

    def paint(ax: Axes) -> None:
        for i, mine in enumerate(values):
            colour = class_colour(i)
            if len(mine) > 2 and max(mine) > min(mine):
                outline: Any = ax.violinplot([mine], [i], widths=0.8, showextrema=False)
                for body in outline["bodies"]:
                    body.set(facecolor=colour, edgecolor=colour, alpha=0.3)
            if 0 < len(mine) <= _DOTS:
                across = i + 0.22 * (rng.random(len(mine)) - 0.5) * (len(mine) > 1)
                dots(ax, across, np.array(mine), colour, 3.6, 0.8)
            if mine:
                middle = float(np.median(mine))
                ax.plot([i - 0.25, i + 0.25], [middle, middle], color=INK, linewidth=1.6)
        ax.set_xlim(-0.6, len(methods) - 0.4)
        ax.set_xticks(range(len(methods)), _short(methods), rotation=40, ha="right", rotation_mode="anchor")
        plain_ticks(ax.yaxis)

    said = "; ".join(_words(method, mine) for method, mine in zip(methods, values, strict=True))
    size = (max(1.6, 0.42 * len(methods) + 0.9), 2.5)
    return draw(key, f"{name} by method: {said}.", paint, size=size, label=_title(name))


def _words(method: str, values: Sequence[float]) -> str:
    if not values:
        return f"{method} has none"
    median, low, high = figures.median_and_range(values)
    return f"{method} median {median:.3g}, {low:.3g} to {high:.3g}"


def _against_strength(
    key: str, name: str, table: Sequence[Row], methods: Sequence[str], strengths: dict[str, str | None]
) -> Picture:
    order = list(dict.fromkeys(row["method"] for row in table))
    lines = []
    for method in methods:
        mine = [row for row in table if row["method"] == method and row.get(name) is not None]
        steps = sorted({s for row in mine if (s := figures.strength(row, strengths)) is not None})
        cells = [
            figures.median_and_range([row[name] for row in mine if figures.strength(row, strengths) == step])
            for step in steps
        ]
        lines.append((method, class_colour(order.index(method)), steps, np.array(cells).reshape(-1, 3)))
    longest = max(len(steps) for _, _, steps, _ in lines)

    def paint(ax: Axes) -> None:
        for _, colour, steps, cells in lines:
            places = np.arange(len(steps), dtype=float)
            ax.fill_between(places, cells[:, 1], cells[:, 2], color=colour, alpha=0.13, linewidth=0)
            ax.plot(places, cells[:, 0], color=colour)
            dots(ax, places, cells[:, 0], colour, 4.5, 1.0)
        ax.set_xticks(range(longest), [str(i + 1) for i in range(longest)])
        ax.set_xlabel("strength, from weak to strong")
        plain_ticks(ax.yaxis)

    said = "; ".join(
        f"{method} "
        + ", ".join(f"{cell[0]:.3g} at {step:g}" for step, cell in zip(steps, cells, strict=True))
        for method, _, steps, cells in lines
    )
    return draw(key, f"Median {name} by strength: {said}.", paint, size=(2.8, 2.3), label=_title(name))


def _bars(key: str, parts: Sequence[tuple[str, figures.Shares]]) -> Picture:
    names = [_title(name) for name, _ in parts]

    def paint(ax: Axes) -> None:
        for i, (_, found) in enumerate(parts):
            left = 0.0
            for share, colour in ((found.methods, DATA), (found.strengths, MODEL), (found.seeds, SOFT)):
                ax.barh(i, 100 * share, left=100 * left, height=0.66, color=colour, alpha=0.85)
                if share >= 0.06:
                    ax.text(100 * (left + share / 2), i, f"{100 * share:.0f}", color=PAPER, ha="center",
                            va="center", fontsize=10)  # fmt: skip
                left += share
        ax.set_yticks(range(len(names)), names)
        ax.invert_yaxis()
        ax.set_xlim(0, 100)
        ax.set_xlabel("% of the variance")
        ax.grid(False)

    said = "; ".join(
        f"{name} {100 * p.methods:.0f} % method, {100 * p.strengths:.0f} % strength, "
        f"{100 * p.seeds:.0f} % seed"
        for name, p in parts
    )
    return draw(key, f"Shares of the variance: {said}.", paint, size=(5.6, 0.5 + 0.24 * len(names)))


def _correlations(key: str, table: Sequence[Row], names: Sequence[str]) -> Picture:
    count = len(names)
    matrix = np.full((count, count), np.nan)
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            pairs = [
                (row[first], row[second]) for row in table
                if row.get(first) is not None and row.get(second) is not None
            ]  # fmt: skip
            if len(pairs) > 2:
                matrix[i, j] = figures.rank_correlation(*zip(*pairs, strict=True))
    titles = [_title(name) for name in names]

    def paint(ax: Axes) -> None:
        from matplotlib.patches import Rectangle

        for i in range(count):
            for j in range(count):
                value = matrix[i, j]
                if math.isnan(value):
                    continue
                colour = DATA if value > 0 else MODEL
                ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, color=colour, alpha=0.75 * abs(value), lw=0))
                ax.text(j, i, f"{100 * value:.0f}", color=INK, ha="center", va="center", fontsize=9)
        ax.set_xlim(-0.5, count - 0.5)
        ax.set_ylim(count - 0.5, -0.5)
        ax.set_xticks(range(count), titles, rotation=40, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(count), titles)
        ax.grid(False)

    told = [
        f"{titles[i]} and {titles[j]} {matrix[i, j]:.2f}"
        for i in range(count) for j in range(i) if not math.isnan(matrix[i, j])
    ]  # fmt: skip
    side = 0.32 * count
    return draw(key, f"Rank correlations: {'; '.join(told)}.", paint, size=(side + 2.2, side + 1.5))


def _medians(table: Sequence[Row], names: Sequence[str]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Methods across, scores down: median and range."""
    methods = list(dict.fromkeys(row["method"] for row in table))
    lines = []
    for name in names:
        cells = []
        for method in methods:
            mine = figures.numbers([row for row in table if row["method"] == method], name)
            cells.append(_cell(mine))
        lines.append((name, cells))
    return methods, lines


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "none"
    median, low, high = figures.median_and_range(values)
    return f"{median:.3g} ({low:.3g} to {high:.3g})" if len(values) > 1 else f"{median:.3g}"


def _failures(table: Sequence[Row]) -> list[tuple[str, str, str]]:
    """(run, what it was, its error) of the first that failed."""
    found = []
    for row in [row for row in table if row["status"] == "failed"][:_FAILURES]:
        said = ", ".join(
            f"{name.removeprefix('arguments.')} {value}" for name, value in row.items()
            if name.startswith("arguments.") and value is not None
        )  # fmt: skip
        found.append(
            (row["hash"], f"{row['method']} on {row['data']}, seed {row['seed']}: {said}", row["error"])
        )
    return found


def _short(methods: Sequence[str]) -> list[str]:
    return [label_text(method, 16) for method in methods]


def _title(name: str) -> str:
    """A score's name without its label, where the label says nothing: "evaluation/elbo" is "elbo"."""
    label, _, figure = name.partition("/")
    plain = label in ("evaluation", "disentanglement", figure)
    return label_text((figure if plain else name).replace("_", " "), 32)
