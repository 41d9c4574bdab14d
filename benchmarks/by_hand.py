"""The losses of games and of single players as the papers state them, in plain torch: nothing of any library.

Both sides of the section `pythae-games` run these on their own networks: with the weights and the noise that
the library just used, the gradient that should reach each network is that of the loss it is said to follow.

A function takes the networks as maps, the data x (B, D) in [0, 1], and the draws of the step; it returns
network -> the two parts of the loss that this network is to make small: what it owes to the data, and what
it owes to the game or to whatever else the method adds (None where there is no such part).

    encode: x -> mean and ln s, (B, n) each;   decode: z -> probabilities, (B, D);   critic: see each function
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Losses = dict[str, tuple[Tensor, Tensor | None]]
Map = Callable[..., Any]


def distortion(p: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z) of coins, mean over the data."""
    return functional.binary_cross_entropy(p, x, reduction="none").sum(-1).mean()


def squared(p: Tensor, x: Tensor) -> Tensor:
    return (p - x).square().sum(-1).mean()


def rate(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, I)), mean over the data."""
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1).mean()


def drawn(mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    return mean + log_std.exp() * noise


def real(logits: Tensor) -> Tensor:
    """-ln D, mean."""
    return functional.softplus(-logits).mean()


def fake(logits: Tensor) -> Tensor:
    """-ln(1 - D), mean."""
    return functional.softplus(logits).mean()


def factor_vae(
    encode: Map,
    decode: Map,
    critic: Map,
    x: Tensor,
    noise: Tensor,
    other: Tensor,
    gamma: float,
    real_rows: int,
) -> Losses:
    """Kim and Mnih 2018. `other`: shuffled codes; `critic`: z -> logits of real and shuffled.

    The critic sees the codes of the first `real_rows` data.
    """
    mean, log_std = encode(x)
    z = drawn(mean, log_std, noise)
    odds = critic(z)[:, 0] - critic(z)[:, 1]
    bound = distortion(decode(z), x) + rate(mean, log_std)
    seen, shuffled = critic(z[:real_rows].detach()), critic(other.detach())
    test = 0.5 * (real(seen[:, 0] - seen[:, 1]) + fake(shuffled[:, 0] - shuffled[:, 1]))
    return {"encoder": (bound, gamma * odds.mean()), "decoder": (bound, None), "critic": (test, None)}


def vae_gan(
    encode: Map, decode: Map, critic: Map, x: Tensor, noise: Tensor, prior: Tensor, weight: float, game: float
) -> Losses:
    """Larsen et al. 2016, imitations from the prior alone. `critic`: data -> features, logit.

    The decoder follows weight * features - game * (cost of the discriminator); the sign is what public code
    gets wrong.
    """
    mean, log_std = encode(x)
    built = decode(drawn(mean, log_std, noise))
    made = decode(prior)
    features = 0.5 * (critic(x)[0] - critic(built)[0]).square().sum(-1).mean()
    cost = real(critic(x)[1]) + fake(critic(made)[1])
    return {
        "encoder": (rate(mean, log_std) + features, None),
        "decoder": (weight * features, -game * cost),
        "critic": (cost, None),
    }


def aae(
    encode: Map, decode: Map, critic: Map, x: Tensor, prior: Tensor, weight: float, game: float, test: float
) -> Losses:
    """Makhzani et al. 2015, a deterministic encoder. `critic`: z -> logit."""
    z = encode(x)[0]
    rebuild = distortion(decode(z), x)
    deceive = real(critic(z))
    cost = test * (real(critic(prior)) + fake(critic(z.detach())))
    rebuild = weight * rebuild
    return {"encoder": (rebuild, game * deceive), "decoder": (rebuild, None), "critic": (cost, None)}


def wae_mmd(encode: Map, decode: Map, x: Tensor, prior: Tensor, weight: float) -> Losses:
    """Tolstikhin et al. 2018: |x - f(z)|^2 + weight * U-statistic of MMD^2, inverse multiquadratic kernel."""
    z = encode(x)[0]
    count, n = z.shape

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        distance = (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(-1)
        return 2 * n / (2 * n + distance)

    pairs = count * (count - 1)
    within = (kernel(z, z).sum() + kernel(prior, prior).sum() - 2 * count) / pairs
    loss = squared(decode(z), x)
    return {"encoder": (loss, weight * (within - 2 * kernel(z, prior).mean())), "decoder": (loss, None)}


def vamp(encode: Map, decode: Map, pseudo: Map, x: Tensor, noise: Tensor) -> Losses:
    """Tomczak and Welling 2018. `pseudo`: () -> the K pseudo-inputs, (K, D)."""
    mean, log_std = encode(x)
    z = drawn(mean, log_std, noise)
    means, log_stds = encode(pseudo())
    offset = (z.unsqueeze(1) - means) * (-log_stds).exp()
    components = (-0.5 * offset.square() - log_stds).sum(-1)
    log_prior = components.logsumexp(1) - math.log(len(means))
    log_posterior = (-0.5 * noise.square() - log_std).sum(-1)
    loss = distortion(decode(z), x) + (log_posterior - log_prior).mean()
    return {"encoder": (loss, None), "decoder": (loss, None), "pseudo-inputs": (loss, None)}


def vq_vae(encode: Map, decode: Map, book: Tensor, x: Tensor, beta: float, half: float) -> Losses:
    """Van den Oord et al. 2017, eq. 3, one code a datum. `encode`: x -> z_e, (B, D); norms are sums.

    The likelihood is half * |x - f(z)|^2.
    """
    z = encode(x)
    nearest = (z.unsqueeze(-2) - book).square().sum(-1).argmin(-1)
    code = book[nearest]
    likelihood = half * squared(decode(z + (code - z).detach()), x)
    commitment = (z - code.detach()).square().sum(-1).mean()
    place = (z.detach() - code).square().sum(-1).mean()
    return {
        "encoder": (likelihood, beta * commitment),
        "decoder": (likelihood, None),
        "codebook": (place, None),
    }


def compared(
    reached: dict[str, Tensor], losses: Losses, parameters: dict[str, Sequence[Tensor]]
) -> dict[str, dict[str, float]]:
    """Network -> cosine, and ratio of lengths, of the gradient that reached it and the one that should have.

    Where a loss has two parts, the second one also by itself: the gradient of the first is taken off.
    """
    found = {}
    for name, (first, second) in losses.items():
        slope = _slope(first, parameters[name])
        right = slope if second is None else slope + _slope(second, parameters[name])
        found[name] = _beside(reached[name], right)
        if second is not None:
            found[f"{name}, second part"] = _beside(reached[name] - slope, right - slope)
    return found


def _slope(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    parts = torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True)
    pairs = zip(parts, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if part is None else part).flatten() for part, p in pairs])


def _beside(found: Tensor, right: Tensor) -> dict[str, float]:
    cosine = functional.cosine_similarity(found, right, dim=0)
    return {"cosine": float(cosine), "length": float(found.norm() / right.norm())}


@contextmanager
def recorded() -> Iterator[list[Tensor]]:
    """Inside, what torch.randn, randn_like, rand and randperm draw is written down in order."""
    names = ("randn", "randn_like", "rand", "randperm")
    kept = {name: getattr(torch, name) for name in names}
    draws: list[Tensor] = []

    def noting(make: Map) -> Map:
        def draw(*args: Any, **kwargs: Any) -> Tensor:
            draws.append(make(*args, **kwargs))
            return draws[-1]

        return draw

    for name, make in kept.items():
        setattr(torch, name, noting(make))
    try:
        yield draws
    finally:
        for name, make in kept.items():
            setattr(torch, name, make)
