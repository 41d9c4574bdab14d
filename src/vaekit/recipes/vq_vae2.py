"""VQ-VAE-2: two levels of codes, the upper for what is global in a picture, the lower for its detail.

h_bottom = enc_b(x),  h_top = enc_t(h_bottom);  z2 = quantise(h_top),  z1 = quantise([h_bottom, dec_t(z2)])
loss = -log p(x|z1, upsampled z2) + beta sum_l |z_e,l - sg[e_l]|^2,  codebooks by running averages

The rate is (positions of z1 + positions of z2) * ln K under uniform priors, a constant. Two stages then learn
p(z2) and p(z1|z2) (recipe code_prior), through which new data are drawn; a condition of the data reaches both
networks and p(z2).

Differences from the paper: codes start at, and codes out of use restart from, encoder outputs of the batch;
all norms are sums over a datum, so that beta weighs against a likelihood in nats, which follows from the kind
of the data instead of a mean squared error; two levels only (the paper: three for the largest pictures).
Widths are those of the authors' example code.

A. Razavi, A. van den Oord, O. Vinyals, Generating Diverse High-Fidelity Images with VQ-VAE-2, NeurIPS 2019,
https://arxiv.org/abs/1906.00446
"""

from __future__ import annotations

from vaekit import wiring
from vaekit.data.spec import Spec
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe


@recipe
def vq_vae2(
    spec: Spec,
    *,
    codes: int = 512,
    dims: int = 64,
    beta: float = 0.25,
    decay: float = 0.99,
    restart: float = 0.05,
    likelihood: wiring.LikelihoodName = "auto",
    hidden: tuple[int, ...] = (64, 128),
    prior_width: int = 64,
    prior_blocks: int = 8,
    prior_attention: int = 2,
    learning_rate: float = 3e-4,
) -> System:
    """Wire a two-level VQ-VAE.

    Args:
        spec: the data, square images.
        codes: K, the size of each of the two codebooks.
        dims: D, dimensions of a code.
        beta: weight of the commitment losses.
        decay: of the running averages of place and use of the codes.
        restart: share of the mean use below which a code starts anew at an encoder output; 0 for never.
        likelihood: p(x|z); auto goes by the kind of the data.
        hidden: channels after the first and the second halving of the resolution.
        prior_width: channels of both priors over codes, a multiple of 4.
        prior_blocks: their layers.
        prior_attention: how many layers of the prior of the top level have self-attention behind them.
        learning_rate: of Adam.
    """
    model = wiring.two_level_codes(spec, codes, dims, decay, restart, likelihood, hidden)
    objective = wiring.codebook_terms(beta, "ema")
    player = Player("vq_vae2", [model], objective, wiring.adam(learning_rate))
    top = wiring.prior_stage("top", "z2", prior_width, prior_blocks, prior_attention)
    bottom = wiring.prior_stage(
        "bottom", "z1", prior_width, prior_blocks, 0, given="z2", context_levels=codes
    )
    return System(model, Simultaneous(model, [player]), stages=(top, bottom))
