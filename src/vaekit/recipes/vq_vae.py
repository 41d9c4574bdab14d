"""VQ-VAE: latents are the nearest codes of a learned codebook; a prior over codes is learned afterwards.

z_e = E(x),  k = argmin_j |z_e - e_j|,  z_q = e_k;  the decoder gets z_e + sg[z_q - z_e]
loss = -log p(x|z_q) + beta |z_e - sg[e]|^2  [+ |sg[z_e] - e|^2 where the codebook moves by gradient]

The rate is positions * ln K under the uniform prior, a constant. A stage then learns a prior over the codes
(recipe code_prior), through which new data are drawn; codes drawn uniformly show what it is good for.

Differences from the paper: codes start at, and codes out of use restart from, encoder outputs of the batch
(`restart=0`: neither); running averages of the codebook (appendix A.1 of the paper) are the default; all
norms are sums over a datum, where the authors' code has means, so that beta weighs against a likelihood in
nats. The likelihood follows from the kind of the data. Convolutions are those of the paper with 64 and 128
channels instead of 256.

A. van den Oord, O. Vinyals, K. Kavukcuoglu, Neural Discrete Representation Learning, NIPS 2017,
https://arxiv.org/abs/1711.00937
"""

from __future__ import annotations

from vaekit import wiring
from vaekit.conditionals import Quantised, UniformCodes
from vaekit.conditionals.codes import Learning, refuse_more_codes_than_vectors
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe


@recipe
def vq_vae(
    spec: Spec,
    *,
    codes: int = 512,
    dims: int = 64,
    positions: int | None = None,
    beta: float = 0.25,
    codebook: Learning = "ema",
    decay: float = 0.99,
    restart: float = 0.05,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: wiring.CodeArchitecture = "auto",
    hidden: tuple[int, ...] | None = None,
    prior_width: int = 64,
    prior_blocks: int = 8,
    prior_attention: int = 1,
    learning_rate: float = 2e-4,
) -> System:
    """Wire a VQ-VAE.

    Args:
        spec: the data.
        codes: K, the size of the codebook.
        dims: D, dimensions of a code.
        positions: number of codes for a datum, through a fully connected network; 16 if nothing is said. A
            convolutional map of codes has a quarter of the image's side length.
        beta: weight of the commitment loss.
        codebook: ema for running averages, gradient for the codebook loss of the paper's equation 3.
        decay: of the running averages of place and use of the codes.
        restart: share of the mean use below which a code starts anew at an encoder output; 0 for never.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the layers of a fully connected encoder, mirrored in the decoder, or the channels of
            the two strided convolutions.
        prior_width: channels of the prior over codes, a multiple of 4.
        prior_blocks: its layers.
        prior_attention: how many of them have self-attention behind them.
        learning_rate: of Adam.
    """
    networks = wiring.code_networks(spec, architecture, hidden, dims, positions)
    refuse_more_codes_than_vectors(codes, networks.event[1:], spec.size)
    objective = wiring.codebook_terms(beta, codebook)
    posterior = Quantised(networks.encoder, networks.event, codes, codebook, decay, restart)
    model = Flat(
        posterior, UniformCodes(posterior), wiring.make_likelihood(likelihood, spec, networks.decoder)
    )
    player = Player("vq_vae", [model], objective, wiring.adam(learning_rate))
    prior = wiring.prior_stage("prior", "z", prior_width, prior_blocks, prior_attention)
    return System(model, Simultaneous(model, [player]), stages=(prior,))
