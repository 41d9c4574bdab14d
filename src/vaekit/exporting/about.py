"""What goes with an exported model: the facts that one needs to use it, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vaekit.data.spec import Spec
from vaekit.exporting.parts import Decoder, Encoder, Halves
from vaekit.models.columns import columns_of
from vaekit.plain import plain
from vaekit.runs import Run, versions

FORMAT = 1


def facts(
    run: Run, halves: Halves, files: Mapping[str, str], deviations: Mapping[str, float], precision: str
) -> dict[str, Any]:
    """The content of export.json.

    Args:
        run: what was exported.
        halves: of its model.
        files: "decoder" and "encoder" -> file name, for those that are there.
        deviations: from the model, as in `Graphs`.
        precision: how weights are stored.
    """
    parts: dict[str, Decoder | Encoder] = {"decoder": halves.decoder, "encoder": halves.encoder}
    latents = [
        {
            "name": name,
            "shape": list(halves.shapes[name]),
            "columns": [columns.start, columns.stop],
            "codes": halves.levels.get(name),
        }
        for name, columns in columns_of(halves.shapes).items()
    ]
    return {
        "format": FORMAT,
        "recipe": run.record["recipe"],
        "arguments": plain(run.record["arguments"]),
        "precision": precision,
        **{role: _signature(part, halves, files[role]) for role, part in parts.items() if role in files},
        "latents": latents,
        "prior": "standard normal" if is_standard(run, halves) else "its own",
        "data": _data(run.spec),
        "deviations": dict(deviations),
        "versions": versions(),
    }


def is_standard(run: Run, halves: Halves) -> bool:
    """Whether new data come from draws of N(0, I): no learned prior, and no stage that draws the latents."""
    return halves.standard and not run.record.get("stages")


def _signature(part: Decoder | Encoder, halves: Halves, file: str) -> dict[str, Any]:
    wide = [len(halves.columns)]
    number = "int64" if halves.whole else "float32"
    if part.role == "decoder":
        given = {"name": "z", "type": number, "shape": ["N", *wide]}
        shape, dtype = list(halves.told), "float32"
    else:
        given = {"name": "x", "type": "float32", "shape": ["N", *halves.spec.shape]}
        shape, dtype = wide, number
    inputs = [given]
    if halves.spec.context is not None:
        inputs.append({"name": "c", "type": "float32", "shape": ["N", *halves.spec.context]})
    return {
        "file": file,
        "inputs": inputs,
        "outputs": [{"name": name, "type": dtype, "shape": ["N", *shape]} for name in part.outputs],
    }


def _data(spec: Spec) -> dict[str, Any]:
    kept = (
        "name", "shape", "kind", "levels", "classes", "class_names", "columns", "context", "offset", "scale",
        "vocabulary", "sound", "picture", "quadrants", "note",
    )  # fmt: skip
    record = spec.to_json()
    return {name: record[name] for name in kept if record[name] is not None}


def how_scaled(spec: Spec) -> str:
    """In words, what the numbers of a datum are."""
    words = {
        "binary": "0 or 1",
        "unit": "numbers from 0 to 1",
        "real": "real numbers",
        "count": "0, 1, 2, ...",
        "categorical": f"class numbers from 0 to {(spec.levels or 1) - 1}",
    }[spec.kind]
    if spec.offset is not None:
        words += ", standardised: original = stored * scale + offset (both in `export.json`)"
    elif spec.kind == "unit" and spec.levels is not None:
        words += f", grey levels over {spec.levels - 1}"
    return f"`x` has the shape {tuple(spec.shape)}: {words}"


def readme(run: Run, about: Mapping[str, Any], halves: Halves) -> str:
    """The page for people of a folder with ONNX graphs or torch programs, with a snippet that runs there."""
    decoder = about["decoder"]
    onnx = decoder["file"].endswith(".onnx")
    given = " and ".join(f"`{part['name']}`" for part in decoder["inputs"])
    lines = [
        f"# {run.record['recipe']} on {run.spec.name}",
        "",
        f"The decoder p(x|z){' and the encoder q(z|x)' if 'encoder' in about else ''} of a variational "
        f"autoencoder that was trained with vaekit, as {'ONNX graphs' if onnx else 'programs of torch'}. "
        "They run without vaekit. `export.json` says what goes in and what comes out.",
        "",
        f"- The decoder takes {given}: all latents side by side, {len(halves.columns)} numbers a row. It "
        "gives `mean`" + (" and `stddev` of p(x|z)." if halves.decoder.spreads else " of p(x|z)."),
    ]
    if halves.spec.vocabulary is not None:
        lines.append(
            "- Tokens have no mean: `mean` is the probability of each, in the order of `vocabulary`."
        )
    if "encoder" in about:
        lines.append(
            f"- The encoder takes `x`{' and `c`' if halves.spec.context else ''} and gives `mean`"
            + (" and `stddev` of q(z|x)." if halves.encoder.spreads else " of q(z|x), row by row.")
        )
    lines += [f"- {how_scaled(run.spec)}.", f"- {_about_prior(run, halves)}", "", "```python"]
    lines += _snippet(about, halves, onnx)
    worst = max(about["deviations"].values())
    lines += [
        "```",
        "",
        f"Weights are stored as {about['precision']}; everything is computed in float32. On made-up data the "
        f"largest deviation from the model in Python was {worst:.1e} of the largest number of that output.",
    ]
    if not onnx:
        lines += [
            "",
            "Load such a file only if you trust where it comes from: torch does not promise that loading one "
            "is safe.",
        ]
    return "\n".join(lines) + "\n"


def _about_prior(run: Run, halves: Halves) -> str:
    if is_standard(run, halves):
        return "New data: draw `z` from a standard normal, as below."
    return (
        "The prior of this model is not a standard normal, and it is not in this folder: draw new data with "
        "`vaekit sample`, or decode the codes of data."
    )


def _snippet(about: Mapping[str, Any], halves: Halves, onnx: bool) -> list[str]:
    roles = [role for role in ("decoder", "encoder") if role in about]
    if onnx:
        lines = ["import numpy as np", "import onnxruntime", "", "draw = np.random.default_rng(0)"]
        lines += [f'{role} = onnxruntime.InferenceSession("{about[role]["file"]}")' for role in roles]
    else:
        lines = ["import torch", ""]
        lines += [f'{role} = torch.export.load("{about[role]["file"]}").module()' for role in roles]
    z = _made_z(halves, onnx)
    lines.append(f"z = {z}  # four rows of latents")
    context = halves.spec.context
    if context is not None:
        lines.append(f"c = {_made(onnx, (4, *context))}  # the condition of each")
    lines.append(_call("mean", "decoder", halves.decoder, "z", context is not None, onnx))
    lines.append("print(mean.shape)")
    if "encoder" in about:
        lines.append(f"x = {_made(onnx, (4, *halves.spec.shape))}  # your data, of this shape")
        lines.append(_call("codes", "encoder", halves.encoder, "x", context is not None, onnx))
        lines.append("print(codes.shape)")
    return lines


def _made(onnx: bool, shape: tuple[int, ...]) -> str:
    return f"np.zeros({shape}, dtype=np.float32)" if onnx else f"torch.zeros({shape})"


def _made_z(halves: Halves, onnx: bool) -> str:
    wide = len(halves.columns)
    if halves.whole:
        most = min(halves.levels.values())
        return f"draw.integers({most}, size=(4, {wide}))" if onnx else f"torch.randint({most}, (4, {wide}))"
    if onnx:
        return f"draw.standard_normal((4, {wide}), dtype=np.float32)"
    return f"torch.randn(4, {wide})"


def _call(to: str, role: str, part: Decoder | Encoder, given: str, context: bool, onnx: bool) -> str:
    if onnx:
        values = f'{{"{given}": {given}, "c": c}}' if context else f'{{"{given}": {given}}}'
        return f'{to} = {role}.run(["mean"], {values})[0]'
    return f"{to} = {role}({given}, c)[0]" if context else f"{to} = {role}({given})[0]"
