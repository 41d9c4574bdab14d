"""Densities made by normalising flows: priors, and densities of data. They need zuko."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vaekit import distributions
from vaekit.checks import known, sizes, whole
from vaekit.conditionals.parts import Shape
from vaekit.errors import UserError

FlowName = Literal["maf", "nsf", "realnvp"]
"""maf: masked autoregressive, affine; a density takes one pass, a draw one for every dimension.
nsf: the same with rational-quadratic splines on [-5, 5] in place of affine maps; outside it changes nothing.
realnvp: affine coupling of every other dimension; densities and draws take one pass."""


class Flow(nn.Module):
    """context -> x = f^-1(u), u ~ N(0, I), f a composition of invertible maps: p(x), or p(x|c).

    Args:
        event: event shape; what has several axes is flattened.
        flow: the family of the maps.
        transforms: number of maps.
        hidden: widths of the hidden layers of the network in each of them.
        context: event shape of the condition, if it has one; without it a context is taken and ignored.

    Raises:
        UserError: if zuko is not installed.

    References:
        Masked Autoregressive Flow for Density Estimation. Papamakarios, Pavlakou, Murray, 2017, 1705.07057.
        Neural Spline Flows. Durkan, Bekasov, Murray, Papamakarios, 2019, arXiv 1906.04032.
        Density Estimation using Real NVP. Dinh, Sohl-Dickstein, Bengio, 2017, arXiv 1605.08803.
    """

    def __init__(
        self,
        event: Shape,
        flow: FlowName = "maf",
        transforms: int = 3,
        hidden: Sequence[int] = (64, 64),
        context: Shape | None = None,
    ) -> None:
        super().__init__()
        known("flow", flow, FlowName)
        self.event = tuple(event)
        self.context = None if context is None else tuple(context)
        whole("transforms", transforms)
        build, place = _families()[flow], torch.get_default_device()
        # zuko reads its masks while it builds them, and a meta tensor cannot be read
        with torch.device("cpu"):
            made = build(
                prod(self.event),
                0 if context is None else prod(context),
                transforms=transforms,
                hidden_features=sizes("hidden", hidden, least=1),
            )
        self.maps = nn.ModuleList(made.transform.transforms).to(place)
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self.like: Tensor

    def forward(self, *context: Tensor) -> distributions.Flow:
        """A distribution without batch axes, or with those of its context (*lead, *event of c)."""
        given = None if self.context is None else context[0].flatten(-len(self.context))
        return distributions.Flow(list(self.maps), self.event, self.like, given)


def _families() -> dict[str, Callable[..., Any]]:
    """Flow name -> zuko's class."""
    validated = torch.distributions.Distribution._validate_args
    try:
        from zuko import flows
    except ImportError:
        raise UserError("flows need zuko: python -m pip install 'vaekit[flows]'") from None
    finally:
        # zuko switches off the checks of torch's distributions for the whole process
        torch.distributions.Distribution.set_default_validate_args(validated)
    return {"maf": flows.MAF, "nsf": flows.NSF, "realnvp": flows.RealNVP}
