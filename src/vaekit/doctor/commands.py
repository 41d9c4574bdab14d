"""The command that tries a change, for the kind of source that the data come from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vaekit.doctor.sample import Sample

_NOT_THERE = ("seed", "memory")
"""Data options that the command line has not: the split and its memory are always the usual ones there."""


def train(sample: Sample, changes: Mapping[str, Any], recipe: str = "vae") -> str:
    """`vaekit train ...` on the same data with other options; empty for data without a name.

    Args:
        sample: says how the data were named and loaded.
        changes: options of the recipe, of the training or of the data; None takes one away.
        recipe: what is trained.
    """
    return "" if sample.source is None else line(sample.source, recipe, {**sample.options, **changes})


def line(source: str, recipe: str, options: Mapping[str, Any]) -> str:
    """`vaekit train RECIPE SOURCE` with options as they are written on a command line."""
    words = ["vaekit", "train", recipe, source]
    for name, value in options.items():
        if name in _NOT_THERE:
            continue
        option = f"--{name.replace('_', '-')}"
        if value is None or value is False:
            words += [] if value is None else [f"--no-{option[2:]}"]
        elif value is True:
            words.append(option)
        elif isinstance(value, tuple | list):
            words += [option, *map(str, value)] if value else []
        else:
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)


def without_columns(sample: Sample, columns: Sequence[int]) -> str:
    """Train without some columns; empty where nothing would be left, or the data have no name."""
    if sample.source is None or len(columns) >= sample.x.shape[1]:
        return ""
    if sample.spec.columns is not None:
        names = [sample.spec.columns[k] for k in columns]
        return train(sample, {"drop": tuple(dict.fromkeys([*sample.options.get("drop", ()), *names]))})
    return rewritten(sample, f"np.delete(x, {list(map(int, columns))}, axis=1)", "columns")


def without_repeats(sample: Sample) -> str:
    """Train on each different row once; empty for sources whose rows no short command can take away."""
    path = Path(sample.source or "")
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        out = path.with_suffix(f".once{path.suffix}").name
        kept = f"awk '!seen[$0]++' {shlex.quote(str(path))} > {shlex.quote(out)}"
        return f"{kept} && {line(out, 'vae', sample.options)}"
    rows = "x[np.sort(np.unique(x, axis=0, return_index=True)[1])]"
    return rewritten(sample, rows, "once")


def rewritten(sample: Sample, expression: str, word: str, changes: Mapping[str, Any] | None = None) -> str:
    """Write another array than that of an .npy file to the current folder, and train on it; empty for other
    sources.

    Args:
        sample: of the data.
        expression: the new array, in terms of `x` and `np`.
        word: goes into the name of the new file.
        changes: of the options; None takes one away.
    """
    path = Path(sample.source or "")
    if path.suffix.lower() != ".npy":
        return ""
    out = path.with_suffix(f".{word}.npy").name
    code = f"import numpy as np; x = np.load({str(path)!r}); np.save({out!r}, {expression})"
    trained = line(out, "vae", {**sample.options, **(changes or {})})
    return f"python -c {shlex.quote(code)} && {trained}"
