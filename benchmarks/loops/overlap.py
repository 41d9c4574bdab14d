"""A squared error of pixels, and one of what a box blur leaves of them."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

from benchmarks.minimal import Batch, Step, divergence, draw, ends, one_player
from vaekit.system import System


def blurred(pictures: Tensor, radius: int) -> Tensor:
    """Zero-padded means over boxes, by cumulative sums along rows and columns."""
    box = 2 * radius + 1
    for sides in ((radius + 1, radius), (0, 0, radius + 1, radius)):
        axis = -1 if len(sides) == 2 else -2
        n = pictures.shape[axis]
        sums = pad(pictures, sides).cumsum(axis)
        pictures = sums.narrow(axis, box, n) - sums.narrow(axis, 0, n)
    return pictures / box**2


def overlap_vae(system: System) -> Step:
    encode, decode = ends(system)
    beta, latents = (system.call["arguments"][name] for name in ("beta", "latents"))

    def loss(batch: Batch) -> Tensor:
        x = batch["x"]
        radius = x.shape[-1] // 2 - 1
        z, mean, log_std = draw(encode(x))
        error = x - decode(z).view_as(x)
        alpha = (2 * radius + 1) ** 2
        seen = error.square().mean() + alpha * blurred(error, radius).square().mean()
        return seen + beta / latents * divergence(mean, log_std)

    return one_player(system, loss)


LOOPS = {"overlap_vae": overlap_vae}
