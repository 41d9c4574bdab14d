"""The prior made of posteriors: a mixture of q(z|u_k) at learned pseudo-inputs u_k."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from vaekit.distributions import DiagonalNormal, Mixture
from vaekit.errors import UnsupportedError


class VampPrior(nn.Module):
    """p(z) = 1/K sum_k q(z|u_k), q the model's own posterior, u_1 .. u_K learned.

    The prior that makes the bound largest is the mean of q(z|x) over the data, for which K pseudo-inputs
    stand. Gradients reach the u_k, and the posterior once more through its prior.

    The posterior belongs to the model: its parameters stand once in the model's state, and whoever owns the
    posterior owns them. The components are computed once a call; without gradients, in eval mode, they are
    kept until a parameter moves, for all passes of an importance-sampled likelihood.

    Args:
        posterior: conditional of x alone that gives diagonal Gaussians over a vector.
        pseudo_inputs: where the u_k start, (K, *event of x).
        bounds: the range of the data, in which the u_k are held, or None.

    Raises:
        UnsupportedError: for another family of posteriors, and for one with batch normalisation, whose
            q(z|u_k) would depend on the other pseudo-inputs.
        ValueError: if a pseudo-input is out of bounds, or there is none.

    References:
        VAE with a VampPrior. Tomczak, Welling, 2018, arXiv 1705.07120.
    """

    def __init__(
        self, posterior: nn.Module, pseudo_inputs: Tensor, bounds: tuple[float, float] | None = (0.0, 1.0)
    ) -> None:
        super().__init__()
        if pseudo_inputs.dim() < 2 or not len(pseudo_inputs):
            raise ValueError(
                f"`pseudo_inputs` has shape {tuple(pseudo_inputs.shape)}; expected (K, *event of x), K >= 1"
            )
        if any(
            isinstance(part, _BatchNorm) or getattr(part, "couples_batch", False)
            for part in posterior.modules()
        ):
            raise UnsupportedError(
                "the posterior has batch normalisation, so that q(z|u_k) would depend on the other "
                "pseudo-inputs: take networks without it, or another prior"
            )
        with torch.no_grad():
            q = posterior(pseudo_inputs[:1])
        if not (isinstance(q, DiagonalNormal) and len(q.event_shape) == 1):
            raise UnsupportedError(
                f"a VampPrior is a mixture of diagonal Gaussians over a vector; the posterior is {q}: take "
                "the conditional Gaussian"
            )
        self.bounds = bounds
        self.pseudo_inputs = nn.Parameter(pseudo_inputs.detach().clone())
        if bounds is not None and not pseudo_inputs.is_meta:  # which has a shape, but no values
            low, high = float(pseudo_inputs.min()), float(pseudo_inputs.max())
            if low < bounds[0] or high > bounds[1]:
                raise ValueError(
                    f"`pseudo_inputs` lie between {low:g} and {high:g}; expected within `bounds` {bounds}: "
                    "clamp them, or give the range of the data"
                )
        # in a tuple, where nn.Module does not see it: the parameters belong to the model's posterior, and
        # stand once in the model's state
        self._posterior = (posterior,)
        self._kept: _Kept | None = None

    def components(self) -> DiagonalNormal:
        """q(z|u_k), batch shape (K,)."""
        inputs: Tensor = self.pseudo_inputs
        if self.bounds is not None:
            inputs = inputs.clamp(*self.bounds)
        found: DiagonalNormal = self._posterior[0](inputs)
        return found

    def _mixture(self) -> Mixture:
        components = self.components()
        count = len(components.loc)
        return Mixture(components.loc.new_full((count,), -math.log(count)), components)

    def forward(self, *context: Tensor) -> Mixture:
        """A distribution without batch axes; a context is taken and ignored."""
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
            if self._kept is not None:  # an optimiser may write parameters without a mark on them
                self._kept = None
            return self._mixture()
        state = [self.pseudo_inputs, *self._posterior[0].parameters(), *self._posterior[0].buffers()]
        stamp = _stamp(state)
        if stamp is None:
            return self._mixture()
        if self._kept is None or self._kept.stamp != stamp:
            # what is kept keeps the memory of the parameters too, so that no others can take their addresses
            self._kept = _Kept(stamp, [value.detach() for value in state], self._mixture())
        return self._kept.mixture

    @torch.no_grad()
    def after_step(self) -> None:
        """Bring the pseudo-inputs back into the range of the data, where their gradients are not cut off."""
        if self.bounds is not None:
            self.pseudo_inputs.clamp_(*self.bounds)

    def __getstate__(self) -> dict[str, Any]:
        # a copy has parameters of its own
        return {**self.__dict__, "_kept": None}

    def extra_repr(self) -> str:
        """K, the event of x and the bounds."""
        count, *event = self.pseudo_inputs.shape
        return f"components={count}, event={tuple(event)}, bounds={self.bounds}"


class _Kept(NamedTuple):
    stamp: list[object]
    state: list[Tensor]
    mixture: Mixture


def _stamp(state: list[Tensor]) -> list[object] | None:
    """What changes when a tensor is written or replaced; None where that cannot be seen."""
    if any(value.is_inference() for value in state):
        return None
    try:
        found: list[object] = [(value.data_ptr(), value._version) for value in state]
    except RuntimeError:  # under a functional transformation, tensors have no memory of their own
        return None
    # what was computed in inference mode is of no use outside it
    return [torch.is_inference_mode_enabled(), *found]
