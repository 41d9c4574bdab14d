"""How a recipe is called in the benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from vaekit.data.spec import Kind

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """A recipe's arguments and data.

    Args:
        arguments: beside `latents`, and `hidden` or `architecture`, which follow from the setting.
        plain: whether the recipe takes `latents` and the networks of the setting at all; where not,
            `arguments` is the whole call.
        wanted: arguments from the number of latents and the widths (None: convolutions), in place of both.
        kind: of the data.
        context: number of classes in the condition `c`, or 0.
        dense: whether it is run on the fully connected setting alone.
        spec: further fields of the data spec.
        more: adds to a batch what the recipe needs beside `x` and `c`.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    plain: bool = True
    wanted: Callable[[int, tuple[int, ...] | None], dict[str, Any]] | None = None
    kind: Kind = "binary"
    context: int = 0
    dense: bool = False
    spec: dict[str, Any] = field(default_factory=dict)
    more: Callable[[Batch], Batch] | None = None
