"""The BetaVAE score: can a linear classifier tell which factor two data share?

A point is (1/L) sum_l |r(x_l) - r(x'_l)| over L pairs of data that share factor k, whose shared value is
drawn anew for every pair, the other factors independent; its label is k. The score is the test accuracy of a
linear classifier.

I. Higgins, L. Matthey, A. Pal, C. Burgess, X. Glorot, M. Botvinick, S. Mohamed, A. Lerchner, beta-VAE:
Learning Basic Visual Concepts with a Constrained Variational Framework, ICLR 2017,
https://openreview.net/forum?id=Sy2fzU9gl
"""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.checks import whole
from vaekit.data.factors import Grid
from vaekit.disentanglement.learners import Logistic, logistic, standardised
from vaekit.disentanglement.points import Floats, Integers, Represent
from vaekit.disentanglement.result import Score
from vaekit.disentanglement.voting import portions, represented, varying


def beta_vae(
    represent: Represent,
    grid: Grid,
    generator: torch.Generator,
    *,
    train: int = 10_000,
    test: int = 5_000,
    batch: int = 64,
    classifier: Logistic = "multinomial",
) -> Score:
    """The BetaVAE score.

    Args:
        represent: points of the grid to codes.
        grid: of the factors; a constant one is never shared.
        generator: of all that is drawn.
        train, test: points.
        batch: L, pairs behind each point.
        classifier: see `learners.logistic`; the features of "multinomial" are standardised.

    Returns:
        `beta_vae`, and `beta_vae_train` on the points of training. Chance is 1 / number of factors.

    Raises:
        ValueError: if every factor is constant, or a code is not finite.

    Warning:
        It is 1 already where all factors but one are encoded: the last is told by exclusion.
    """
    for name, value in (("train", train), ("test", test), ("batch", batch)):
        whole(name, value)
    candidates, notes = varying(grid)
    points, labels = _points(represent, grid, candidates, train, batch, generator)
    test_points, test_labels = _points(represent, grid, candidates, test, batch, generator)
    if classifier == "multinomial":
        points, test_points = standardised(points, test_points)
    model = logistic(points, labels, classifier)
    values = {
        "beta_vae": float((model.predict(test_points) == test_labels).mean()),
        "beta_vae_train": float((model.predict(points) == labels).mean()),
    }
    sizes = {"train": train, "test": test, "batch": batch}
    return Score("beta_vae", values, sizes, {"classifier": classifier}, notes=notes)


def _points(
    represent: Represent, grid: Grid, candidates: Tensor, count: int, batch: int, generator: torch.Generator
) -> tuple[Floats, Integers]:
    """Differences (count, d), and which factor was shared, (count,)."""
    features, labels = [], []
    for n in portions(count, 2 * batch):
        drawn = torch.randint(len(candidates), (n,), generator=generator, device=generator.device)
        shared = candidates.to(drawn.device)[drawn]
        first = grid.sample(n * batch, generator)
        kept = torch.nn.functional.one_hot(shared, len(grid.sizes)).bool().repeat_interleave(batch, 0)
        second = grid.resample(first, kept, generator)
        codes = [
            represented(represent, points.unflatten(0, (n, batch)), generator) for points in (first, second)
        ]
        features.append((codes[0] - codes[1]).abs().mean(1).cpu())
        labels.append(shared.cpu())
    return torch.cat(features).numpy(), torch.cat(labels).numpy()
