"""What the experiments with games on pictures measure: likeness, sharpness, and how the critic fares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor, nn

from vaekit.data.batch import Splits
from vaekit.metrics import against_floor, sharpness
from vaekit.models import Model
from vaekit.objective import Objective
from vaekit.pictures import grid, png
from vaekit.procedures import Player, Simultaneous
from vaekit.randomness import own_stream, quiet
from vaekit.reproductions.features import Classifier
from vaekit.reproductions.outcome import Say
from vaekit.reproductions.training import fit_system
from vaekit.schedules import Weight
from vaekit.system import System
from vaekit.terms import Term
from vaekit.terms.features import Owned
from vaekit.trainer import Progress

_AT_ONCE = 500


@dataclass(frozen=True)
class Likeness:
    """How pictures of a model compare with held-out data.

    Args:
        sharp: sharpness of samples over that of data.
        sharp_rebuilt: the same of reconstructions.
        distance: Frechet distance of samples in a classifier's features.
        distance_rebuilt: the same of reconstructions of other held-out data than those it is held against.
        floor: the same between two halves of the data.
        error: mean squared distance between the features of data and of their reconstructions.
        confident: mean probability of a sample's most probable class.
    """

    sharp: float
    sharp_rebuilt: float
    distance: float
    distance_rebuilt: float
    floor: float
    error: float
    confident: float


def likeness(model: Model, network: Classifier, splits: Splits, seed: int) -> Likeness:
    """Samples and reconstructions of a model against the test set."""
    test = splits.test.take(range(len(splits.test)))
    x, half = test["x"], len(test["x"]) // 2
    drawn, rebuilt = [], []
    with quiet(model, "cpu", seed), torch.no_grad():
        for begin in range(0, half, _AT_ONCE):
            rows = {name: value[begin : min(begin + _AT_ONCE, half)] for name, value in test.items()}
            context = rows.get("c")
            drawn.append(model.generate(len(rows["x"]), context).mean.clamp(0, 1))
            rebuilt.append(model.decode(model.encode(rows), context).mean.clamp(0, 1))
    samples, again = torch.cat(drawn), torch.cat(rebuilt)
    features, ours, theirs = (network.features(part) for part in (x, samples, again))
    found = against_floor("frechet", ours, features[half:], seed)
    return Likeness(
        sharpness(samples) / sharpness(x),
        sharpness(again) / sharpness(x),
        found.value,
        against_floor("frechet", theirs, features[half:], seed).value,
        found.floor,
        float((features[:half] - theirs).square().sum(1).mean()),
        float(network.probabilities(samples).max(1).values.mean()),
    )


def terms_of(system: System, player: str) -> list[tuple[Weight, Term]]:
    """Weights and terms of a player's objective."""
    [found] = [each for each in system.procedure.players if each.name == player]
    return list(found.objective.terms.values())


def owned(player: Player) -> nn.Module:
    """The critic that a player's objective owns."""
    return next(term.critic for _, term in player.objective.terms.values() if isinstance(term, Owned))


def opponents(system: System, objectives: dict[str, Objective | None]) -> System:
    """The same system before its training, with other objectives of some players, or without them (None)."""
    players = []
    for player in system.procedure.players:
        objective = objectives.get(player.name, player.objective)
        if objective is not None:
            player.objective = objective
            players.append(player)
    procedure = Simultaneous(system.model, players, branches=system.procedure.branches)
    return replace(system, procedure=procedure)


@final
class Referee:
    """Watches how often a discriminator is right about held-out data and about draws, while a game goes on.

    Args:
        system: the game; its player "discriminator" owns a critic.
        splits: held-out data are those of the validation set.
        every: steps between two looks.
    """

    def __init__(self, system: System, splits: Splits, every: int = 100) -> None:
        [player] = [each for each in system.procedure.players if each.name == "discriminator"]
        self.critic = owned(player)
        self.model, self.every = system.model, every
        self.x = splits.valid.take(range(min(len(splits.valid), _AT_ONCE)))["x"]
        self.found: list[float] = []

    def __call__(self, at: Progress, *_: object) -> bool:
        """Called after every step of the training."""
        if at.step % self.every == 0:
            with quiet(self.model, "cpu", at.step), torch.no_grad():
                made = self.model.generate(len(self.x)).mean
                real, fake = self.critic(torch.cat([self.x, made])).logits.chunk(2)
            self.found.append(float(((real > 0).float().mean() + (fake < 0).float().mean()) / 2))
        return False

    @property
    def accuracy(self) -> float:
        """The mean over the second half of the training."""
        late = self.found[len(self.found) // 2 :]
        return sum(late) / len(late)


def play(
    system: System, splits: Splits, *, name: str, seed: int, steps: int, say: Say
) -> tuple[Model, float]:
    """A trained game on the CPU: its model, and the accuracy of its discriminator."""
    referee = Referee(system, splits)
    loop = fit_system(system, splits, seed=seed, steps=steps, batch_size=64, show=referee)
    say(
        f"{name} seed {seed}: {steps} steps in {loop.at.seconds:.0f} s, discriminator right "
        f"{referee.accuracy:.0%}"
    )
    return system.model, referee.accuracy


def side_by_side(models: list[Model], splits: Splits, seed: int, columns: int = 10) -> bytes:
    """A PNG file, row by row: test data, each model's reconstructions of them, each model's draws."""
    test = splits.test.take(range(columns))
    rows: list[Tensor] = [test["x"]]
    with own_stream("cpu", seed), torch.no_grad():
        rows += [model.decode(model.encode(test)).mean.clamp(0, 1) for model in models]
        rows += [model.generate(columns).mean.clamp(0, 1) for model in models]
    return png(grid(torch.cat(rows), columns))
