"""DARCY: flow through porous ground with a random permeability, on n x n nodes of the unit square.

div u = f,   u = -K grad p,   u . normal = 0 on the boundary,   sum p = 0
log K = sum_k sqrt(lambda_k) phi_k theta_k: Karhunen-Loeve expansion of the covariance exp(-|x - x'| / 0.1)

f is 10 in the square of side 0.125 at the corner (0, 0), -10 in that at (1, 1), and 0 elsewhere. Fields have
axes (y, x). The factors theta are independent; their laws differ in what turns them into each other.

Every node is the centre of a full cell of side h = 1/(n-1), as in the public code, so that the boundary lies
half a cell outside of the nodes. Fluxes through the faces take the harmonic mean of the permeabilities beside
them and balance exactly in every cell; the velocity at the nodes is by central differences.

C. Jacobsen, K. Duraisamy, Disentangling Generative Factors of Physical Fields Using Variational Autoencoders,
Frontiers in Physics 10, 2022, https://arxiv.org/abs/2109.07399
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaekit.checks import known, whole
from vaekit.data.batch import mix

Law = Literal["normal", "bimodal", "shifted"]
"""normal: N(0, 1), which every rotation leaves as it is. bimodal: N(1, 0.25^2) or N(-1, 0.25^2), equally
likely. shifted: N(1, 0.5^2)."""

SIZES = (17, 33, 65)
LENGTH = 0.1
"""Length over which permeabilities are correlated."""
CHANNELS = ("p", "u1", "u2")
MOMENTS: dict[Law, tuple[float, float]] = {
    "normal": (0.0, 1.0),
    "bimodal": (0.0, (1 + 0.25**2) ** 0.5),
    "shifted": (1.0, 0.5),
}
"""Mean and standard deviation of a factor under its law."""
_AT_ONCE = 1 << 24  # numbers that the solver keeps of the fields that it solves together

Array = NDArray[np.float64]


class Modes(NamedTuple):
    """The largest eigenvalues (modes,) of the covariance of n^2 nodes, and eigenvectors (modes, n, n)."""

    values: Array
    vectors: Array


@lru_cache(maxsize=8)
def expansion(size: int, modes: int) -> Modes:
    """The largest modes of the covariance matrix of the nodes, whose trace is their number.

    The square has symmetries, and some eigenvalues come in pairs (the second and third): an eigensolver may
    return any rotation of such a pair. Here every eigenvector is even or odd in x, and even or odd in y, so
    that no pair is undecided; of a pair, the one that is odd in x stands first. The first entry of an
    eigenvector, in raster order, that is at least half as large as its largest one is positive.

    Args:
        size: n.
        modes: how many.

    Raises:
        ValueError: for another size, or more modes than a quarter of the nodes has.
    """
    checked_size(size)
    if whole("modes", modes) > (size // 2) ** 2:
        raise ValueError(f"`modes` is {modes}; expected at most {(size // 2) ** 2} on {size} x {size} nodes")
    place = np.linspace(0.0, 1.0, size)
    apart = (place[:, None] - place[None, :]) ** 2
    # axes (y, y', x, x'): one matrix for every pair of parities
    covariance = np.exp(-np.sqrt(apart[:, :, None, None] + apart[None, None]) / LENGTH)
    found: list[tuple[float, Array]] = []
    for odd_y, odd_x in ((False, True), (True, False), (False, False), (True, True)):
        down, across = _parity(size, odd_y), _parity(size, odd_x)
        part = np.einsum("ai,abcd,bj->ijcd", down, covariance, down, optimize=True)
        part = np.einsum("ijcd,ck,dl->ikjl", part, across, across, optimize=True)
        count = down.shape[1] * across.shape[1]
        values, vectors = np.linalg.eigh(part.reshape(count, count))
        for value, vector in zip(values[::-1][:modes], vectors.T[::-1][:modes], strict=True):
            field = down @ vector.reshape(down.shape[1], across.shape[1]) @ across.T
            first = np.flatnonzero(np.abs(field) >= 0.5 * np.abs(field).max())[0]
            found.append((float(value), field * np.sign(field.flat[first])))
    # equal but for rounding: sorting is stable, so that the odd-in-x one stays first
    found.sort(key=lambda pair: -round(pair[0], 9))
    return Modes(
        np.array([value for value, _ in found[:modes]]), np.stack([field for _, field in found[:modes]])
    )


def cuts_pair(size: int, modes: int) -> bool:
    """Whether the first mode that is left out has the same eigenvalue as the last one that is kept."""
    values = expansion(size, modes + 1).values
    return bool(np.isclose(values[-1], values[-2], rtol=1e-9))


def _parity(size: int, odd: bool) -> Array:
    """Orthonormal columns that span the even, or the odd, functions of `size` (odd) places."""
    half = size // 2
    columns = np.zeros((size, half + (not odd)))
    for k in range(half):
        columns[k, k] = 0.5**0.5
        columns[size - 1 - k, k] = -(0.5**0.5) if odd else 0.5**0.5
    if not odd:
        columns[half, half] = 1.0
    return columns


def draw_factors(n: int, modes: int, law: Law, seed: int) -> Tensor:
    """theta, (n, modes) float64: the first rows do not depend on how many follow.

    Raises:
        ValueError: for a law that there is not.
    """
    known("law", law, Law)
    generator = np.random.Generator(np.random.PCG64(mix(17, get_args(Law).index(law), seed)))
    draws = torch.from_numpy(generator.standard_normal((n, modes, 2)))
    if law == "bimodal":
        return 0.25 * draws[..., 0] + torch.where(draws[..., 1] < 0, -1.0, 1.0)
    mean, deviation = MOMENTS[law]
    return mean + deviation * draws[..., 0]


def permeability(theta: Tensor, size: int) -> Tensor:
    """K, (N, n, n) float64, of factors (N, modes)."""
    modes = expansion(size, theta.shape[1])
    scaled = torch.from_numpy(modes.vectors * np.sqrt(modes.values)[:, None, None])
    return torch.einsum("nk,kyx->nyx", theta.double(), scaled.to(theta.device)).exp()


def source(size: int) -> Tensor:
    """f at the nodes, (n, n) float64."""
    place = torch.linspace(0, 1, size, dtype=torch.float64)
    near = ((place - 0.0625).abs() <= 0.0625).double()
    return 10 * (torch.outer(near, near) - torch.outer(near.flip(0), near.flip(0)))


class Solution(NamedTuple):
    """Pressure (N, n, n), and the multiplier of the constraint sum p = 0, (N,).

    The multiplier is the mean of f, which has to be zero for a flow that does not leave the square: what is
    left of it is taken off the source.
    """

    pressure: Tensor
    multiplier: Tensor


def solve(permeability: Tensor, source: Tensor) -> Solution:
    """The pressure in all fields: cells balance exactly, and the pressures sum to zero.

    sum over faces of K_face (p_cell - p_neighbour) + multiplier h^2 = f h^2, K_face the harmonic mean of the
    two permeabilities. The matrix is symmetric, and block tridiagonal over the rows of the grid: the rows are
    eliminated one after the other, of all fields at once.

    Args:
        permeability: K > 0, (N, n, n) float64.
        source: f, (n, n) or (N, n, n).
    """
    fields, n = len(permeability), permeability.shape[-1]
    parts = permeability.split(max(1, _AT_ONCE // n**3))
    sources = source.expand(fields, n, n).split(max(1, _AT_ONCE // n**3))
    solved = [_solve(k, f) for k, f in zip(parts, sources, strict=True)]
    return Solution(*(torch.cat(pieces) for pieces in zip(*solved, strict=True)))


def _solve(permeability: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    n = permeability.shape[-1]
    across, down = conductances(permeability)
    multiplier = source.mean((1, 2))
    right = (source - multiplier[:, None, None]) / (n - 1) ** 2
    diagonal = torch.zeros_like(permeability)
    diagonal[:, :, :-1] += across
    diagonal[:, :, 1:] += across
    diagonal[:, :-1] += down
    diagonal[:, 1:] += down
    # constants solve the equations without a source: fix p at the first node to 0, which the balanced right
    # hand side does exactly, and move the mean afterwards
    diagonal[:, 0, 0] += diagonal.amax((1, 2))
    rows = torch.diag_embed(diagonal)
    rows[..., range(n - 1), range(1, n)] = -across
    rows[..., range(1, n), range(n - 1)] = -across
    inverses, carried = [], []
    block, load = rows[:, 0], right[:, 0, :, None]
    for row in range(n):
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(block))
        inverses.append(inverse)
        carried.append(load)
        if row + 1 < n:
            link = down[:, row, :, None]
            block = rows[:, row + 1] - link * inverse * link.mT
            load = right[:, row + 1, :, None] + link * (inverse @ load)
    pressure = torch.empty_like(permeability)
    below = torch.zeros_like(load)
    for row in reversed(range(n)):
        push = down[:, row, :, None] * below if row + 1 < n else below
        below = inverses[row] @ (carried[row] + push)
        pressure[:, row] = below[..., 0]
    return pressure - pressure.mean((1, 2), keepdim=True), multiplier


def conductances(permeability: Tensor) -> tuple[Tensor, Tensor]:
    """Harmonic means of neighbours across, (N, n, n-1), and down, (N, n-1, n)."""

    def between(a: Tensor, b: Tensor) -> Tensor:
        return 2 / (1 / a + 1 / b)

    return (
        between(permeability[:, :, :-1], permeability[:, :, 1:]),
        between(permeability[:, :-1], permeability[:, 1:]),
    )


def outflow(permeability: Tensor, pressure: Tensor) -> Tensor:
    """What leaves every cell through its faces, per area: div u, (N, n, n)."""
    n = permeability.shape[-1]
    across, down = conductances(permeability)
    across, down = across * pressure.diff(dim=2), down * pressure.diff(dim=1)
    leaving = torch.zeros_like(pressure)
    leaving[:, :, :-1] -= across
    leaving[:, :, 1:] += across
    leaving[:, :-1] -= down
    leaving[:, 1:] += down
    return leaving * (n - 1) ** 2


def velocity(permeability: Tensor, pressure: Tensor) -> tuple[Tensor, Tensor]:
    """u1 along x and u2 along y at the nodes, (N, n, n) each: central differences, 0 across the boundary."""
    n = permeability.shape[-1]
    u1, u2 = torch.zeros_like(pressure), torch.zeros_like(pressure)
    u1[:, :, 1:-1] = -permeability[:, :, 1:-1] * (pressure[:, :, 2:] - pressure[:, :, :-2]) * (n - 1) / 2
    u2[:, 1:-1] = -permeability[:, 1:-1] * (pressure[:, 2:] - pressure[:, :-2]) * (n - 1) / 2
    return u1, u2


def fields(theta: Tensor, size: int) -> Tensor:
    """The channels p, u1, u2 of factors (N, modes): (N, 3, n, n) float64."""
    k = permeability(theta, size)
    pressure = solve(k, source(size).to(k.device)).pressure
    return torch.stack([pressure, *velocity(k, pressure)], 1)


def checked_size(size: int) -> int:
    """The number of nodes along a side.

    Raises:
        ValueError: if it is none of those offered.
    """
    if size not in SIZES:
        raise ValueError(f"`size` is {size!r}; expected one of {', '.join(map(str, SIZES))}")
    return size
