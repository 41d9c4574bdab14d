"""What a training or an evaluation ends with: the figures, what they mean, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaekit.cli.words import bold, count, table
from vaekit.data.spec import Spec


def effort(spec: Spec, size: int) -> tuple[int, int]:
    """(data, samples) of the default evaluation: the largest that a small machine does in some seconds.

    The cost of the likelihood grows with data x samples x dimensions, so each is bounded by the others; the
    same data always get the same numbers.
    """
    if size * 5000 * spec.dimensions <= 2e8:
        return size, 5000
    # beyond 1,024 dimensions the networks are convolutional, and dearer for every one of them
    samples, budget = (1000, 6e8) if spec.dimensions <= 1024 else (200, 1e8)
    return min(size, max(100, int(budget / (samples * spec.dimensions)))), samples


def figures(record: Mapping[str, Any], split: str) -> str:
    """The figures of an evaluation, one a line with what it means; what is missing says why."""
    notes = record.get("notes", {})
    rows: list[tuple[str, str]] = []
    if "elbo" in record:
        about = {
            "elbo": ("ELBO", "lower bound on log p(x): higher is better"),
            "distortion": ("distortion", "what the reconstruction loses"),
            "rate": ("rate", "what the latents carry"),
        }
        rows += [(title, f"{number(record, key)}  {text}") for key, (title, text) in about.items()]
    if record.get("squared_error") is not None:
        lost = f"{record['squared_error']:10.4f} +- {record['squared_error_se'] or 0:<6.4f}"
        rows.append(("squared error", f"{lost}  what the reconstruction loses, an element"))
    if "nll" in record:
        bits = record.get("bits_per_dim")
        density = "" if bits is None else f", {bits:.3f} bits per dimension"
        rows.append(("NLL", f"{number(record, 'nll')}  -log p(x){density}"))
    if "active_units" in record:
        used = f"{record['active_units']:>10} of {record['latents']:<6}"
        rows.append(("active", f"{used}  latents that are in use"))
    for name, use in record.get("codes", {}).items():
        share = f"{use['perplexity']:>10.1f} of {use['codes']:<6}"
        rows.append((f"codes {name}", f"{share}  perplexity of its codes; {use['used']} occur"))
    if record.get("error") is not None:
        errors = f"{100 * record['error']:10.2f} +- {100 * record['error_se']:<6.2f}"
        rows.append(("error", f"{errors}  % of the labels are told wrong"))
    lines = [bold(about_data(record, split))]
    if rows:
        lines += [table(rows), "  In nats per datum, +- standard error over the data."]
    missing: dict[str, list[str]] = {}  # what is missing for one reason is said once
    for name, text in notes.items():
        if "left out" not in text:
            missing.setdefault(text, []).append(name.replace("_", " "))
    lines += [f"  no {', '.join(names)}: {text}" for text, names in missing.items()]
    return "\n".join(lines)


def about_data(record: Mapping[str, Any], split: str) -> str:
    """How many data and samples the figures come from."""
    drawn = record.get("nll_samples")
    words = f"Evaluated on {count(record['n'])} {split} data"
    total = record.get("of")
    if total and total > record["n"]:
        words += f" (of {count(total)})"
    if drawn:
        words += f", {count(drawn)} importance samples each"
    return words


def number(record: Mapping[str, Any], name: str) -> str:
    """A value with its standard error, aligned."""
    value, spread = record.get(name), record.get(f"{name}_se")
    if value is None:
        return f"{'not finite':>20}"
    shown = f"{value:10.2f}"
    return f"{shown} +- {spread:<6.2f}" if spread is not None else f"{shown:<20}"


def next_steps(path: Path, spec: Spec, report: Path | None) -> str:
    """Where everything lies and the commands to type next."""
    run = shlex.quote(str(path))
    places = [("Run", str(path))] + ([] if report is None else [("Report", str(report))])
    commands = [
        (f"vaekit explore {run}", "move through the latents, in the browser"),
        (f"vaekit doctor {run}", "what is wrong with it, and what to change"),
        (f"vaekit sample {run} -n 64", "new data"),
        (f"vaekit reconstruct {run} test", "held-out data beside their reconstructions"),
        (f"vaekit encode {run} test", "latents as an array"),
    ]
    return "\n".join([table(places, indent=0), "", bold("Next"), table(commands)])
