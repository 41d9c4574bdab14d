"""`vaekit export`: a trained model leaves vaekit."""

from __future__ import annotations

from pathlib import Path

from vaekit.cli.progress import say
from vaekit.errors import UserError
from vaekit.exporting import Precision
from vaekit.exporting.folders import Part, free, refuse_other, write_onnx, write_torch
from vaekit.exporting.hub import check_repository, ready_to_push, write_hub
from vaekit.exporting.hub import push as push_folder
from vaekit.runs import PUBLISHED_RECORD, Run


def export_command(
    run: Path,
    /,
    *,
    onnx: Path | None = None,
    torch: Path | None = None,
    hub: Path | None = None,
    push: str | None = None,
    public: bool = False,
    graphs: bool = False,
    precision: Precision = "float32",
    part: Part = "decoder",
    overwrite: bool = False,
) -> int:
    """Write a trained model in a form that runs without vaekit, or as a folder for the Hugging Face hub.

    Args:
        run: the run directory.
        onnx: a folder for decoder and encoder as ONNX graphs, with a page on how to run them; or a file that
            ends with .onnx, for one of the two.
        torch: the same as programs of torch, decoder.pt2 and encoder.pt2; or a file that ends with .pt2.
        hub: a folder in the layout of the Hugging Face hub: weights, configuration, model card, pictures.
        push: upload the folder of --hub to this OWNER/NAME; needs a token of the hub.
        public: whether a repository that is made for it is for all to see; else it is private.
        graphs: put ONNX graphs into the folder of --hub too.
        precision: how ONNX graphs store their weights: float16 takes half the room, int8 a quarter.
        part: which of the two, where the target is a file.
        overwrite: replace an export that stands there.
    """
    if hub is None and (push is not None or graphs):
        raise UserError(
            f"--{'push' if push is not None else 'graphs'} belongs to --hub DIR, which is not given"
        )
    if onnx is None and torch is None and hub is None:
        raise UserError("say what to write: --onnx PATH, --torch PATH or --hub DIR")
    if public and push is None:
        raise UserError("--public belongs to --push OWNER/NAME, which is not given")
    if precision != "float32" and onnx is None and not graphs:
        raise UserError(f"--precision {precision} is of ONNX graphs: add --onnx PATH")
    targets = [path.resolve() for path in (onnx, torch, hub) if path is not None]
    if len(set(targets)) < len(targets):
        raise UserError("two exports have the same target: give each a place of its own")
    if part != "decoder" and not any(path.suffix in (".onnx", ".pt2") for path in targets):
        raise UserError(f"--part {part} is of a single file, .onnx or .pt2: a folder gets both")
    if push is not None:
        check_repository(push)
        ready_to_push()
    if onnx is not None:
        free(onnx, "onnx", overwrite)
    if torch is not None:
        free(torch, "torch", overwrite)
    if hub is not None:
        refuse_other(hub, overwrite, PUBLISHED_RECORD)
    opened = Run.open(run)
    opened.model()
    lines: list[str] = []
    if onnx is not None:
        say("Tracing decoder and encoder, and comparing the graphs with the model")
        lines += write_onnx(opened, onnx, precision=precision, part=part, overwrite=overwrite)
    if torch is not None:
        say("Tracing decoder and encoder, and comparing the programs with the model")
        lines += write_torch(opened, torch, part=part, overwrite=overwrite)
    if hub is not None:
        say("Writing the folder for the hub")
        lines += write_hub(
            opened, hub, graphs=graphs, precision=precision, repository=push, overwrite=overwrite
        )
    print("\n".join(lines))
    if hub is not None and push is not None:
        say(f"Pushing to {push}")
        print(push_folder(hub, push, public=public))
    return 0
