"""What the scores of disentanglement of one model take, on codes that are neither perfect nor useless."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from benchmarks.timing import Row
from vaekit.data.dsprites import FACTORS
from vaekit.data.factors import Grid
from vaekit.disentanglement import NAMES, from_table, score

MINUTE = 60.0
LATENTS, DEAD = 10, 3


def codes_of(factors: Tensor, seed: int = 1) -> Tensor:
    """Codes as a VAE's means are, (N, 10): positions and scale nearly on axes, shape and the angle (with the
    symmetry of each shape) spread over several, all turned a little, bent, and with noise; three are dead."""
    draws = torch.Generator().manual_seed(seed)
    shape, scale, angle, x, y = factors.double().unbind(1)
    turned = 2 * torch.pi * angle / 39 * torch.tensor([4.0, 2.0, 1.0]).double()[shape.long()]
    base = torch.stack(
        [
            scale / 2.5 - 1,
            1.4 * (x / 15.5 - 1),
            1.4 * (y / 15.5 - 1),
            turned.cos(),
            turned.sin(),
            (shape == 0).double() - (shape == 1).double(),
            (shape == 2).double(),
        ],
        1,
    )
    live = LATENTS - DEAD

    def normal(*sizes: int) -> Tensor:
        return torch.randn(sizes, generator=draws, dtype=torch.float64)

    z = base @ (torch.eye(live) + 0.15 * normal(live, live))
    z = z + 0.05 * (base @ normal(live, live)).tanh() * z.roll(1, 1)
    noise = normal(len(z), LATENTS) * torch.tensor([0.1] * live + [0.01] * DEAD)
    return (torch.cat((z, torch.zeros(len(z), DEAD)), 1) + noise).float()


def run(presets: Sequence[str], names: Sequence[str]) -> Iterator[Row]:
    """One row a preset: wall and processor time of all scores, and of each."""
    grid = Grid(FACTORS)
    table = codes_of(grid.factors_of(torch.arange(len(grid))))
    for preset in presets:
        before, begin = time.process_time(), time.perf_counter()
        found = score(from_table(grid, table), grid, preset, names=names or None)
        taken, busy = time.perf_counter() - begin, time.process_time() - before
        note = f"{taken:.1f} s, {busy:.1f} s of processors; " + ", ".join(
            f"{name} {value:.3f}" for name, value in found.values.items()
        )
        whole = f"{preset}: {found.sizes['train']:,} points, {LATENTS} latents, factors of dSprites"
        most = 1.0 if preset == "modern" and tuple(found.scores) == NAMES else None
        ratio = taken / MINUTE
        yield Row(
            "scores", whole, ratio, ratio, ratio, ratio, most=most, seconds=found.seconds, rounds=1, note=note
        )
