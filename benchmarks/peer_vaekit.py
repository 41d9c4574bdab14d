"""The vaekit side of the section `pythae`: a process that trains and evaluates when it is told to.

    python benchmarks/peer_vaekit.py DATA.npz THREADS

DATA.npz holds `train` and `valid`, (N, 1, 28, 28) bytes, and for both networks the weights `step_0`, ... and
`nll_0`, ..., encoder first. Every line of standard input is a task in JSON, every line of output its result.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vaekit
from vaekit.data import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.metrics import nll
from vaekit.recipes import iwae, vae
from vaekit.system import System, recipe

arrays = np.load(sys.argv[1], allow_pickle=False)
torch.set_num_threads(int(sys.argv[2]))
spec = Spec("benchmark", (1, 28, 28), "binary", size=len(arrays["train"]))
train, valid = (ArrayData(spec, torch.from_numpy(arrays[name])) for name in ("train", "valid"))


def given(system: System, prefix: str) -> System:
    """The system with the weights that both sides start from."""
    model: Any = system.model
    parameters = [*model.posteriors[0].network.parameters(), *model.likelihood.network.parameters()]
    with torch.no_grad():
        for number, parameter in enumerate(parameters):
            parameter.copy_(torch.from_numpy(arrays[f"{prefix}_{number}"]))
    return system


@recipe
def started(spec: Spec) -> System:
    """The recipe vae, from the weights of both sides."""
    return given(vae(spec, latents=16, hidden=(512,)), "step")


def fit(task: dict[str, Any]) -> dict[str, float]:
    """The whole of `vaekit.train`, with its run directory."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        run = vaekit.train(
            started,
            Splits(train, valid, valid),
            out=Path(folder) / "run",
            epochs=task["epochs"],
            batch_size=128,
        )
        seconds = time.perf_counter() - begin
        return {"seconds": seconds, "loss": run.metrics()[-1]["valid/loss"]}


def evidence(task: dict[str, Any]) -> dict[str, float]:
    """Importance-sampled NLL of the first pictures."""
    data = valid.subset(range(task["data"]))
    begin = time.perf_counter()
    found = nll(burda.model, data, samples=task["samples"])
    return {"seconds": time.perf_counter() - begin, "nll": found.nll}


burda = given(iwae(spec), "nll")
print(json.dumps({"ready": vaekit.__version__}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"fit": fit, "nll": evidence}[asked["do"]](asked)), flush=True)
