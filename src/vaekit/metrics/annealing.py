"""Annealed importance sampling: the evidence once more, by a way that does not lean on the posterior.

From log f_0 (the prior, or q) to log f_1 = log p(z) + log p(x|z) along log f_b = (1 - b) log f_0 + b log f_1;
with the prior as start this is p(z) p(x|z)^b. For t = 1 .. T: log w += (b_t - b_t-1) (log f_1 - log f_0),
then a Hamiltonian Monte Carlo step that leaves f_b_t invariant; log p(x) is estimated by log-mean-exp over
chains.

References:
    Annealed Importance Sampling. Neal, 2001, arXiv physics/9803008.
    On the Quantitative Analysis of Decoder-Based Generative Models. Wu, Burda, Salakhutdinov, Grosse, 2017,
    arXiv 1611.04273 (schedule, step sizes steered by acceptance).
    Sandwiching the marginal likelihood using bidirectional Monte Carlo. Grosse, Ghahramani, Adams, 2015,
    arXiv 1511.02543.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaekit.errors import UnsupportedError
from vaekit.metrics.passes import with_density
from vaekit.models import Model
from vaekit.models.draws import draw, draw_prior
from vaekit.trace import Batch

Start = Literal["prior", "posterior"]
"""prior: p(z), which the encoder cannot spoil. posterior: q(z|x), nearer to the goal."""

TARGET = 0.65
"""Acceptance rate that the step sizes are steered to."""

PILOTS = 4
"""Pilot chains per datum."""

_RATE = 0.05  # of the steering of ln(step size); the first transitions steer faster, t^-0.7


@dataclass(frozen=True)
class Annealing:
    """How the annealing is carried out.

    Args:
        chains: per datum.
        steps: T, increments of the path; more of them tighten the bound.
        leapfrog: leapfrog steps of one transition.
        start: where the path starts.
        step_size: of the first transition of the pilot chains; see `pilot`.
    """

    chains: int = 16
    steps: int = 1000
    leapfrog: int = 10
    start: Start = "prior"
    step_size: float = 0.1

    def __post_init__(self) -> None:
        for name in ("chains", "steps", "leapfrog"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` is {getattr(self, name)}; expected 1 or more")
        if not (self.step_size > 0 and math.isfinite(self.step_size)):
            raise ValueError(f"`step_size` is {self.step_size}; expected a positive number")
        if self.start not in get_args(Start):
            raise ValueError(f"`start` is {self.start!r}; expected prior or posterior")


PLAIN = Annealing()
"""The default way."""


def sigmoid_schedule(steps: int, rad: float = 4.0) -> list[float]:
    """b_0 = 0 .. b_T = 1, b_t = (s_t - s_0) / (s_T - s_0) with s = sigmoid(linspace(-rad, rad, T + 1))."""
    s = torch.linspace(-rad, rad, steps + 1, dtype=torch.float64).sigmoid()
    b: list[float] = ((s - s[0]) / (s[-1] - s[0])).tolist()
    return b


class _Ends(NamedTuple):
    """log f_0 and log f_1 at a state, (chain, batch)."""

    first: Tensor
    last: Tensor

    def at(self, b: float) -> Tensor:
        return (1 - b) * self.first + b * self.last


class Path:
    """The two ends of the path for one batch, as functions of all latents laid side by side.

    A state z is (chain, batch, n).
    """

    def __init__(self, model: Model, batch: Batch, start: Start) -> None:
        if not model.names:
            raise UnsupportedError(
                "annealed importance sampling goes through latents, and the model has none: its likelihood "
                "is exact, use `nll`"
            )
        trace = with_density(model(batch))
        if trace.axes != ("batch",):
            raise UnsupportedError(
                f"annealing moves one draw for every datum, but the trace has the axes {trace.axes}: where "
                "labels are enumerated, use `nll`"
            )
        if any(latent.chained for latent in trace.latents.values()):
            raise UnsupportedError(
                "annealed importance sampling is for models whose latents are independent given x; "
                f"{type(model).__name__} chains them: use `nll`"
            )
        self.model, self.batch, self.start = model, batch, start
        self.priors: dict[str, Distribution] = {name: latent.p for name, latent in trace.latents.items()}
        self.posteriors: dict[str, Distribution] = {name: latent.q for name, latent in trace.latents.items()}
        self.events = {name: latent.value.shape[1:] for name, latent in trace.latents.items()}

    def join(self, values: dict[str, Tensor]) -> Tensor:
        """Latents (chain, batch, *event) -> (chain, batch, n)."""
        return torch.cat([values[name].flatten(2) for name in self.events], -1)

    def split(self, z: Tensor) -> dict[str, Tensor]:
        """Undo `join`."""
        parts = z.split([event.numel() for event in self.events.values()], -1)
        return {
            name: part.reshape(*z.shape[:2], *event)
            for (name, event), part in zip(self.events.items(), parts, strict=True)
        }

    def begin(self, chains: int) -> Tensor:
        """Exact draws from f_0."""
        size = len(self.batch["x"])
        if self.start == "posterior":
            return self.join({name: draw(q, chains) for name, q in self.posteriors.items()})
        return self.join({name: draw_prior(p, size, chains) for name, p in self.priors.items()})

    def ends(self, z: Tensor) -> _Ends:
        """log f_0 and log f_1."""
        values = self.split(z)
        likelihood = self.model.decode(values, self.batch.get("c")).log_prob(self.batch["x"])
        prior = torch.stack([p.log_prob(values[name]) for name, p in self.priors.items()]).sum(0)
        if self.start == "prior":
            return _Ends(prior, prior + likelihood)
        q = torch.stack([q.log_prob(values[name]) for name, q in self.posteriors.items()]).sum(0)
        return _Ends(q, prior + likelihood)

    def slope(self, z: Tensor, b: float) -> tuple[_Ends, Tensor]:
        """The ends, and d log f_b / dz."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            ends = self.ends(z)
            (gradient,) = torch.autograd.grad(ends.at(b).sum(), z)
        return _Ends(ends.first.detach(), ends.last.detach()), gradient


class _Walk:
    """Chains under Hamiltonian Monte Carlo."""

    def __init__(self, path: Path, z: Tensor, how: Annealing) -> None:
        self.path, self.z, self.how = path, z, how
        self.ends = path.ends(z)
        self.accepted: list[Tensor] = []

    def move(self, b: float, log_step: Tensor) -> Tensor:
        """One transition that leaves f_b invariant; returns its acceptance probability, (chain, batch).

        Args:
            b: place on the path.
            log_step: ln of the leapfrog step size, (batch,) or (chain, batch).
        """
        # the length is jittered, so that no trajectory closes on itself at every step
        jitter = 0.8 + 0.4 * torch.rand_like(self.ends.first)
        step = (log_step.exp() * jitter).unsqueeze(-1)
        momentum = torch.randn_like(self.z)
        energy = 0.5 * momentum.square().sum(-1) - self.ends.at(b)
        z = self.z
        _, slope = self.path.slope(z, b)
        for _ in range(self.how.leapfrog):
            momentum = momentum + 0.5 * step * slope
            z = z + step * momentum
            ends, slope = self.path.slope(z, b)
            momentum = momentum + 0.5 * step * slope
        change = energy - (0.5 * momentum.square().sum(-1) - ends.at(b))
        chance = change.nan_to_num(nan=-math.inf).clamp_max(0).exp()
        taken = torch.rand_like(chance) < chance
        self.z = torch.where(taken.unsqueeze(-1), z, self.z)
        self.ends = _Ends(*(torch.where(taken, new, old) for new, old in zip(ends, self.ends, strict=True)))
        self.accepted.append(chance.mean())
        return chance

    def advance(self, weight: Tensor, change: float) -> Tensor:
        """`weight` + change (log f_1 - log f_0) at the present state."""
        return weight + change * (self.ends.last - self.ends.first).double()


class Annealed(NamedTuple):
    """Log weights (chain, batch) float64, and the mean acceptance, ()."""

    weights: Tensor
    acceptance: Tensor


def pilot(path: Path, how: Annealing) -> list[Tensor]:
    """ln of the step size of each transition, (batch,) each, in the order of the path.

    A few chains walk the path, each steering its step size towards an acceptance of 0.65; their mean is what
    the measured chains use. A chain that steered by its own past would not leave f_b invariant: its weights
    overestimate p(x), by several per cent on a Gaussian, and the more the longer the path.
    """
    walk = _Walk(path, path.begin(min(PILOTS, how.chains)), how)
    log_step = torch.full_like(walk.ends.first, math.log(how.step_size))
    found = []
    for count, b in enumerate(sigmoid_schedule(how.steps)[1:-1], 1):
        chance = walk.move(b, log_step)
        log_step = log_step + max(_RATE, count**-0.7) * (chance - TARGET)
        found.append(log_step.mean(0))
    return found


def anneal(path: Path, z: Tensor, how: Annealing, log_steps: list[Tensor], backwards: bool) -> Annealed:
    """Log weights of the path from f_0 to f_1; or, backwards, of the one from f_1 to f_0, with their sign."""
    schedule = sigmoid_schedule(how.steps)
    if backwards:
        schedule.reverse()
        log_steps = log_steps[::-1]
    walk = _Walk(path, z, how)
    weights = torch.zeros(z.shape[:2], dtype=torch.float64, device=z.device)
    for t, (before, after) in enumerate(pairwise(schedule)):
        if t:
            walk.move(before, log_steps[t - 1])
        weights = walk.advance(weights, after - before)
    acceptance = torch.stack(walk.accepted).mean() if walk.accepted else weights.new_tensor(math.nan)
    return Annealed(weights, acceptance.double())
