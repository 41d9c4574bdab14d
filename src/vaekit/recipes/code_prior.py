"""Prior over codes: an autoregressive density of categorical maps, by a gated PixelCNN with self-attention.

log p(k) = sum_i log p(k_i | k_<i, c),  i in raster order

It models the codes of a VQ-VAE, or any other map or row of classes by itself: a condition c is a vector, such
as a one-hot class, or a map of codes of a coarser level. There are no latents: the loss is the exact negative
log-likelihood, in nats per datum, and `generate` draws one position after the other.

Differences from the paper: both levels of VQ-VAE-2 have the two stacks of the gated PixelCNN here, with
causal self-attention behind the last blocks where the level is small (`attention`), instead of masked
PixelSNAIL blocks; sizes for a CPU (the paper: 20 blocks of 512 units, 4 layers of attention with 8 heads,
dropout 0.1); a learned vector for every place.

A. van den Oord et al., Conditional Image Generation with PixelCNN Decoders, 2016, arXiv 1606.05328; A.
Razavi, A. van den Oord, O. Vinyals, Generating Diverse High-Fidelity Images with VQ-VAE-2, NeurIPS 2019,
https://arxiv.org/abs/1906.00446
"""

from __future__ import annotations

from functools import partial

from vaekit import wiring
from vaekit.conditionals import Autoregressive
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Explicit
from vaekit.networks import PixelCNN
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import Distortion


@recipe
def code_prior(
    spec: Spec,
    *,
    width: int = 64,
    blocks: int = 8,
    reach: int = 2,
    attention: int = 0,
    heads: int = 4,
    dropout: float = 0.0,
    context_levels: int | None = None,
    learning_rate: float = 3e-4,
) -> System:
    """Wire an autoregressive density of categorical data.

    Args:
        spec: categorical or binary data: a map (H, W) or (1, H, W), or a row (P,).
        width: channels of the network.
        blocks: gated layers behind the first.
        reach: places that one of their convolutions sees to each side: kernels are 2 reach + 1 wide.
        attention: how many of them are followed by causal self-attention.
        heads: of the self-attention; the width must be a multiple of it.
        dropout: share of the features of a layer that is left out in training.
        context_levels: number of codes, where the condition is a map of codes; leave it out where the
            condition is a vector of numbers, such as a one-hot class.
        learning_rate: of Adam.
    """
    if spec.kind not in ("categorical", "binary"):
        raise UnsupportedError(
            f"code_prior models classes; {spec.name!r} is {spec.kind}: give categorical data, such as the "
            "codes of a vq_vae, or binary ones"
        )
    if context_levels is not None and spec.context is None:
        raise UnsupportedError(
            f"`context_levels` is {context_levels}, but {spec.name!r} has no condition: leave it out"
        )
    levels = 2 if spec.kind == "binary" else spec.levels or 2
    network = partial(
        PixelCNN,
        [spec.shape, *wiring.conditions(spec)],
        width=width,
        blocks=blocks,
        reach=reach,
        attention=attention,
        heads=heads,
        dropout=dropout,
        context_levels=context_levels,
    )
    model = Explicit(Autoregressive(network, spec.shape, levels))
    objective = Objective({"distortion": (1.0, Distortion())})
    return System(
        model, Simultaneous(model, [Player("prior", [model], objective, wiring.adam(learning_rate))])
    )
