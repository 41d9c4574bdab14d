"""The model card: what a model is, what was measured of it and what not, and how to load it."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vaekit.data.spec import Spec
from vaekit.exporting.about import how_scaled
from vaekit.report import scores
from vaekit.runs import Recipe, Run


def card(run: Run, *, pictures: Mapping[str, str], graphs: bool, repository: str | None = None) -> str:
    """The README.md of a folder for the hub: a YAML header and a page in Markdown.

    Every number in it comes from the run's record; where nothing was measured, it says so.

    Args:
        run: what the folder holds.
        pictures: file name -> what it shows.
        graphs: whether ONNX graphs lie in `onnx/`.
        repository: OWNER/NAME, where it is known.
    """
    recipe, spec = str(run.record["recipe"]), run.spec
    title, equation, reference = described(run.recipe)
    lines = [*_header(run, graphs), "", f"# {recipe} on {text(spec.name)}", ""]
    lines += [f"{text(title)}.", ""] if title else []
    lines += [f"    {line}" for line in equation] + [""] * bool(equation)
    for name, what in pictures.items():
        lines += [f"![{what}]({name})", "", f"*{what}.*", ""]
    lines += ["## Use", "", *_use(run, graphs, repository), "## Measured", "", *_measured(run)]
    lines += ["## Data and licence", "", *_data(run)]
    lines += ["## Intended use and limits", "", *_limits(run), "## Record", "", *_record(run)]
    if reference:
        lines += ["", "## Reference", "", reference]
    return "\n".join(lines) + "\n"


def described(recipe: Recipe) -> tuple[str, list[str], str]:
    """Of a recipe's page: its first line, the lines of its equation, and its reference; empty where none."""
    module = inspect.getmodule(inspect.unwrap(recipe))
    page = inspect.cleandoc(getattr(module, "__doc__", None) or "")
    parts = re.split(r"\n\s*\n", page)
    equation = parts[1].splitlines() if len(parts) > 1 and re.search(r"[=|]", parts[1]) else []
    reference = " ".join(parts[-1].split()) if len(parts) > 2 and re.search(r"\d{4}", parts[-1]) else ""
    return parts[0].strip().rstrip("."), equation, reference


def text(words: object) -> str:
    """Words from data or a record, as Markdown shows them: no marks of its own, one line."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(str(words).split()))


def _header(run: Run, graphs: bool) -> list[str]:
    """YAML, with every value as JSON, which is YAML: so that no name can break out of it."""
    tags = ["vaekit", "variational-autoencoder", str(run.record["recipe"]).replace("_", "-")]
    entries: dict[str, Any] = {
        "library_name": "vaekit",
        "license": "unknown",
        "tags": tags + ["onnx"] * graphs,
    }
    if _task(run.spec):
        entries["pipeline_tag"] = _task(run.spec)
    if results := _results(run):
        title = f"{run.record['recipe']} on {_printable(run.spec.name)}"
        entries["model-index"] = [{"name": title, "results": results}]
    said = (f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in entries.items())
    return ["---", *said, "---"]


def _printable(name: str) -> str:
    """A name without what YAML does not allow, such as the control characters that a file name may have."""
    return "".join(letter for letter in name if letter.isprintable())


def _task(spec: Spec) -> str | None:
    plain = spec.is_image and spec.context is None and spec.sound is None
    return "unconditional-image-generation" if plain else None


def _results(run: Run) -> list[dict[str, Any]]:
    """Measured values as the hub's tables want them; none where nothing was measured."""
    evaluation = run.record.get("evaluation") or {}
    metrics = []
    for line in scores.lines(evaluation):
        metric = {"type": line.key, "name": line.title, "value": evaluation[line.key]}
        error = scores.finite(evaluation.get(f"{line.key}_se"))
        metrics.append(metric if error is None else metric | {"args": {"standard_error": error}})
    if not metrics:
        return []
    return [
        {
            "task": {"type": _task(run.spec) or "other", "name": "density estimation"},
            "dataset": {
                "name": _printable(run.spec.name),
                "type": _printable(run.spec.name),
                "split": str(evaluation.get("split", "test")),
            },
            "metrics": metrics,
        }
    ]


def _use(run: Run, graphs: bool, repository: str | None) -> list[str]:
    lines = ["```python", "import vaekit", ""]
    if repository is None:
        lines.append('folder = "."  # this folder')
    else:
        lines += [
            "from huggingface_hub import snapshot_download",
            "",
            f"folder = snapshot_download({json.dumps(repository)})",
        ]
    lines += ["run = vaekit.Run.open(folder)", "model = run.model()  # a torch module, in eval mode"]
    if run.spec.context is None and run.model().names:
        lines.append("new = run.generator().generate(16).mean  # new data")
    elif run.spec.context is None:
        lines.append("new = model.generate(16).mean  # new data")
    lines += [
        "```",
        "",
        "`vaekit sample FOLDER`, `vaekit encode FOLDER DATA` and all other commands that read a run take the "
        "folder too. Loading it runs no code from it: `config.json` names a recipe of vaekit, and "
        "`model.safetensors` holds its weights.",
    ]
    if graphs:
        lines.append("`onnx/` holds decoder and encoder for other runtimes, with a page on how to run them.")
    return [*lines, ""]


def _measured(run: Run) -> list[str]:
    evaluation = run.record.get("evaluation") or {}
    found = scores.lines(evaluation)
    if not found:
        return [f"Nothing was measured yet: `vaekit evaluate` does it. {_training(run)}", ""]
    lines = ["| figure | value | standard error | unit | on |", "| --- | ---: | ---: | --- | --- |"]
    for line in found:
        lines.append(
            f"| {line.title} | {line.value} | {line.error.removeprefix('± ')} | {line.unit} | {line.detail} |"
        )
    lines += ["", *(f"- {line.title}: {line.how}" for line in found)]
    lines += [f"- {text(reason)}" for reason in scores.missing(evaluation)]
    return [*lines, ""]


def _training(run: Run) -> str:
    return "Figures of the training itself are in `metrics.jsonl`." if run.metrics() else ""


def _data(run: Run) -> list[str]:
    spec, sizes = run.spec, run.record.get("sizes") or {}
    counted = ", ".join(f"{scores.plain(count)} {name}" for name, count in sizes.items() if count)
    lines = [f"- Trained on **{text(spec.name)}**" + (f" ({counted})." if counted else ".")]
    lines.append(f"- {how_scaled(spec).replace('`export.json`', '`config.json`, under `spec`')}.")
    if spec.note:
        lines.append(f"- What was done to the data: {text(spec.note)}.")
    if run.record["data"].get("source") is None:
        lines.append("- The data are not part of this folder.")
    lines.append(
        "- The licence of this model is **unknown** to vaekit: it depends on the data, whose licence vaekit "
        "does not know. Whoever shares this folder should put both here."
    )
    return [*lines, ""]


def _limits(run: Run) -> list[str]:
    evaluation = run.record.get("evaluation") or {}
    lines = [
        "- Meant for studying the model and its latents, and for data like those it was trained on. What it "
        "draws repeats what these data lack or exaggerate.",
        "- Likelihoods are of the data as they were prepared (see above), and compare only with models of "
        "the same preparation.",
        "- No test was made of fairness, privacy or robustness. Draws may resemble training data.",
    ]
    status = run.record.get("status")
    if status != "finished":
        lines.append(f"- The training is {text(status)}, not finished.")
    used, every = (scores.finite(evaluation.get(name)) for name in ("active_units", "latents"))
    if used is not None and every is not None and used < every:
        lines.append(f"- {every - used:.0f} of {every:.0f} latents carry nothing.")
    return [*lines, ""]


def _record(run: Run) -> list[str]:
    record = run.record
    named: Sequence[tuple[str, Mapping[str, Any]]] = (
        ("recipe arguments", record["arguments"]),
        ("training", record["training"]),
        ("versions", record.get("versions") or {}),
    )
    lines = [f"- recipe: `{record['recipe']}`, seed {record['seed']}"]
    for title, values in named:
        said = ", ".join(f"{name} = {scores.plain(value)}" for name, value in values.items())
        lines.append(f"- {title}: {text(said)}")
    return lines
