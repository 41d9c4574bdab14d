"""The vaekit side of the section `pythae-games`: gradients and trainings when it is told to.

    python benchmarks/games_vaekit.py DATA.npz THREADS

DATA.npz holds `train` and `valid`, (N, 1, 28, 28) bytes, and for every system the weights `NAME.NETWORK.0`,
... that both sides start from. Every line of standard input is a task in JSON, every line of output its
result.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import by_hand as hand
import vaekit
from by_hand import Losses, Map
from vaekit import recipes
from vaekit.data import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.system import System, recipe

arrays = np.load(sys.argv[1], allow_pickle=False)
sizes = json.loads(str(arrays["sizes"]))
torch.set_num_threads(int(sys.argv[2]))
N, HIDDEN = sizes["latents"], tuple(sizes["hidden"])

SYSTEMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "factor_vae": ("factor_vae", "binary", {"gamma": sizes["gamma"], "critic": tuple(sizes["critic"])}),
    "vae_gan": ("vae_gan", "unit", {"gamma": 1.0, "imitations": "drawn"}),
    "aae": ("adversarial_autoencoder", "binary", {"critic": tuple(sizes["judge"])}),
    "wae_mmd": ("wae_mmd", "unit", {"lambda_mmd": sizes["lambda"], "scales": (1.0,)}),
    "vamp": ("vamp_vae", "binary", {"components": sizes["components"], "warmup": 0, "architecture": "mlp"}),
    "vq_vae": ("vq_vae", "unit", {
        "codes": sizes["codes"], "dims": N, "positions": 1, "codebook": "gradient", "restart": 0.0,
        "likelihood": "gaussian_fixed", "architecture": "mlp",
    }),
}  # fmt: skip
"""Name -> recipe, kind of data, arguments beside the widths."""


def networks(system: System, name: str) -> dict[str, list[nn.Parameter]]:
    """Network -> its parameters, in the order of the weights."""
    model: Any = system.model
    found = {
        "encoder": list(model.posteriors[0].network.parameters()),
        "decoder": list(model.likelihood.network.parameters()),
    }
    if name in ("factor_vae", "vae_gan", "aae"):
        inside = {id(p) for p in model.parameters()}
        players = [p for p in system.procedure.players if id(p.parameters[0]) not in inside]
        found["critic"] = list(players[0].parameters)
    if name == "vamp":
        found["pseudo-inputs"] = [model.priors[0].pseudo_inputs]
    if name == "vq_vae":
        found["codebook"] = [model.posteriors[0].codebook]
    return found


def made(name: str, spec: Spec) -> System:
    """The system with the weights that both sides start from."""
    which, _, arguments = SYSTEMS[name]
    width = {} if name == "vq_vae" else {"latents": N}
    system: System = getattr(recipes, which)(
        spec, **width, hidden=HIDDEN, learning_rate=sizes["rate"], **arguments
    )
    with torch.no_grad():
        for network, parameters in networks(system, name).items():
            for number, parameter in enumerate(parameters):
                stored = torch.from_numpy(arrays[f"{name}.{network}.{number}"])
                parameter.copy_(stored.view_as(parameter))
    return system


def spec_of(name: str) -> Spec:
    return Spec("benchmark", (1, 28, 28), SYSTEMS[name][1], size=len(arrays["train"]))  # type: ignore[arg-type]


def expected(name: str, system: System, x: Tensor, draws: list[Tensor]) -> Losses:
    """What each network is to make small, by hand, with the noise that the step drew."""
    model: Any = system.model
    critics = [p for p in system.procedure.players if p.name in ("critic", "discriminator")]
    found: Map | None = None
    if critics:
        terms = [term for _, term in critics[0].objective.terms.values() if hasattr(term, "critic")]
        found = terms[0].critic

    def encode(rows: Tensor) -> Any:
        q = model.posteriors[0](rows.view(-1, 1, 28, 28))
        return q.z_e.squeeze(-1) if name == "vq_vae" else (q.mean, getattr(q, "log_std", None))

    def decode(z: Tensor) -> Tensor:
        mean: Tensor = model.likelihood(z.unsqueeze(-1) if name == "vq_vae" else z).mean
        return mean.flatten(1)

    def critic(seen: Tensor) -> Any:
        assert found is not None  # only games ask
        if name == "vae_gan":
            sight = found(seen.view(-1, 1, 28, 28))
            return sight.features, sight.logits.squeeze(-1)
        return found(seen).squeeze(-1) if name == "aae" else found(seen)

    if name == "factor_vae":
        half = (len(x) + 1) // 2
        z = hand.drawn(*encode(x), draws[0])
        other = z[half:].take_along_dim(draws[1].argsort(0), 0)
        return hand.factor_vae(encode, decode, critic, x, draws[0], other, sizes["gamma"], half)
    if name == "vae_gan":
        return hand.vae_gan(encode, decode, critic, x, draws[0], draws[1], weight=1.0, game=1.0)
    if name == "aae":
        return hand.aae(encode, decode, critic, x, draws[-1], weight=1.0, game=1.0, test=0.5)
    if name == "wae_mmd":
        return hand.wae_mmd(encode, decode, x, draws[-1], sizes["lambda"])
    if name == "vamp":
        inputs = model.priors[0].pseudo_inputs
        return hand.vamp(encode, decode, lambda: inputs.flatten(1), x, draws[0])
    return hand.vq_vae(encode, decode, model.posteriors[0].codebook, x, beta=0.25, half=0.5)


def gradients(task: dict[str, Any]) -> dict[str, Any]:
    """What one step of the recipe brings to each network, against what it should bring."""
    name = task["system"]
    torch.set_default_dtype(torch.float64)
    system = made(name, spec_of(name))
    x = torch.from_numpy(arrays["train"][: task["batch"]]).double()
    reached: dict[int, Tensor] = {}
    for player in system.procedure.players:

        def note(*_: Any, player: Any = player) -> None:
            for parameter in player.parameters:  # nobody moves, so that all look at one point
                reached[id(parameter)] = reached.get(id(parameter), 0) + parameter.grad
                parameter.grad = None

        player.move = note  # type: ignore[method-assign]
    torch.manual_seed(0)
    with hand.recorded() as draws:
        system.procedure._play([{"x": x}], vaekit.procedures.Manner())
    parameters = networks(system, name)
    losses = expected(name, system, x.flatten(1), draws)
    got = {key: torch.cat([reached[id(p)].flatten() for p in parts]) for key, parts in parameters.items()}
    torch.set_default_dtype(torch.float32)
    return hand.compared(got, losses, parameters)


def fit(task: dict[str, Any]) -> dict[str, float]:
    """A whole training with its run directory, and the squared error of held-out reconstructions."""
    name = task["system"]
    spec = spec_of(name)
    train, valid = (ArrayData(spec, torch.from_numpy(arrays[part]).float()) for part in ("train", "valid"))

    @recipe
    def started(spec: Spec) -> System:
        return replace(made(name, spec), stages=())  # the peer has no prior over codes

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
        model = run.model()
        x = valid.take(range(len(valid)))["x"]
        with torch.no_grad():
            rebuilt = model.decode(model.encode({"x": x})).mean
    return {"seconds": seconds, "error": float((rebuilt - x).square().flatten(1).sum(1).mean())}


print(json.dumps({"ready": vaekit.__version__}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"gradients": gradients, "fit": fit}[asked["do"]](asked)), flush=True)
