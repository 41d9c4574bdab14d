"""Fresh networks that look at the codes of a trained model: what they find is no part of its training."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from vaekit.data.batch import Data
from vaekit.metrics.passes import evaluating, loaded
from vaekit.models import Model
from vaekit.networks import MLP, LeaveOneOut
from vaekit.terms import log_odds, permute_dimensions

ROWS = 512  # codes a step


def codes_of(model: Model, data: Data, n: int, seed: int = 0, sample: bool = True) -> Tensor:
    """One draw of z ~ q(z|x), or its mean, for each of n data: (n, latents), on the CPU.

    The data are chosen at random; all of them come in their own order.
    """
    found = []
    with evaluating(model, seed):
        for batch, _ in loaded(data, model, seed=seed, limit=n):
            values = model.encode(batch, sample=sample).values()
            found.append(torch.cat([value.flatten(1).float().cpu() for value in values], 1))
    return torch.cat(found)


def correlation_by_critic(train: Tensor, test: Tensor, steps: int = 1500, seed: int = 0) -> float:
    """A lower bound on the total correlation, nats: E_q[l] - ln E_q'[exp l], q' = prod_j q(z_j).

    The bound of Donsker and Varadhan holds for every function l; here l is the log-odds of a new critic that
    was trained on other codes to tell q from q'. It misses what the critic has not learnt, and means the
    same for every model that is judged with it.

    Args:
        train: codes that the critic learns from, (n, latents).
        test: codes that it is judged on, (m, latents).
        steps: of training.
        seed: of the critic, its batches and the permutations.
    """
    train, test = _standard(train, test)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        critic = MLP([(train.shape[1],)], (1,), (128, 128), "leaky_relu_0.2")

        def loss(z: Tensor) -> Tensor:
            odds = log_odds(critic, torch.stack([z, permute_dimensions(z)]))
            return softplus(-odds[0]).mean() + softplus(odds[1]).mean()

        _train(critic, loss, train, steps)
        with torch.no_grad():
            real, fake = log_odds(critic, torch.stack([test, permute_dimensions(test)]))
            return float(real.mean() - (fake.logsumexp(0) - torch.tensor(float(len(fake))).log()))


class Predicted(NamedTuple):
    """How well used latents are predicted from each other.

    `linear` and `network` are the means over used latents of the held-out R^2 = 1 - MSE / variance.
    """

    used: int
    linear: float
    network: float


def predicted(train: Tensor, test: Tensor, least: float = 0.2, steps: int = 1500, seed: int = 0) -> Predicted:
    """Held-out R^2 of every used latent given the other used ones: by least squares, and by new networks.

    Args:
        train: codes that the predictors learn from, (n, latents).
        test: codes that they are judged on, (m, latents).
        least: range (largest minus smallest code) above which a latent is used; 0.2 is that of Yeats et al.
        2022
            for codes in (0, 1).
        steps: of training.
        seed: of the networks and their batches.
    """
    used = test.amax(0) - test.amin(0) > least
    count = int(used.sum())
    if count < 2:
        return Predicted(count, 0.0, 0.0)
    train, test = _standard(train[:, used], test[:, used])
    precision = torch.linalg.inv(torch.cov(train.double().mT))
    # the best linear predictor of z_i from the others: -sum_j P_ij z_j / P_ii
    guess = test.double() @ (torch.eye(count).double() - precision / precision.diagonal())
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        networks = LeaveOneOut(count, (64, 64))
        _train(networks, lambda z: (z - networks(z)).square().sum(1).mean(), train, steps, rate=3e-3)
        with torch.no_grad():
            learned = networks(test)
    return Predicted(count, _explained(test, guess), _explained(test, learned))


def _standard(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the means and scales of the first; a latent that is constant stays so."""
    mean, scale = train.mean(0), train.std(0).clamp_min(1e-6)
    return (train - mean) / scale, (test - mean) / scale


def _train(
    network: nn.Module, loss: Callable[[Tensor], Tensor], codes: Tensor, steps: int, rate: float = 1e-3
) -> None:
    optimizer = torch.optim.Adam(network.parameters(), rate)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / steps)
        optimizer.zero_grad()
        loss(codes[torch.randint(len(codes), (ROWS,))]).backward()
        optimizer.step()


def _explained(codes: Tensor, guess: Tensor) -> float:
    """R^2, mean over latents."""
    return float((1 - (codes - guess).square().mean(0) / codes.var(0)).mean())
