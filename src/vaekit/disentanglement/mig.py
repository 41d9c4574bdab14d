"""The mutual information gap, from points with binned codes, and exact for Gaussian posteriors.

MIG = mean_k (I_(1)k - I_(2)k) / H(v_k), with I_(1)k and I_(2)k the largest two of I(z_j; v_k) over the
latents j.

R. T. Q. Chen, X. Li, R. Grosse, D. Duvenaud, Isolating Sources of Disentanglement in Variational
Autoencoders, NeurIPS 2018, https://arxiv.org/abs/1802.04942, section 4
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaekit.checks import number, whole
from vaekit.disentanglement.points import (
    Floats,
    Values,
    array_of,
    classes_of,
    entropy,
    factor_information,
    points_of,
    top_two,
)
from vaekit.disentanglement.result import Score

_ELEMENTS = 2**22


def mig(codes: Values, factors: Values, *, bins: int = 20) -> Score:
    """MIG of a sample: I(z_j; v_k) of codes in equal-width bins.

    Args:
        codes: (N, d); posterior means, as a rule.
        factors: values of the factors at the same points, (N, F).
        bins: of every code, between its smallest and its largest value.

    Returns:
        `mig`; details: the gap of each factor, and the information of each latent and factor, nats.

    Raises:
        ValueError: if the arrays do not fit, are not finite, or no factor varies.

    Warning:
        Both I are biased upwards by about (bins - 1)(V_k - 1) / (2 N), which the gap cancels only in part.
    """
    whole("bins", bins, 2)
    points = points_of(codes, factors)
    classes, _, _ = classes_of(points.factors)
    information, of_factors = factor_information(points.codes, classes, bins)
    return _gap(
        information, of_factors, {"points": len(classes)}, {"form": "binned", "bins": bins}, points.notes
    )


def exact_mig(mean: Values, std: Values, factors: Values, *, step: float = 0.5, most: int = 20_000) -> Score:
    """MIG as the paper defines it: of z ~ q(z|x), with the aggregate posterior over all the data, without
    bins.

    I(z_j; v_k) = H(z_j) - sum_v p(v) H(z_j | v_k = v), q(z_j) = 1/N sum_n N(z_j; mu_nj, sigma_nj^2), and the
    same over the data that have v. The paper draws points for these entropies; here they are integrals by the
    trapezoidal rule, whose error is below 1e-7 nats at the default step: there is neither a seed nor noise.

    Args:
        mean, std: of the posteriors of all data that q(z) is over, (N, d).
        factors: of these data, (N, F). The paper leaves the shape of dSprites out: leave its column out.
        step: of the rule, in units of the smallest standard deviation of the latent.
        most: largest number of nodes; a posterior too narrow for them is refused.

    Returns:
        `mig_exact`; details as `mig`.

    Raises:
        ValueError: if the arrays do not fit, a standard deviation is not positive, or one is so small beside
            the spread of the means that the rule would need more than `most` nodes.
    """
    number("step", step, above=0, most=1)
    points = points_of(mean, factors)
    sigma = array_of(std, "std")
    if sigma.shape != points.codes.shape or not (sigma > 0).all():
        raise ValueError(
            f"`std` has shape {sigma.shape} and smallest value {sigma.min():g}; expected shape "
            f"{points.codes.shape} and positive values"
        )
    classes, _, counts = classes_of(points.factors)
    information = np.empty((sigma.shape[1], classes.shape[1]))
    for j in range(sigma.shape[1]):
        m, s = (torch.from_numpy(array[:, j].astype(np.float64)) for array in (points.codes, sigma))
        information[j] = _information(m, s, torch.from_numpy(classes), counts, step, most)
    sizes = {"data": len(classes)}
    return _gap(
        information, entropy(classes), sizes, {"form": "exact", "step": step}, points.notes, "mig_exact"
    )


def _information(
    mean: Tensor, std: Tensor, classes: Tensor, counts: list[int], step: float, most: int
) -> list[float]:
    """I(z; v_k) of one latent with every factor, nats.

    Args:
        mean, std: of its posteriors, (N,).
        classes: (N, F), with `counts` values each.
        step, most: see `exact_mig`.
    """
    low, high = float((mean - 9 * std).min()), float((mean + 9 * std).max())
    nodes = math.ceil((high - low) / (step * float(std.min()))) + 1
    if nodes > most:
        raise ValueError(
            f"`std` is as small as {float(std.min()):.2g} while the codes span {high - low:.3g}: that "
            f"is {nodes:,} nodes, more than `most` = {most:,}; take a larger `most`, or `mig`, which "
            "bins the means"
        )
    z = torch.linspace(low, high, nodes, dtype=torch.float64)
    offsets = torch.tensor([0, *counts[:-1]]).cumsum(0)
    members = torch.zeros(sum(counts), dtype=torch.float64)
    density = torch.zeros(sum(counts), nodes, dtype=torch.float64)  # of the data of each value of each factor
    rows = max(1, _ELEMENTS // nodes)
    for m, s, part in zip(mean.split(rows), std.split(rows), (classes + offsets).split(rows), strict=True):
        of_value = torch.zeros(len(m), sum(counts), dtype=torch.float64).scatter_(1, part, 1.0)
        density += of_value.mT @ (torch.exp(-0.5 * ((z - m[:, None]) / s[:, None]) ** 2) / s[:, None])
        members += of_value.sum(0)
    density /= math.sqrt(2 * math.pi)
    marginal = density[: counts[0]].sum(0) / len(mean)
    given = density / members[:, None]
    width = (high - low) / (nodes - 1)
    whole_entropy = -width * torch.xlogy(marginal, marginal).sum()
    entropies = -width * torch.xlogy(given, given).sum(1) * (members / len(mean))
    return [max(0.0, float(whole_entropy - part.sum())) for part in entropies.split(counts)]


def _gap(
    information: Floats,
    of_factors: Floats,
    sizes: dict[str, int],
    settings: dict[str, Any],
    notes: tuple[str, ...],
    name: str = "mig",
) -> Score:
    first, second = top_two(information)
    gaps = (first - second) / of_factors
    details = {"gaps": gaps.tolist(), "information": information.tolist()}
    return Score(name, {name: float(gaps.mean())}, sizes, settings, details, notes)
