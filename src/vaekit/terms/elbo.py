"""The two terms of the evidence lower bound, and what is built from the second."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.distributions.kl import _KL_MEMOIZE, _dispatch_kl  # the only way to ask for a closed form

from vaekit.schedules import Weight, value_of
from vaekit.terms.parts import Term, divergence, log_likelihood, log_ratio, per_datum
from vaekit.trace import Latent, Trace

Estimator = Literal["auto", "closed", "sample", "stl"]


class Distortion:
    """-E_q log p(x|z), one value per datum, nats."""

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        return -per_datum(log_likelihood(trace), trace)


class Rate:
    """KL(q(z|x) || p(z)) summed over latents, one value per datum, nats.

    Args:
        estimator: "closed" for the closed form (SGVB-B of Kingma and Welling 2014), "sample" for
            log q(z|x) - log p(z) at the drawn z (SGVB-A), "stl" for the same with q's parameters cut out of
            the graph (sticking the landing, Roeder et al. 2017, arXiv 1703.09194: unbiased, and free of
            variance where q is the true posterior), "auto" for "closed" where a closed form is known for
            every latent and "sample" elsewhere.

    In a chain of latents there is no closed form given x: the prior p(z1|z2) depends on a draw of z2 that
    depends on z1 itself, so that KL(q(z1|x) || p(z1|z2)) with z1 averaged out is another, larger quantity.
    """

    def __init__(self, estimator: Estimator = "auto") -> None:
        if estimator not in ("auto", "closed", "sample", "stl"):
            raise ValueError(f"`estimator` is {estimator!r}; expected auto, closed, sample or stl")
        self.estimator = estimator

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        latents = trace.latents.values()
        closed = self.estimator == "closed" or (
            self.estimator == "auto" and all(has_closed_form(latent) for latent in latents)
        )
        if closed:
            rates = [per_datum(divergence(latent), trace) for latent in latents]
            return sum(rates[1:], start=rates[0]) if rates else _zero(trace)
        ratio = log_ratio(trace, cut=self.estimator == "stl")
        return -per_datum(ratio, trace) if isinstance(ratio, Tensor) else _zero(trace)


class Capacity(nn.Module):
    """|mean rate - C|: holds the rate of the batch at a capacity C, nats (Burgess et al. 2018, 1804.03599).

    One value for the batch, since the absolute value is taken of its mean.

    Args:
        capacity: C, a number or a schedule.
        rate: the rate that is held.
    """

    couples_batch = True

    def __init__(self, capacity: Weight, rate: Term | None = None) -> None:
        super().__init__()
        self.capacity = capacity
        self.rate = Rate() if rate is None else rate

    @property
    def gathers(self) -> bool:
        """Whether it may be given the latents of several processes: the rate looks at nothing else."""
        return isinstance(self.rate, Rate)

    def forward(self, trace: Trace) -> Tensor:
        """()."""
        mean = self.rate(trace).mean()
        capacity = value_of(self.capacity)
        if isinstance(capacity, Tensor):
            capacity = capacity.to(mean.dtype)  # a schedule counts in float64
        return (mean - capacity).abs()


class On(nn.Module):
    """A term judged on a branch of the trace, such as "prior".

    Args:
        branch: the name of the branch.
        term: the term.
    """

    def __init__(self, branch: str, term: Term) -> None:
        super().__init__()
        self.branch = branch
        self.term = term

    @property
    def couples_batch(self) -> bool:
        """As the term that it wraps."""
        return bool(getattr(self.term, "couples_batch", False))

    @property
    def gathers(self) -> bool:
        """As the term that it wraps."""
        return bool(getattr(self.term, "gathers", False))

    def forward(self, trace: Trace) -> Tensor:
        """As the term that it wraps."""
        return self.term(trace.branches[self.branch])


def has_closed_form(latent: Latent) -> bool:
    """Whether this latent's share of the rate is a KL(q || p) that is known in closed form."""
    if not latent.closed:
        return False
    # torch's own memory, which `register_kl` clears: the search goes through every pair that is registered
    pair = type(latent.q), type(latent.p)
    if pair not in _KL_MEMOIZE:
        _KL_MEMOIZE[pair] = _dispatch_kl(*pair)
    return _KL_MEMOIZE[pair] is not NotImplemented


def _zero(trace: Trace) -> Tensor:
    x = trace.batch["x"]
    return x.new_zeros(len(x))
