"""Terms of games on the data themselves: what a critic says of data, reconstructions and draws.

Several players judge by one critic. A `Look` of it is what their terms share: it passes the critic over each
trace once, whoever asks. The critic is borrowed: an objective saves it and moves it to a device where one of
its terms is `Owned`, and that is the objective of the player that trains it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaekit.distributions import squared_distance
from vaekit.errors import UnsupportedError
from vaekit.networks.critics import Sight
from vaekit.pooling import pooled, pooled_mean
from vaekit.terms.parts import Term, once
from vaekit.trace import Trace

Role = Literal["data", "rebuilt", "drawn"]
"""data: x. rebuilt: the mean of p(x|z), z ~ q(z|x). drawn: the mean of p(x|z), z ~ p(z)."""

Verdict = Literal["real", "fake"]


class Look:
    """A critic's pass over a trace: role -> features (B, F) and logits (B, outputs).

    The critic sees the data, what was made of them and, where the trace has the branch "prior", what was made
    from nothing, laid end to end: one that normalises over the batch measures all of them alike. It looks at
    a trace once; a trace that is judged again after the critic has moved shows the first look.

    Args:
        critic: (N, *event) -> `Sight`.
    """

    def __init__(self, critic: nn.Module) -> None:
        self.critic = critic

    @property
    def couples_batch(self) -> bool:
        """Whether what it sees of a datum depends on the rest of the batch."""
        return any(getattr(part, "couples_batch", False) for part in self.critic.modules())

    @property
    def pools(self) -> bool:
        """Whether it does so over processes too."""
        coupled = [part for part in self.critic.modules() if getattr(part, "couples_batch", False)]
        return all(getattr(part, "pools", False) for part in coupled)

    def __call__(self, trace: Trace) -> dict[Role, Sight]:
        """By role.

        Raises:
            UnsupportedError: if there are several reconstructions of a datum.
        """
        return once(trace, self, self._look)

    def _look(self, trace: Trace) -> dict[Role, Sight]:
        if trace.axes != ("batch",):
            raise UnsupportedError(
                "a critic looks at one reconstruction of every datum; the trace has the axes "
                f"{trace.axes}: give the procedure no `samples`"
            )
        parts: dict[Role, Tensor] = {"data": trace.batch["x"], "rebuilt": trace.observed["x"].p.mean}
        if "prior" in trace.branches:
            parts["drawn"] = trace.branches["prior"].observed["x"].p.mean
        features, logits = self.critic(torch.cat(list(parts.values())))
        rows = len(parts["data"])
        pieces = zip(features.split(rows), logits.split(rows), strict=True)
        return {role: Sight(*piece) for role, piece in zip(parts, pieces, strict=True)}


class Owned(nn.Module):
    """A term whose objective owns a critic that its terms look through.

    Args:
        critic: is saved, and moved to a device, with the objective.
        term: any term.
    """

    def __init__(self, critic: nn.Module, term: Term) -> None:
        super().__init__()
        self.critic, self.term = critic, term

    @property
    def couples_batch(self) -> bool:
        """As the term that it wraps."""
        return bool(getattr(self.term, "couples_batch", False))

    @property
    def pools(self) -> bool:
        """As the term that it wraps."""
        return bool(getattr(self.term, "pools", False))

    def forward(self, trace: Trace) -> Tensor:
        """As the term that it wraps."""
        return self.term(trace)


class _Seen(ABC):
    """A term of what one critic sees of each datum: it couples the batch where the critic does."""

    def __init__(self, look: Look) -> None:
        self.look = look

    @property
    def couples_batch(self) -> bool:
        """As the critic."""
        return self.look.couples_batch

    @property
    def pools(self) -> bool:
        """As the critic."""
        return self.look.pools

    @abstractmethod
    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""


class Judgement(_Seen):
    """The cross-entropy of a discriminator with a verdict, one value per datum, nats.

    real: -log D(x);   fake: -log(1 - D(x));   D = sigmoid of the critic's logit.

    The discriminator minimises "real" of the data and "fake" of the rest. The opponent maximises "fake"
    (weight -1: the game of one value function, whose gradient vanishes where the discriminator is sure) or
    minimises "real" (the non-saturating game) of what it made.

    Args:
        look: at the discriminator, which has one logit.
        of: what is judged.
        verdict: what is held to be true.
    """

    def __init__(self, look: Look, of: Role, verdict: Verdict) -> None:
        for argument, value, names in (("of", of, Role), ("verdict", verdict, Verdict)):
            if value not in get_args(names):
                raise ValueError(f"`{argument}` is {value!r}; expected one of {', '.join(get_args(names))}")
        super().__init__(look)
        self.of, self.verdict = of, verdict

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        logits = self.look(trace)[self.of].logits.squeeze(-1)
        return functional.softplus(logits if self.verdict == "fake" else -logits)


class FeatureError(_Seen):
    """1/2 |f(x) - f(xt)|^2 with a critic's features f and xt the reconstruction, one value per datum.

    Up to the constant F/2 ln 2pi this is -log N(f(x); f(xt), I), nats of the features. It is no density of x.

    Args:
        look: at the critic.
    """

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        seen = self.look(trace)
        return 0.5 * squared_distance(seen["data"].features, seen["rebuilt"].features, 1)


class LabelError(_Seen):
    """-log P(y|x) of a classifier on the data, one value per datum, nats.

    Args:
        look: at the classifier, which has a logit for every class.
    """

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        return functional.cross_entropy(self.look(trace)["data"].logits, trace.batch["y"], reduction="none")


class MeanMatching:
    """1/2 |mean f(x) - mean f(x_p)|^2: a critic's mean features of data and of draws; one value per batch.

    Args:
        look: at the critic.
    """

    couples_batch = True
    pools = True

    def __init__(self, look: Look) -> None:
        self.look = look

    def __call__(self, trace: Trace) -> Tensor:
        """()."""
        seen = self.look(trace)
        data, drawn = (pooled_mean(seen[role].features, 0) for role in ("data", "drawn"))
        return 0.5 * (data - drawn).square().sum()


class CentreMatching(nn.Module):
    """1/2 sum_c |centre_c of f(x) - centre_c of f(x_p)|^2 over the classes of the batch; one value per batch.

    A class has few data in a batch, so its centres, of data and of draws, are moving averages:
    centre <- centre + s (mean over the batch - centre), s = (1 - m) / (1 - m^k) at the k-th batch with this
    class: the plain mean at first, without bias towards where it began. The newest mean of the draws has the
    gradient, the rest of the centres is constant. Classes that the batch lacks add nothing, and their centres
    stay. The averages move in `after_step`.

    Args:
        look: at the critic.
        classes: number of classes of the labels `y`, K.
        width: number of features, F.
        momentum: m; 0 compares the means of the batch alone.
    """

    couples_batch = True
    pools = True

    def __init__(self, look: Look, classes: int, width: int, momentum: float = 0.9) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f"`momentum` is {momentum}; expected a number of at least 0 and below 1")
        self.look, self.classes, self.momentum = look, classes, momentum
        # centres of data and of draws; 1 - m^k of every class
        self.register_buffer("centres", torch.zeros(2, classes, width))
        self.register_buffer("weight", torch.zeros(classes))
        # what the last pass saw of them, until the step is over
        self.register_buffer("means", torch.zeros(2, classes, width), persistent=False)
        self.register_buffer("present", torch.zeros(classes), persistent=False)
        self.centres: Tensor
        self.weight: Tensor
        self.means: Tensor
        self.present: Tensor

    def forward(self, trace: Trace) -> Tensor:
        """()."""
        seen = self.look(trace)
        members = functional.one_hot(trace.batch["y"], self.classes).to(self.centres.dtype)
        count = pooled(members.sum(0))
        both = torch.stack([seen["data"].features.detach(), seen["drawn"].features])
        means = pooled(members.mT @ both) / count.clamp(min=1)[:, None]
        present = count.clamp(max=1)
        with torch.no_grad():
            self.means.copy_(means)
            self.present.copy_(present)
        newest = torch.lerp(self.centres, means, self._share()[:, None])
        return 0.5 * ((newest[0] - newest[1]).square().sum(-1) * present).sum()

    def _share(self) -> Tensor:
        """What the newest means weigh in the centres, (K,)."""
        fresh = 1 - self.momentum
        return torch.div(fresh, self.momentum * self.weight + fresh)

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the centres by what the last pass saw, once."""
        self.centres.lerp_(self.means, (self._share() * self.present)[:, None])
        self.weight.lerp_(torch.ones_like(self.weight), (1 - self.momentum) * self.present)
        self.present.zero_()
