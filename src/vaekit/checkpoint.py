"""Everything that a run needs to go on bit for bit, as named tensors and a JSON note."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from vaekit.errors import UserError
from vaekit.system import System

Tensors = dict[str, Tensor]


def pack_system(system: System) -> tuple[Tensors, dict[str, Any]]:
    """Weights, states of objectives and schedules, optimisers, and the random stream."""
    tensors: Tensors = {}
    about: dict[str, Any] = {"optimizers": {}}
    for name, module in system.modules().items():
        for key, value in module.state_dict().items():
            tensors[f"{name}/{key}"] = value
    for player in system.procedure.players:
        record = player.optimizer.state_dict()
        plain: dict[str, dict[str, Any]] = {}
        for index, state in record["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"{player.name}.optimizer/{index}/{key}"] = value
                else:
                    plain.setdefault(str(index), {})[key] = value
        groups = [{k: v for k, v in group.items() if k != "params"} for group in record["param_groups"]]
        about["optimizers"][player.name] = {"state": plain, "groups": groups}
    tensors["random/cpu"] = torch.get_rng_state()
    device = device_of(system)
    if device.type == "cuda":
        tensors["random/cuda"] = torch.cuda.get_rng_state(device)
    return tensors, about


def unpack_system(system: System, tensors: Tensors, about: dict[str, Any], source: object) -> None:
    """Put back what `pack_system` took.

    Raises:
        UserError: if the tensors do not belong to this system.
    """
    for name, module in system.modules().items():
        prefix = f"{name}/"
        state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        load_weights(module, state, source)
    try:
        for player in system.procedure.players:
            saved = about["optimizers"][player.name]
            record = player.optimizer.state_dict()
            moments: dict[int, dict[str, Any]] = {}
            prefix = f"{player.name}.optimizer/"
            for key, value in tensors.items():
                if key.startswith(prefix):
                    index, part = key.removeprefix(prefix).split("/")
                    moments.setdefault(int(index), {})[part] = value
            for index, values in saved["state"].items():
                moments.setdefault(int(index), {}).update(values)
            for number, kept in moments.items():
                expected = player.parameters[number].shape
                for part, value in kept.items():
                    if isinstance(value, Tensor) and value.dim() and value.shape != expected:
                        raise ValueError(
                            f"{part!r} of parameter {number} has shape {tuple(value.shape)}, expected "
                            f"{tuple(expected)}"
                        )
            groups = [
                {**group, **{k: _tuples(v) for k, v in old.items()}}
                for group, old in zip(record["param_groups"], saved["groups"], strict=True)
            ]
            player.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        torch.set_rng_state(tensors["random/cpu"].to("cpu", torch.uint8))
        if "random/cuda" in tensors and device_of(system).type == "cuda":
            torch.cuda.set_rng_state(tensors["random/cuda"].cpu(), device_of(system))
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(f"{source} does not continue this system ({error}): start a new run") from error


def load_weights(module: torch.nn.Module, state: Tensors, source: object) -> None:
    """Load a state dict whose names, shapes and values have to fit.

    Raises:
        UserError: if they do not.
    """
    expected = module.state_dict()
    missing, unknown = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or unknown:
        what = f"lacks {missing[0]!r}" if missing else f"has {unknown[0]!r}, which the model does not know"
        raise UserError(f"{source} {what}: it was made by another recipe, arguments or version")
    for name, value in expected.items():
        if state[name].shape != value.shape:
            raise UserError(
                f"{source}: {name!r} has shape {tuple(state[name].shape)}; this model expects "
                f"{tuple(value.shape)}: it was made by another recipe or other arguments"
            )
    module.load_state_dict(state)


def digest(module: torch.nn.Module, *more: str) -> str:
    """SHA-256, in hexadecimal, over the weights of a module and further words."""
    found = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    for word in more:
        found.update(word.encode())
    return found.hexdigest()


def device_of(system: System) -> torch.device:
    """Where the first player's parameters are."""
    return system.procedure.players[0].parameters[0].device


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
