"""`vaekit import`: a model that was trained elsewhere becomes a run."""

from __future__ import annotations

from pathlib import Path

from vaekit.cli.progress import say, wrapped
from vaekit.cli.summary import next_steps
from vaekit.data.raw import Binarise
from vaekit.data.spec import Kind
from vaekit.importing import import_folder


def import_command(
    folder: Path,
    /,
    *,
    out: Path | None = None,
    data: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    binarise: Binarise | None = None,
    kind: Kind | None = None,
) -> int:
    """Make a run of a model from elsewhere: a folder of Pythae (weights only), or one for the hub.

    Args:
        folder: what Pythae saved, with model_config.json and model.pt; or what `vaekit export --hub` wrote.
        out: the run directory; by default the next free name below runs/.
        data: what the model was trained on (`vaekit list data`, or a path), so that the run can be evaluated
            and reported on by itself; without it, data are taken to lie in [0, 1].
        size: side in pixels that the pictures of `data` get.
        channels: 1 (grey) or 3 (colour), for the pictures of `data`.
        binarise: whether the grey levels of `data` are made binary: dynamic, threshold, none or auto.
        kind: what the values of `data` are, where it is not inferred.
    """
    given = {"size": size, "channels": channels, "binarise": binarise, "kind": kind}
    options = {name: value for name, value in given.items() if value is not None}
    run = import_folder(folder, out, data=data, data_options=options)
    about = run.record.get("imported")
    if about is not None:
        say(wrapped(f"Read {about['system']} of {about['from']} as {run.record['recipe']}"))
        for line in about["differences"]:
            say(wrapped(f"  {line}"))
    if run.record["data"]["source"] is None:
        print(f"Run: {run.path}")
        print(
            "Its data are not known: `vaekit encode`, `reconstruct` and `evaluate --data` take any like them"
        )
    else:
        print(next_steps(run.path, run.spec, None))
    return 0
