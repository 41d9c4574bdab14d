"""Total-correlation autoencoder: the rate is taken apart, and the dependence between latents weighs more.

loss = E_q(z|x)[-log p(x|z)] + alpha I_q(z; n) + beta TC + gamma sum_k KL(q(z_k) || p(z_k))
TC = KL(q(z) || prod_k q(z_k)),   q(z) = 1/N sum_n q(z|x_n),   N the number of training data

At alpha = beta = gamma = 1 this is the VAE. Reconstruction costs information, which is not what beta weighs:
so latents become independent at little loss of it. The estimates of q(z) are those of
`vaekit.terms.aggregate`; they want large batches, 2048 in the paper, and cost time and memory in the square.

Differences from the paper: q(z) is estimated by stratified sampling, whose values mean something; the
authors' programs take weighted sampling if nothing is said (`sampling="mws"`). The weights are those of the
paper, not those of the programs, where 1/N is not on the diagonal. The prior is N(0, I) alone, and nothing is
annealed. Locatello et al. 2019 (arXiv 1811.12359) take `estimator="closed", sampling="mws"`, batches of 64
and a learning rate of 1e-4; they drop the constants of weighted sampling, which have no gradient. Networks go
by the shape of the data; the paper's on dSprites are fully connected, 1200-1200 and tanh 1200-1200-1200.

R. T. Q. Chen, X. Li, R. Grosse, D. Duvenaud, Isolating Sources of Disentanglement in Variational
Autoencoders, NeurIPS 2018, https://arxiv.org/abs/1802.04942
"""

from __future__ import annotations

from typing import Literal

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.networks import Architecture
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import DimensionWise, Distortion, Information, Rate, TotalCorrelation
from vaekit.terms.aggregate import Aggregate, Sampling

Estimator = Literal["sample", "closed"]


@recipe
def beta_tcvae(
    spec: Spec,
    *,
    alpha: float = 1.0,
    beta: float = 6.0,
    gamma: float = 1.0,
    sampling: Sampling = "mss",
    estimator: Estimator = "sample",
    latents: int = 10,
    likelihood: wiring.LikelihoodName = "auto",
    architecture: Architecture = "auto",
    hidden: tuple[int, ...] | None = None,
    learning_rate: float = 1e-3,
) -> System:
    """Wire a total-correlation autoencoder.

    Args:
        spec: the data.
        alpha: weight of the mutual information between code and datum.
        beta: weight of the total correlation.
        gamma: weight of the divergence of single dimensions from the prior.
        sampling: how q(z) is estimated in a batch: mss or balanced (stratified), mws (weighted).
        estimator: sample weighs the three parts at the drawn z; closed adds what the weights differ from 1 to
            the rate in closed form, which has less variance.
        latents: dimensions of z.
        likelihood: p(x|z); auto goes by the kind of the data.
        architecture: of encoder and decoder; auto goes by the shape of the data.
        hidden: widths of the hidden layers of a fully connected network.
        learning_rate: of Adam.
    """
    checks.known("estimator", estimator, Estimator)
    aggregate = Aggregate(spec.size, sampling)
    model = wiring.gaussian_vae(spec, latents, likelihood, architecture, hidden)
    weights = {"alpha": alpha, "beta": beta, "gamma": gamma}
    rest = {
        name: checks.number(name, weight, least=0) - (estimator == "closed")
        for name, weight in weights.items()
    }
    objective = Objective(
        {
            "distortion": (1.0, Distortion()),
            **({"rate": (1.0, Rate("closed"))} if estimator == "closed" else {}),
            "information": (rest["alpha"], Information(aggregate)),
            "total_correlation": (rest["beta"], TotalCorrelation(aggregate)),
            "dimension_wise": (rest["gamma"], DimensionWise(aggregate)),
        }
    )
    player = Player("vae", [model], objective, wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]), batch_size=wiring.large_batch(spec, 2048))
