"""All scores of one representation, by one preset and one seed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import final

import numpy as np
import torch
from torch import Tensor

from vaekit.data.factors import Grid
from vaekit.disentanglement.beta_vae import beta_vae
from vaekit.disentanglement.dci import dci_of
from vaekit.disentanglement.downstream import downstream
from vaekit.disentanglement.explicitness import explicitness
from vaekit.disentanglement.factor_vae import factor_vae
from vaekit.disentanglement.irs import irs
from vaekit.disentanglement.learners import BoostedFit, boosted
from vaekit.disentanglement.mig import mig
from vaekit.disentanglement.modularity import modularity
from vaekit.disentanglement.points import (
    Array,
    Merge,
    Represent,
    Sample,
    classes_of,
    draw,
    merged,
)
from vaekit.disentanglement.presets import Preset, preset_of
from vaekit.disentanglement.result import Score, Scores
from vaekit.disentanglement.s_d import s_d
from vaekit.disentanglement.sap import sap, sap_continuous
from vaekit.disentanglement.tad import tad, upper_half
from vaekit.disentanglement.unsupervised import unsupervised
from vaekit.disentanglement.voting import varying
from vaekit.errors import nearest


def score(
    represent: Represent,
    grid: Grid,
    preset: str | Preset = "modern",
    seed: int = 0,
    names: Sequence[str] | None = None,
    *,
    merge: Merge | None = None,
    representation: str = "codes",
    progress: Callable[[str], None] | None = None,
) -> Scores:
    """Score a representation of data with known factors.

    Every score has a stream of its own, made of the seed and its name; those that need no more than points
    share one draw of them. So a score does not depend on which others are asked for.

    Args:
        represent: points of the grid to codes; `from_table` makes one of codes that lie in memory.
        grid: of the factors. Constant ones are left out.
        preset: "modern", "locatello2019", or a `Preset`.
        seed: of all that is drawn.
        names: of `NAMES`; all by default.
        merge: values of factors whose data are the same, counted as one wherever values are counted (not
            where a factor is held: BetaVAE and FactorVAE scores do not change), such as `DSPRITES_TWINS`.
        representation: what is scored, in words, for the printed result.
        progress: is told the name of each score before it is computed.

    Raises:
        ValueError: for a name or preset that there is not, a grid of constants, or codes that are not finite.

    >>> grid = Grid({"x": 4, "y": 4})
    >>> print(score(lambda factors, generator: factors.double(), grid, names=["mig"]).scores["mig"])
    mig 0.99...  [preset modern, seed 0; 10,000 points; form binned, bins 20]
    """
    chosen = preset_of(preset)
    asked = list(NAMES if names is None else names)
    for name in asked:
        if name not in _SCORES:
            raise ValueError(f"`names` holds {name!r}{nearest(name, list(_SCORES))}")
    run = _Scoring(represent, grid, chosen, seed, merge or {})
    found = {}
    for name in asked:
        if progress is not None:
            progress(name)
        begin = time.perf_counter()
        result = _SCORES[name](run)
        taken = time.perf_counter() - begin
        found[name] = replace(result, preset=str(chosen), seed=seed, seconds=taken)
    return Scores(found, str(chosen), seed, chosen.sizes, run.notes, representation)


@final
class _Scoring:
    """One call of `score`: what several scores share is made when the first of them asks for it."""

    def __init__(self, represent: Represent, grid: Grid, preset: Preset, seed: int, merge: Merge) -> None:
        self.represent, self.grid, self.preset, self.seed, self.merge = represent, grid, preset, seed, merge
        self.columns, notes = varying(grid)
        merged(np.zeros((1, len(grid.sizes)), np.int64), grid, merge)  # refuses before anything is drawn
        for name, pairs in merge.items():
            same = ", ".join(f"{value} with {other}" for value, other in pairs.items())
            notes += (f"values of {name} counted as one: {same}",)
        self._notes = notes

    def generator(self, name: str) -> torch.Generator:
        """A stream of its own for each name."""
        return torch.Generator().manual_seed(self.number(name))

    def number(self, name: str) -> int:
        """The seed of that stream."""
        digest = hashlib.sha256(f"{self.seed} {name}".encode()).digest()
        return int.from_bytes(digest[:4], "little")

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.preset.dead:
            return self._notes
        dead = np.flatnonzero(~self.alive).tolist()
        if not dead:
            return self._notes
        what = f"latents {dead} are left out: their standard deviations are below {self.preset.dead:g}"
        if len(dead) == len(self.alive):
            what = (
                f"no latent has a standard deviation of {self.preset.dead:g}: all count as one that is "
                "constant. If the codes have another unit than that of a prior N(0, I), scale them, or "
                "change `dead` of the preset"
            )
        return (*self._notes, what)

    @cached_property
    def drawn(self) -> Sample:
        """Points with all latents; factors that vary, merged."""
        generator = self.generator("points")
        parts: list[Array] = []
        for n in (self.preset.train, self.preset.test):
            codes, factors = draw(self.represent, self.grid, n, generator)
            parts += [codes, merged(factors, self.grid, self.merge)[:, self.columns.numpy()]]
        return Sample(*parts)

    @cached_property
    def alive(self) -> Array:
        """Which latents are scored, (d,)."""
        return np.asarray(self.drawn.codes.std(0, ddof=1) >= self.preset.dead)

    @cached_property
    def points(self) -> Sample:
        """The points that are scored."""
        codes, test_codes = (self._living(each) for each in (self.drawn.codes, self.drawn.test_codes))
        return self.drawn._replace(codes=codes, test_codes=test_codes)

    def _living(self, codes: Array) -> Array:
        return codes[:, self.alive] if self.alive.any() else np.zeros_like(codes[:, :1])

    def living(self, factors: Tensor, generator: torch.Generator) -> Tensor:
        """`represent`, with the latents that are scored."""
        codes = self.represent(factors, generator)
        if self.alive.all():
            return codes
        if not self.alive.any():
            return torch.zeros_like(codes[:, :1])
        return codes[:, torch.from_numpy(self.alive).to(codes.device)]

    @cached_property
    def trees(self) -> list[BoostedFit]:
        """Boosted trees on all points: those of DCI, and of the downstream task with all labels."""
        codes, factors, test_codes, test_factors = self.points
        classes, test_classes, _ = classes_of(factors, test_factors)
        return boosted(codes, classes, test_codes, test_classes, self.preset.boosted, self.number("trees"))


def _beta_vae(run: _Scoring) -> Score:
    p = run.preset
    drawn = run.generator("beta_vae")
    return beta_vae(
        run.living, run.grid, drawn, train=p.train, test=p.test, batch=p.batch, classifier=p.logistic
    )


def _factor_vae(run: _Scoring) -> Score:
    p = run.preset
    drawn = run.generator("factor_vae")
    sizes = {"train": p.train, "test": p.test, "batch": p.batch, "variance": p.train}
    return factor_vae(run.represent, run.grid, drawn, prune=p.prune, **sizes)


def _dci(run: _Scoring) -> Score:
    sizes = {"train": run.preset.train, "test": run.preset.test}
    return dci_of(run.trees, sizes, {"learner": run.preset.boosted})


def _irs(run: _Scoring) -> Score:
    bins = run.preset.bins if run.preset.binned_factors else None
    return irs(*run.points[:2], factor_bins=bins)


def _boosted(run: _Scoring) -> Score:
    p = run.preset
    seed = run.number("trees")
    # the largest task is what DCI has fitted: the same learner, on the same points
    done = {p.train: [fit.test for fit in run.trees]} if p.train in p.labels else None
    return downstream(*run.points, learner="boosted", labels=p.labels, trees=p.boosted, seed=seed, done=done)


def _logistic(run: _Scoring) -> Score:
    p = run.preset
    return downstream(*run.points, learner="logistic", labels=p.labels, classifier=p.logistic, tuned=p.tuned)


_SCORES: dict[str, Callable[[_Scoring], Score]] = {
    "beta_vae": _beta_vae,
    "factor_vae": _factor_vae,
    "mig": lambda run: mig(*run.points[:2], bins=run.preset.bins),
    "dci": _dci,
    "modularity": lambda run: modularity(*run.points[:2], bins=run.preset.bins),
    "explicitness": lambda run: explicitness(*run.points, classifier=run.preset.logistic),
    "sap": lambda run: sap(*run.points, machine=run.preset.machine),
    "sap_continuous": lambda run: sap_continuous(*run.points[:2]),
    "irs": _irs,
    "unsupervised": lambda run: unsupervised(run.points.codes, bins=run.preset.bins),
    "tad": lambda run: tad(run.points.codes, upper_half(run.points.factors)),
    "s_d": lambda run: s_d(*run.points[:2]),
    "downstream_logistic": _logistic,
    "downstream_boosted": _boosted,
}

NAMES = tuple(_SCORES)
"""The scores, in the order in which they are computed."""
