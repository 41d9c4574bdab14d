"""The weights of Pythae's standard networks, under the names of vaekit's."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from vaekit.errors import UserError
from vaekit.importing.systems import Meaning

_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


class Weights:
    """Named tensors, each of which is taken once and has to have the shape that is asked for.

    Args:
        found: name -> tensor.
        path: of the file, for errors.
    """

    def __init__(self, found: Mapping[str, Tensor], path: Path) -> None:
        self.left, self.path = dict(found), path

    def width(self, name: str) -> int:
        """The first size of a matrix."""
        value = self.left.get(name)
        if value is None or value.dim() != 2:
            raise self._wrong(name, "a matrix")
        return len(value)

    def take(self, name: str, *shape: int) -> Tensor:
        """A tensor in float32."""
        value = self.left.get(name)
        if value is None or tuple(value.shape) != shape or value.dtype not in _FLOATS:
            raise self._wrong(name, f"floating-point numbers of shape {shape}")
        if not bool(value.isfinite().all()):
            raise UserError(
                f"{self.path}: {name!r} holds values that are not finite: the training had failed"
            )
        del self.left[name]
        return value.float()

    def layer(self, name: str, inputs: int, outputs: int) -> dict[str, Tensor]:
        """Weight and bias of an affine map."""
        return {
            "weight": self.take(f"{name}.weight", outputs, inputs),
            "bias": self.take(f"{name}.bias", outputs),
        }

    def drop(self, beginnings: tuple[str, ...]) -> None:
        """Leave out what begins so; whatever is left then belongs to no standard network.

        Raises:
            UserError: if something is left.
        """
        left = sorted(name for name in self.left if not name.startswith(beginnings or ("\0",)))
        if left:
            raise UserError(
                f"{self.path} holds {left[0]!r}, which Pythae's standard networks do not have: networks of "
                "one's own are not read"
            )

    def _wrong(self, name: str, expected: str) -> UserError:
        value = self.left.get(name)
        got = "nothing" if value is None else f"{value.dtype} of shape {tuple(value.shape)}"
        return UserError(
            f"{self.path} holds {got} under {name!r}; expected {expected}, as in Pythae's standard networks"
        )


def converted(
    weights: Weights, meaning: Meaning, shape: tuple[int, ...], latents: int
) -> tuple[dict[str, Tensor], int]:
    """The state of the model here, and the width of the hidden layers.

    Encoder and decoder have one hidden layer there as here. ln s is half of the logarithm of the variance, so
    that its head is halved; the sigmoid at the end of the decoder belongs to the likelihood.

    Raises:
        UserError: if a weight is missing, has another shape or is not needed.
    """
    size = prod(shape)
    hidden = weights.width("encoder.layers.0.0.weight")
    mean = weights.layer("encoder.embedding", hidden, latents)
    if meaning.code == "gaussian":
        spread = weights.layer("encoder.log_var", hidden, latents)
        mean = {name: torch.cat([value, 0.5 * spread[name]]) for name, value in mean.items()}
    found: dict[str, Tensor] = {}
    places = {
        "posteriors.0.network.hidden.0": weights.layer("encoder.layers.0.0", size, hidden),
        "posteriors.0.network.output_layer": mean,
        "likelihood.network.hidden.0": weights.layer("decoder.layers.0.0", latents, hidden),
        "likelihood.network.output_layer": weights.layer("decoder.layers.1.0", hidden, size),
    }
    for place, layer in places.items():
        found |= {f"{place}.{name}": value for name, value in layer.items()}
    if meaning.recipe == "vamp_vae":
        count = meaning.arguments["components"]
        made = weights.layer("pseudo_inputs.0", count, size)
        # the layer sees the rows of an identity matrix, and a hard tanh keeps what comes out in [0, 1]
        inputs = (made["weight"].T + made["bias"]).clamp(0, 1)
        found["priors.0.pseudo_inputs"] = inputs.reshape(count, *shape)
    if meaning.code == "quantised":
        found |= _codebook(weights, meaning)
    weights.drop(meaning.dropped)
    return found, hidden


def _codebook(weights: Weights, meaning: Meaning) -> dict[str, Tensor]:
    codes = meaning.arguments["codes"]
    zero = torch.zeros(codes)
    found = {"counts": zero, "sums": zero[:, None], "weight": torch.zeros(())}
    if meaning.arguments["codebook"] == "ema":
        found["counts"] = weights.take("quantizer.cluster_size", codes)
        found["sums"] = weights.take("quantizer.ema_embed", codes, 1)
        found["weight"] = torch.ones(())
        found["codebook"] = weights.take("quantizer.embeddings", codes, 1)
    else:
        found["codebook"] = weights.take("quantizer.embeddings.weight", codes, 1)
    return {f"posteriors.0.{name}": value for name, value in found.items()}
