"""A world of few codes and few bits, in which every expectation is a finite sum."""

from __future__ import annotations

from functools import cached_property
from itertools import product

import torch
from torch import Tensor

from vaekit.distributions import Bernoulli, Categorical
from vaekit.trace import Latent, Observed, Trace


class Discrete:
    """z in {0, ..., K-1}, x in {0, 1}^D, and a posterior q(z|x) that need not be the true one.

    Every value below is enumerated, in float64 and nats. Per-datum values are in the order of `points`.

    Args:
        prior: p(z), (K,), positive.
        ones: p(x_d = 1 | z), (K, D), inside (0, 1).
        posterior: q(z|x) for every x in the order of `points`, (2^D, K), positive.
        data: the distribution of the data over `points`, (2^D,).

    Raises:
        ValueError: if the tables do not fit each other or a row does not sum to one.
    """

    def __init__(self, prior: Tensor, ones: Tensor, posterior: Tensor, data: Tensor) -> None:
        codes, bits = ones.shape
        expected = {"prior": (codes,), "posterior": (2**bits, codes), "data": (2**bits,)}
        tables = {"prior": prior.double(), "posterior": posterior.double(), "data": data.double()}
        for name, table in tables.items():
            if tuple(table.shape) != expected[name]:
                raise ValueError(f"`{name}` has shape {tuple(table.shape)}; expected {expected[name]}")
            if bool((table < 0).any()) or bool(((table.sum(-1) - 1).abs() > 1e-9).any()):
                raise ValueError(f"`{name}` is no distribution: expected rows from 0 to 1 that sum to one")
        self.prior, self.q, self.data = tables["prior"], tables["posterior"], tables["data"]
        self.ones = ones.double()

    @classmethod
    def random(cls, codes: int = 3, bits: int = 4, seed: int = 0) -> Discrete:
        """A world with tables drawn at random."""
        generator = torch.Generator().manual_seed(seed)

        def noise(*shape: int) -> Tensor:
            return torch.randn(*shape, dtype=torch.float64, generator=generator)

        return cls(
            noise(codes).softmax(-1),
            noise(codes, bits).sigmoid(),
            noise(2**bits, codes).softmax(-1),
            noise(2**bits).softmax(-1),
        )

    @cached_property
    def points(self) -> Tensor:
        """Every x, (2^D, D)."""
        return torch.tensor(list(product([0.0, 1.0], repeat=self.ones.shape[1])), dtype=torch.float64)

    @cached_property
    def log_likelihood(self) -> Tensor:
        """log p(x|z), (2^D, K)."""
        x = self.points.unsqueeze(1)
        return (x * self.ones.log() + (1 - x) * (-self.ones).log1p()).sum(-1)

    @cached_property
    def evidence(self) -> Tensor:
        """p(x) = sum_z p(z) p(x|z), (2^D,)."""
        return self.log_likelihood.exp() @ self.prior

    @cached_property
    def true_posterior(self) -> Tensor:
        """p(z|x), (2^D, K)."""
        return self.log_likelihood.exp() * self.prior / self.evidence.unsqueeze(-1)

    @cached_property
    def aggregate(self) -> Tensor:
        """q(z) = sum_x p_data(x) q(z|x), (K,)."""
        return self.data @ self.q

    @property
    def distortion(self) -> Tensor:
        """-E_q log p(x|z), (2^D,)."""
        return -(self.q * self.log_likelihood).sum(-1)

    @property
    def rate(self) -> Tensor:
        """KL(q(z|x) || p(z)), (2^D,)."""
        return _divergence(self.q, self.prior)

    @property
    def information(self) -> Tensor:
        """I_q(x; z) = E_data KL(q(z|x) || q(z)), ()."""
        return self.data @ _divergence(self.q, self.aggregate)

    @property
    def marginal_kl(self) -> Tensor:
        """KL(q(z) || p(z)), ()."""
        return _divergence(self.aggregate, self.prior)

    def elbos(self) -> dict[str, Tensor]:
        """The evidence lower bound in its forms: the first four (2^D,), the last two () over the data.

        joint: E_q[log p(x, z) - log q(z|x)]. parts: E_q log p(x|z) - KL(q(z|x) || p(z)).
        gap: log p(x) - KL(q(z|x) || p(z|x)). energy: E_q log p(x, z) + H[q(z|x)].
        surgery: E log p(x|z) - I_q(x; z) - KL(q(z) || p(z)) (Hoffman and Johnson 2016).
        matching: -KL(p_data(x) q(z|x) || p(x, z)) - H[p_data].
        """
        joint = self.log_likelihood + self.prior.log()
        entropy = -(self.q * self.q.log()).sum(-1)
        present = self.data > 0
        table = (self.data.unsqueeze(-1) * self.q)[present]
        matching = (table * (table.log() - joint[present])).sum()
        data_entropy = -(self.data[present] * self.data[present].log()).sum()
        return {
            "joint": (self.q * (joint - self.q.log())).sum(-1),
            "parts": -self.distortion - self.rate,
            "gap": self.evidence.log() - _divergence(self.q, self.true_posterior),
            "energy": (self.q * joint).sum(-1) + entropy,
            "surgery": -self.data @ self.distortion - self.information - self.marginal_kl,
            "matching": -matching - data_entropy,
        }

    def tuples(self, draws: int) -> tuple[Tensor, Tensor]:
        """Every outcome of `draws` codes: codes (draws, K^draws) and their probabilities (2^D, K^draws)."""
        codes = torch.tensor(list(product(range(len(self.prior)), repeat=draws))).mT
        return codes, self.q[:, codes].prod(1)

    def bound(self, draws: int) -> Tensor:
        """The importance-weighted bound L_K = E log 1/K sum_k w_k over all outcomes of K draws, (2^D,)."""
        codes, chances = self.tuples(draws)
        weights = self.log_likelihood.exp() * self.prior / self.q
        return (chances * weights[:, codes].mean(1).log()).sum(-1)

    def trace(self, codes: Tensor, rows: Tensor | None = None) -> Trace:
        """A trace of these codes.

        Args:
            codes: (B,) or (S, B).
            rows: numbers of the data in `points`, (B,); all of them in order by default.
        """
        x = self.points if rows is None else self.points[rows]
        q = self.q if rows is None else self.q[rows]
        posterior = Categorical(q.log().unsqueeze(-2))
        latent = Latent(codes.double().unsqueeze(-1), posterior, Categorical(self.prior.log().unsqueeze(0)))
        likelihood = Bernoulli(self.ones.logit()[codes])
        axes = ("batch",) if codes.dim() == 1 else ("sample", "batch")
        return Trace({"x": x}, {"z": latent}, {"x": Observed(x, likelihood)}, axes)


def _divergence(q: Tensor, p: Tensor) -> Tensor:
    return (q * (q.log() - p.log())).sum(-1)
