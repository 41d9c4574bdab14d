"""What a quantised latent owes to its code, and the code to it; |.|^2 summed over the event, per datum."""

from __future__ import annotations

from torch import Tensor

from vaekit.distributions import Quantised, squared_distance
from vaekit.errors import UnsupportedError
from vaekit.terms.parts import per_datum
from vaekit.trace import Trace


class Commitment:
    """|z_e - sg[e]|^2 over all quantised latents, one value per datum: it moves the encoder alone.

    A. van den Oord, O. Vinyals, K. Kavukcuoglu, Neural Discrete Representation Learning, NIPS 2017, arXiv
    1711.00937, equation 3; its weight beta is 0.25 there.
    """

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        return _summed(trace, [(q.z_e, q.z_q.detach(), q) for q in quantised(trace)])


class CodebookLoss:
    """|sg[z_e] - e|^2 over all quantised latents, one value per datum: it moves the codebook alone.

    For codebooks learned by gradient; one of running averages has no gradient, and moves by itself.
    """

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        return _summed(trace, [(q.z_e.detach(), q.z_q, q) for q in quantised(trace)])


def quantised(trace: Trace) -> list[Quantised]:
    """The quantised latents of a trace.

    Raises:
        UnsupportedError: if there are none.
    """
    found = [latent.q for latent in trace.latents.values() if isinstance(latent.q, Quantised)]
    if not found:
        raise UnsupportedError(
            "the trace has no quantised latent, so there is nothing to commit to: give the model a posterior "
            "`conditionals.Quantised`"
        )
    return found


def _summed(trace: Trace, pairs: list[tuple[Tensor, Tensor, Quantised]]) -> Tensor:
    total: Tensor | None = None
    for vectors, codes, q in pairs:
        value = per_datum(squared_distance(vectors, codes, q.event_dims), trace)
        total = value if total is None else total + value
    assert total is not None  # `quantised` refuses a trace without any
    return total
