"""FactorVAE: a penalty on the total correlation of codes, by a critic that knows them from shuffled ones.

vae:     E_q(z|x)[-log p(x|z)] + KL(q(z|x) || N(0, I)) + gamma E_q(z)[ln D(z) / (1 - D(z))]
critic:  1/2 E_q(z)[-ln D(z)] + 1/2 E_q'(z)[-ln(1 - D(z))],   q'(z) = prod_j q(z_j): dimensions permuted

q(z) = E_x q(z|x). With the best critic the last term of the first line is KL(q(z) || q'(z)), the total
correlation, which the run reports by this name. A cross-entropy of ln 2 = 0.69 says that the critic cannot
tell the two apart: the codes are independent, or the critic is too weak. The critic's loss couples the data
of a batch.

Play is simultaneous: both gradients are taken on the same codes, then both move.

Differences from the paper: its critic compares the batch that the VAE learns from with a second one, whose
codes are drawn after the VAE's move; here the VAE learns from both batches of 64 in one of 128, the critic
compares its halves, and all codes are drawn before. The networks are those of Locatello et al. 2019 (arXiv
1811.12359) and the likelihood follows from the kind of the data. The paper trained for 300,000 steps on 2D
shapes; a tenth of them is the default.

The study of Locatello et al. 2019 is `permuted="same", critic_init="glorot"`: one batch of 64 is on both
sides of the critic. There D is clipped to [1e-6, 1 - 1e-6] in the critic's loss; here it is exact. The
study's program counts its steps twice, so that its FactorVAE saw half as many batches as its other methods.

H. Kim, A. Mnih, Disentangling by Factorising, ICML 2018, https://arxiv.org/abs/1802.05983
"""

from __future__ import annotations

from typing import Literal

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.networks import MLP, Architecture, Init
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import DensityRatio, Distortion, PermutationTest, Rate

BATCH = 64
Permuted = Literal["other", "same"]


@recipe
def factor_vae(
    spec: Spec,
    *,
    gamma: float = 35.0,
    latents: int = 10,
    critic: tuple[int, ...] = (1000, 1000, 1000, 1000, 1000, 1000),
    permuted: Permuted = "other",
    critic_init: Init = "torch",
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-4,
    critic_learning_rate: float = 1e-4,
) -> System:
    """Wire a FactorVAE.

    Args:
        spec: the data.
        gamma: weight of the total correlation; 0 is the VAE.
        latents: dimensions of z, at least 2.
        critic: widths of the hidden layers of the critic.
        permuted: whose dimensions are permuted for the critic: those of the other half of the batch, which is
            then 128, or those of the same 64 that it sees unpermuted.
        critic_init: how the critic's initial weights are drawn.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam for encoder and decoder.
        critic_learning_rate: of Adam for the critic.
    """
    checks.number("gamma", gamma, least=0)
    checks.number("critic_learning_rate", critic_learning_rate, above=0)
    checks.whole("latents", latents, least=2)  # one latent has nothing to be independent of
    model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden)
    checks.known("permuted", permuted, Permuted)
    judge = MLP([(latents,)], (2,), checks.sizes("critic", critic), "leaky_relu_0.2", critic_init)
    penalised = Objective(
        {
            "distortion": (1.0, Distortion()),
            "rate": (1.0, Rate()),
            "total_correlation": (gamma, DensityRatio(judge)),
        }
    )
    halves = permuted == "other"
    test = Objective({"cross_entropy": (1.0, PermutationTest(judge, halves=halves))})
    players = [
        Player("vae", [model], penalised, wiring.adam(learning_rate)),
        Player("critic", [judge], test, wiring.adam(critic_learning_rate, betas=(0.5, 0.9))),
    ]
    size, least = (2 * BATCH, 4) if halves else (BATCH, 2)
    epochs = wiring.passes(spec, size, steps=30_000)
    return System(model, Simultaneous(model, players), size, epochs, monitor="last", least_batch=least)
