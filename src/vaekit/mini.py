"""The whole idea of vaekit in one file that needs nothing but torch.

Run it (`python -m vaekit.mini`): it trains two systems on a toy world whose evidence is known exactly, and
prints how far each bound stays below it. The library is this file, grown: every noun below has a module of
the same name.

A variational autoencoder fits p(x) = integral p(x|z) p(z) dz. The integral is out of reach, so a second
network q(z|x) proposes latents, and both are trained on a bound of the evidence:

    log p(x) >= E_q[ log p(x|z) ] - KL( q(z|x) || p(z) )           (the ELBO: minus distortion, minus rate)
    log p(x) >= E_q[ log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x) ]    (K draws: IWAE, tighter in K)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal, kl_divergence

# --- 1. conditional: a module that maps a context to a distribution ---------------------------------------
# Prior, posterior and likelihood are the same kind of thing.


class Gaussian(nn.Module):
    """context (..., inputs) -> N(mean, diag(s^2)) over (..., n): a network gives mean and ln s."""

    def __init__(self, inputs: int, n: int, hidden: int = 32) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, 2 * n))

    def forward(self, context: Tensor) -> Distribution:
        """The distribution, given the context."""
        mean, log_std = self.network(context).chunk(2, dim=-1)
        return Independent(Normal(mean, log_std.clamp(-8, 4).exp()), 1)


class SharedGaussian(nn.Module):
    """context (..., n) -> N(W context + b, sigma^2 I) with one learned sigma: a likelihood."""

    def __init__(self, n: int, outputs: int) -> None:
        super().__init__()
        self.network = nn.Linear(n, outputs)
        self.log_std = nn.Parameter(torch.zeros(()))

    def forward(self, context: Tensor) -> Distribution:
        """The distribution, given the context."""
        mean = self.network(context)
        return Independent(Normal(mean, self.log_std.exp().expand_as(mean)), 1)


class StandardGaussian(nn.Module):
    """N(0, I) whatever the context: a prior."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self) -> Distribution:
        """The distribution."""
        return Independent(Normal(torch.zeros(self.n), torch.ones(self.n)), 1)


# --- 2. trace: a plain record of one pass; a model makes it and never owns its loss -----------------------


@dataclass(frozen=True)
class Trace:
    """One pass: data x, a latent z with the q it came from and its prior p, and the likelihood of x."""

    x: Tensor
    z: Tensor
    q: Distribution
    p: Distribution
    likelihood: Distribution


class Flat(nn.Module):
    """x -> q(z|x) -> z -> p(x|z). With `samples`, z has a leading sample axis: (samples, batch, n)."""

    def __init__(self, posterior: nn.Module, prior: nn.Module, likelihood: nn.Module) -> None:
        super().__init__()
        self.posterior, self.prior, self.likelihood = posterior, prior, likelihood

    def forward(self, x: Tensor, samples: int | None = None) -> Trace:
        """Draw z by the reparameterisation trick, so that gradients flow through the draw."""
        q = self.posterior(x)
        z = q.rsample(torch.Size(() if samples is None else (samples,)))
        return Trace(x, z, q, self.prior(), self.likelihood(z))


# --- 3. term: trace -> one value per datum, in nats; an objective is a set of weighted terms --------------

Term = Callable[[Trace], Tensor]


def distortion(trace: Trace) -> Tensor:
    """-log p(x|z)."""
    return -trace.likelihood.log_prob(trace.x)


def rate(trace: Trace) -> Tensor:
    """KL(q(z|x) || p(z)) in closed form."""
    return kl_divergence(trace.q, trace.p)


def importance_bound(trace: Trace) -> Tensor:
    """-log 1/K sum_k w_k,  log w = log p(x|z) + log p(z) - log q(z|x).  K is the sample axis."""
    log_w = trace.likelihood.log_prob(trace.x) + trace.p.log_prob(trace.z) - trace.q.log_prob(trace.z)
    return -(log_w.logsumexp(0) - math.log(len(log_w)))


Objective = Mapping[str, tuple[float, Term]]


def judge(objective: Objective, trace: Trace) -> Tensor:
    """The one mean over the batch, of the weighted sum of terms."""
    values = torch.stack([weight * term(trace).mean() for weight, term in objective.values()])
    return values.sum()


# --- 4. procedure: players move their own parameters, and no others ---------------------------------------


@dataclass(frozen=True)
class Player:
    """Parameters, what they minimise, and how they step."""

    parameters: list[nn.Parameter]
    objective: Objective
    optimizer: torch.optim.Optimizer


def step(model: Flat, players: list[Player], x: Tensor, samples: int | None) -> float:
    """One trace, the gradient of each player's objective on its own parameters, then all moves."""
    trace = model(x, samples)
    total = 0.0
    for player in players:
        loss = judge(player.objective, trace)
        loss.backward(inputs=player.parameters, retain_graph=player is not players[-1])
        total += float(loss.detach())
    for player in players:
        player.optimizer.step()
        player.optimizer.zero_grad()
    return total


# --- a recipe is a published system: a few lines that wire the above --------------------------------------


def vae(outputs: int, latents: int, beta: float = 1.0) -> tuple[Flat, list[Player], None]:
    """Kingma and Welling 2014; with another `beta`, Higgins et al. 2017."""
    model = Flat(Gaussian(outputs, latents), StandardGaussian(latents), SharedGaussian(latents, outputs))
    parameters = list(model.parameters())
    objective = {"distortion": (1.0, distortion), "rate": (beta, rate)}
    return model, [Player(parameters, objective, torch.optim.Adam(parameters, 1e-2))], None


def iwae(outputs: int, latents: int, samples: int = 10) -> tuple[Flat, list[Player], int]:
    """Burda et al. 2016."""
    model = Flat(Gaussian(outputs, latents), StandardGaussian(latents), SharedGaussian(latents, outputs))
    parameters = list(model.parameters())
    objective = {"bound": (1.0, importance_bound)}
    return model, [Player(parameters, objective, torch.optim.Adam(parameters, 1e-2))], samples


# --- a world with an answer: linear-Gaussian data, whose evidence is known exactly ------------------------


def world(count: int) -> tuple[Tensor, Tensor]:
    """Data x = W z + sigma eps in five dimensions from two latents, and their exact log p(x)."""
    w = torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 1.5], [-1.0, 0.5], [0.5, -0.5]])
    exact = torch.distributions.MultivariateNormal(torch.zeros(5), w @ w.T + 0.09 * torch.eye(5))
    x = exact.sample(torch.Size((count,)))
    return x, exact.log_prob(x)


def demonstrate(steps: int = 1500) -> dict[str, float]:
    """Train both recipes; return the exact mean evidence and the gap of each bound below it, in nats."""
    torch.manual_seed(0)
    x, evidence = world(2000)
    found = {"evidence": float(evidence.mean())}
    for name, (model, players, samples) in {"vae": vae(5, 2), "iwae": iwae(5, 2)}.items():
        for _ in range(steps):
            step(model, players, x[torch.randint(len(x), (100,))], samples)
        with torch.no_grad():
            found[f"{name} gap"] = found["evidence"] + float(judge(players[0].objective, model(x, samples)))
    return found


if __name__ == "__main__":
    for label, value in demonstrate().items():
        print(f"{label:>10}: {value:8.3f} nats per datum")
