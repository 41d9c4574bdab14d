"""The amortisation gap: what a posterior of its own for every datum gains over the encoder's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vaekit.data.batch import Batch
from vaekit.distributions import CholeskyNormal, DiagonalNormal
from vaekit.doctor.finding import Finding, Severity
from vaekit.doctor.run_command import again
from vaekit.doctor.run_subject import Subject
from vaekit.errors import UnsupportedError
from vaekit.metrics.evidence import mean_and_error
from vaekit.metrics.passes import evaluating
from vaekit.models import Flat, Model, Pairwise, without_withheld
from vaekit.report.codes import evenly_shuffled, take
from vaekit.schedules import value_of
from vaekit.terms import Distortion, Rate

STEPS, PACE = 60, 0.15

CALM = 0.3
"""Adam's epsilon: slopes well below it are followed as they are, in steps of half of them. In units of the
posterior's width the bound's curvature is about 1, so that an ascent that starts at the best place stays."""

DRAWS = 64  # for each of the two bounds that are compared

SHARE = 0.25
"""Share of what the model has gained over a constant at which the gap is a fault."""


@dataclass(frozen=True)
class Gap:
    """ELBO at refined posteriors minus ELBO at the encoder's, nats.

    Args:
        mean: over data.
        error: its standard error over data.
        n: number of data.
    """

    mean: float
    error: float
    n: int


class _Own(nn.Module):
    """x -> N(mean, diag(std)^2), whatever x: the posteriors of some data."""

    def __init__(self, start: DiagonalNormal) -> None:
        super().__init__()
        self.start, self.dims = start.loc.detach(), start.event_dims
        self.spread = start.log_std.detach().expand_as(self.start)
        # in units of the posterior's own width, so that one pace fits every latent
        self.shift = nn.Parameter(torch.zeros_like(self.start))
        self.widen = nn.Parameter(torch.zeros_like(self.start))
        self.noise: Tensor | None = None

    def forward(self, *context: Tensor) -> DiagonalNormal:
        """The posteriors; draws take the noise that was laid down, if any."""
        mean = self.start + self.spread.exp() * self.shift
        return _Laid(mean, self.spread + self.widen, self.dims, self.noise)


class _OwnFull(nn.Module):
    """x -> N(mean, L L^T), whatever x: posteriors of some data with correlated dimensions."""

    def __init__(self, start: CholeskyNormal) -> None:
        super().__init__()
        self.start = start.loc.detach()
        self.factor = start.factor.detach().expand(*self.start.shape, -1)
        self.log_diagonal = self.factor.diagonal(dim1=-2, dim2=-1).log()
        self.shift = nn.Parameter(torch.zeros_like(self.start))
        self.widen = nn.Parameter(torch.zeros_like(self.start))
        self.shear = nn.Parameter(torch.zeros_like(self.factor))
        self.noise: Tensor | None = None

    def forward(self, *context: Tensor) -> CholeskyNormal:
        """The posteriors: L is the encoder's times a lower triangle that starts at I."""
        mean = self.start + (self.factor @ self.shift.unsqueeze(-1)).squeeze(-1)
        factor = self.factor @ (self.shear.tril(-1) + torch.diag_embed(self.widen.exp()))
        return _LaidFull(mean, factor, self.log_diagonal + self.widen, self.noise)


class _LaidFull(CholeskyNormal):
    def __init__(self, mean: Tensor, factor: Tensor, log_diagonal: Tensor, noise: Tensor | None) -> None:
        super().__init__(mean, factor, log_diagonal)
        self.noise = noise

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """As in `CholeskyNormal`, from the noise laid down."""
        if self.noise is None:
            return super().rsample(sample_shape)
        return self.remember(self.loc + (self.factor @ self.noise.unsqueeze(-1)).squeeze(-1), self.noise)


class _Laid(DiagonalNormal):
    def __init__(self, mean: Tensor, log_std: Tensor, dims: int, noise: Tensor | None) -> None:
        super().__init__(mean, log_std, dims)
        self.noise = noise

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """As in `DiagonalNormal`, from the noise laid down."""
        if self.noise is None:
            return super().rsample(sample_shape)
        return self.remember(self.loc + self.log_std.exp() * self.noise, self.noise)


def amortisation_gap(model: Model, batch: Batch, *, seed: int = 0, steps: int = STEPS, draws: int = 8) -> Gap:
    """max over m, s of L(x; N(m, s^2)) - L(x; q(z|x)), by gradient ascent from the encoder's output.

    Of posteriors with a full covariance the whole factor is refined, so that the family stays the same. Adam
    on m and ln s of every datum, with antithetic noise on orthogonal directions of length sqrt(K): with
    draws >= 2K its first two moments are those of N(0, I), so that a decoder that is linear with Gaussian
    noise is refined without any sampling error. The two bounds are compared on common noise of their own.
    An ascent may stop short of the best posterior, so this is a lower bound of the gap.

    Args:
        model: `Flat`, with Gaussian posteriors, diagonal or full, in eval mode; of a `Pairwise` the model
            inside, which sees one datum at a time.
        batch: the data.
        seed: of all noise.
        steps: of Adam.
        draws: in every step.

    Raises:
        UnsupportedError: for other models and posteriors, and likelihoods without density.

    References:
        Inference Suboptimality in Variational Autoencoders. Cremer, Li, Duvenaud, ICML 2018.
    """
    if isinstance(model, Pairwise):
        model = model.model
    if not isinstance(model, Flat):
        raise UnsupportedError(
            "posteriors are refined where latents hang on the data alone, not on a label or on each other"
        )
    with evaluating(model, seed, gradients=True):
        trace = model.infer(batch)
        own: list[_Own | _OwnFull] = []
        for name, latent in trace.latents.items():
            if isinstance(latent.q, DiagonalNormal):
                own.append(_Own(latent.q))
            elif isinstance(latent.q, CholeskyNormal):
                own.append(_OwnFull(latent.q))
            else:
                raise UnsupportedError(
                    "posteriors are refined where they are Gaussian, diagonal or with a full covariance; "
                    f"that of {name} is a {type(latent.q).__name__}"
                )
        if not own:
            raise UnsupportedError("the model has no latents, so there is no posterior to refine")
        refined = Flat(own, list(model.priors), model.likelihood).eval()
        free = [parameter for each in own for parameter in each.parameters()]
        with torch.enable_grad():
            before = _bound(refined, batch, own, seed)
            climb = torch.optim.Adam(free, PACE, eps=CALM)
            pace = torch.optim.lr_scheduler.CosineAnnealingLR(climb, steps)
            for _ in range(steps):
                for each in own:
                    each.noise = _orthogonal(each.start, draws)
                loss = _loss(refined, batch, draws).sum()
                for parameter, slope in zip(free, torch.autograd.grad(loss, free), strict=True):
                    parameter.grad = slope
                climb.step()
                pace.step()
        after = _bound(refined, batch, own, seed)
    gains = after - before
    mean, error = mean_and_error(gains)
    return Gap(mean, error, len(gains))


def _loss(model: Flat, batch: Batch, draws: int) -> Tensor:
    trace = model(batch, draws)
    rate: Tensor = Rate()(trace)
    return Distortion()(trace) + rate


@torch.no_grad()
def _bound(model: Flat, batch: Batch, own: list[_Own | _OwnFull], seed: int) -> Tensor:
    """The ELBO of every datum, (B,) float64, on noise that depends on the seed alone."""
    generator = torch.Generator().manual_seed(seed + 1)
    for each in own:
        half = torch.randn(DRAWS // 2, *each.start.shape, generator=generator, dtype=each.start.dtype)
        each.noise = torch.cat([half, -half]).to(each.start.device)
    return -_loss(model, batch, DRAWS).double().cpu()


def _orthogonal(like: Tensor, draws: int) -> Tensor:
    """Antithetic pairs of orthogonal directions of length sqrt(K), drawn anew: (draws, *like)."""
    rows, size = len(like), like[0].numel()
    pairs = max(1, draws // 2)
    found = []
    while pairs > 0:
        part = min(pairs, size)
        basis, _ = torch.linalg.qr(torch.randn(rows, size, part, dtype=like.dtype, device=like.device))
        found.append(basis.mT * math.sqrt(size))
        pairs -= part
    half = torch.cat(found, 1).transpose(0, 1).reshape(-1, *like.shape)
    return torch.cat([half, -half])


def amortisation(subject: Subject) -> list[Finding]:
    """A gap beyond four standard errors and a quarter of what the model has gained over a constant.

    Every encoder leaves a gap that is significant; what counts is how much of the model is lost in it.
    """
    if not subject.held_out.codes.labels:
        return []
    if subject.gained is None:
        return subject.leave_out("the amortisation gap", subject.ungained)
    data = subject.splits.test
    large = data.spec.dimensions > 1024
    batch = take(data, evenly_shuffled(len(data), 32 if large else 64), subject.model)
    try:
        gap = amortisation_gap(
            subject.model,
            without_withheld(subject.model, batch),
            seed=subject.seed,
            draws=2 if large else 8,
            steps=STEPS,
        )
    except UnsupportedError as error:
        return subject.leave_out("the amortisation gap", str(error))
    if not math.isfinite(gap.mean) or not gap.mean > 4 * gap.error:
        return []
    if subject.gained[0] + gap.mean < 4 * math.hypot(subject.gained[1], gap.error):
        return []  # no posterior would make this decoder better than a constant
    whole = max(subject.gained[0], 0.0) + gap.mean
    measured = (
        f"Refined datum by datum, the posteriors of {gap.n} held-out data gain {gap.mean:.3g} +- "
        f"{gap.error:.2g} "
        f"nats each over the encoder's: {100 * gap.mean / whole:.0f} % of what the model could be worth over "
        f"a constant predictor."
    )
    if gap.mean < 0.1 * whole:
        return []
    # another objective asks for other posteriors than those that are best for the bound
    severe = gap.mean >= SHARE * whole and _is_bound(subject)
    return [_finding(subject, measured, "warning" if severe else "note")]


def _is_bound(subject: Subject) -> bool:
    """Whether what the model is trained on is the ELBO and nothing else."""
    terms = subject.system.procedure.players[0].objective.terms.values()
    return all(type(term) in (Distortion, Rate) and float(value_of(weight)) == 1 for weight, term in terms)


def _finding(subject: Subject, measured: str, severity: Severity) -> Finding:
    hidden = subject.run.record["arguments"].get("hidden")
    wider = {"hidden": [2 * n for n in hidden]} if hidden else {"hidden": [800]}
    return Finding(
        key="amortisation_gap",
        title="The encoder does not find the posteriors",
        measured=measured,
        meaning="The decoder could explain these data better with other latents than the encoder gives them: "
        "codes, reconstructions and the bound are worse than the model behind them."
        + ("" if _is_bound(subject) else " In part this is meant: training asked for more than the bound."),
        change="A wider encoder, more training, or more draws in the bound (iwae).",
        command=again(subject.run, wider) if "hidden" in subject.run.record["arguments"] else "",
        severity=severity,
    )
