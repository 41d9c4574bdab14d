"""Where new latents come from, if not from the prior: densities fitted to the codes of the training data.

None of them changes the model; the picture of a draw is the mean of p(x|z). Which one is better is an
empirical question: Ghosh et al. 2020 (arXiv 1903.12436) and Dai and Wipf 2019 (arXiv 1903.05789) show that
the aggregate posterior of a trained VAE is rarely the prior.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.checkpoint import load_weights
from vaekit.errors import UnsupportedError, UserError
from vaekit.files import read_tensors
from vaekit.models import Model, levels_of
from vaekit.stages.encoded import Encoded
from vaekit.trace import Batch, Trace

COMPONENTS = 10
_AT_ONCE = 1000


class Sampler(nn.Module, ABC):
    """Draws latents. Its state is tensors, saved and loaded like weights."""

    @abstractmethod
    def sample(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """Latent name -> n draws, (n, *event).

        Args:
            n: number of draws.
            context: (n, *context) in a conditional model.
        """


@final
class Mixture(Sampler):
    """A mixture of Gaussians with full covariances, fitted by expectation maximisation.

    p(z) = sum_k pi_k N(z; m_k, L_k L_k^T). Ten components as in Ghosh et al. 2020.

    Args:
        latent: name of the latent that is drawn.
        components: K.
        shape: event shape of the latent.
    """

    def __init__(self, latent: str, components: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        if components < 1:
            raise ValueError(f"`components` is {components}; expected at least 1")
        self.latent, self.shape = latent, tuple(shape)
        n = math.prod(shape)
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, n))
        self.register_buffer("factors", torch.eye(n).repeat(components, 1, 1))

    weights: Tensor
    means: Tensor
    factors: Tensor

    @classmethod
    def fit(cls, codes: Tensor, latent: str, *, components: int = COMPONENTS, seed: int = 0) -> Mixture:
        """Fit to codes (N, *event); fewer components where there are fewer codes than components."""
        from sklearn.mixture import GaussianMixture

        flat = codes.flatten(1).double().cpu().numpy()
        made = GaussianMixture(
            min(components, len(flat)), covariance_type="full", max_iter=2000, random_state=seed % 2**32
        ).fit(flat)
        mixture = cls(latent, len(made.weights_), tuple(codes.shape[1:]))
        mixture.weights = torch.from_numpy(made.weights_).float()
        mixture.means = torch.from_numpy(made.means_).float()
        covariances = torch.from_numpy(made.covariances_)
        mixture.factors = torch.linalg.cholesky(covariances).float()
        return mixture

    def sample(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """n draws; a context is of no use to it."""
        component = torch.multinomial(self.weights, n, replacement=True)
        noise = torch.randn(n, self.means.shape[1], device=self.means.device)
        values = self.means[component] + torch.einsum("nij,nj->ni", self.factors[component], noise)
        return {self.latent: values.view(n, *self.shape)}


@final
class Hypersphere(Sampler):
    """Uniform on a sphere around the origin: z = r g / |g|, g ~ N(0, I) (Davidson et al. 2018, 1804.00891).

    The radius is the root mean square of the norms of the codes: 1 where they lie on the unit sphere.

    Args:
        latent: name of the latent that is drawn.
        shape: event shape of the latent.
    """

    def __init__(self, latent: str, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.latent, self.shape = latent, tuple(shape)
        self.register_buffer("radius", torch.ones(()))

    radius: Tensor

    @classmethod
    def fit(cls, codes: Tensor, latent: str) -> Hypersphere:
        """Fit the radius to codes (N, *event)."""
        sphere = cls(latent, tuple(codes.shape[1:]))
        sphere.radius = codes.flatten(1).square().sum(1).mean().sqrt().float().cpu()
        return sphere

    def sample(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """n draws; a context is of no use to it."""
        g = torch.randn(n, *self.shape, device=self.radius.device)
        norm = g.flatten(1).norm(dim=1).view(-1, *(1,) * len(self.shape))
        return {self.latent: self.radius * g / norm}


@final
class Stages(Sampler):
    """Latents drawn by the models of later stages in turn, each with the noise of its likelihood.

    Args:
        parts: (model, name of the latent that it draws, name of the latent that is its condition or None,
            whether the latent is a code), in the order in which they draw.
    """

    def __init__(self, parts: Sequence[tuple[Model, str, str | None, bool]]) -> None:
        super().__init__()
        self.models = nn.ModuleList(model for model, *_ in parts)
        self.parts = [(latent, given, code) for _, latent, given, code in parts]

    @torch.no_grad()
    def sample(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """n draws of all latents; codes are whole numbers."""
        found: dict[str, Tensor] = {}
        for model, (latent, given, code) in zip(self.models, self.parts, strict=True):
            condition = context if given is None else found[given].float()
            drawn = cast(Model, model).generate(n, condition).sample()
            found[latent] = drawn.long() if code else drawn
        return found


@final
class Composed(Model):
    """A model whose new data come from a sampler instead of its prior; all else is the model's own.

    Args:
        model: encodes and decodes.
        sampler: draws the latents.
    """

    def __init__(self, model: Model, sampler: Sampler) -> None:
        super().__init__()
        self.model, self.sampler = model, sampler
        self.names, self.likelihood = model.names, model.likelihood
        self.withheld, self.passes = model.withheld, model.passes

    def forward(self, batch: Batch, samples: int | None = None, branches: Sequence[str] = ()) -> Trace:
        """The model's own pass."""
        return self.model(batch, samples, branches)  # type: ignore[no-any-return]  # nn.Module returns Any

    def posterior(self, batch: Batch) -> dict[str, Distribution]:
        """The model's own."""
        return self.model.posterior(batch)

    def encode(self, batch: Batch, sample: bool = False) -> dict[str, Tensor]:
        """The model's own codes."""
        return self.model.encode(batch, sample)

    def decode(self, values: Mapping[str, Tensor], context: Tensor | None = None) -> Distribution:
        """The model's own p(x|z)."""
        return self.model.decode(values, context)

    @torch.no_grad()
    def generate(self, n: int, context: Tensor | None = None) -> Distribution:
        """p(x|z) for n draws of z from the sampler."""
        return self.model.decode(self.sampler.sample(n, context), context)

    @torch.no_grad()
    def draw_latents(self, n: int, context: Tensor | None = None) -> dict[str, Tensor]:
        """Latent name -> n draws from the sampler."""
        return self.sampler.sample(n, context)


def codes_of(data: Encoded, limit: int | None = None, seed: int = 0) -> Tensor:
    """One draw of the latent for every datum, or for a random `limit` of them: (N, *event), on the CPU."""
    home = next((p.device for p in data.model.parameters()), torch.device("cpu"))
    parts: list[Tensor] = []
    left = len(data) if limit is None else min(limit, len(data))
    for batch in data.batches(_AT_ONCE, seed=seed, shuffle=left < len(data), device=home):
        parts.append(batch["x"][:left].cpu())
        left -= len(parts[-1])
        if left < 1:
            break
    return torch.cat(parts)


def only_latent(model: Model) -> str:
    """The name of the model's one latent, a vector of real numbers.

    Raises:
        UnsupportedError: if it has several: a density of one of them leaves the others open; or if it is made
            of codes, which have no density.
    """
    if len(model.names) != 1:
        raise UnsupportedError(
            f"this model has the latents {', '.join(model.names)}; a fitted sampler takes models with one: "
            "sample from the prior, or from the run's own stages"
        )
    levels = levels_of(model, model.names[0])
    if levels is not None:
        raise UnsupportedError(
            f"the latent {model.names[0]!r} is made of codes 0 .. {levels - 1}, with nothing in between: "
            "sample from the run's own stages, or from the prior"
        )
    return model.names[0]


def read_sampler(path: Path, name: str) -> Sampler:
    """A fitted sampler from its file. Nothing in it is executed.

    Args:
        path: of the file.
        name: mixture or hypersphere.

    Raises:
        UserError: if it is damaged or of another kind.
    """
    tensors, about = read_tensors(path)
    try:
        latent, shape = str(about["latent"]), tuple(int(size) for size in about["shape"])
        if not shape or any(size < 1 for size in shape):
            raise ValueError(f"its shape is {shape}")
        made: Sampler = Hypersphere(latent, shape)
        if name == "mixture":
            made = Mixture(latent, int(about["components"]), shape)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): fit the sampler again") from error
    load_weights(made, tensors, path)
    return made
