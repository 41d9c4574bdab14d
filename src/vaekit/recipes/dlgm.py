"""Deep latent Gaussian model: several layers of noise, all of which are inferred from the data.

h_L = G_L xi_L,   h_l = T_l(h_{l+1}) + G_l xi_l,   x ~ p(x | T_0(h_1)),   xi_l ~ N(0, I)
q(xi|x) = prod_l N(xi_l; mu_l(x), C_l(x)),   C_l^-1 = diag(d_l) + u_l u_l^T
F = sum_l 1/2 [tr C_l + |mu_l|^2 - ln det C_l - n_l] - E_q log p(x|xi)

The noise xi and not h is inferred, so every prior is N(0, I) and every rate is in closed form.

Differences from the paper: every layer has a recognition network of its own, where the paper's share their
lower layers; G starts at the identity; no Gaussian prior on the weights of the generator; Adam instead of
AdaGrad; the sizes of the layers are chosen here.

D. J. Rezende, S. Mohamed, D. Wierstra, Stochastic Backpropagation and Approximate Inference in Deep
Generative Models, ICML 2014, https://arxiv.org/abs/1401.4082
"""

from __future__ import annotations

from vaekit import checks, wiring
from vaekit.data.spec import Spec
from vaekit.models import Flat
from vaekit.networks import DlgmDecoder
from vaekit.objective import elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe


@recipe
def dlgm(
    spec: Spec,
    *,
    latents: tuple[int, ...] = (32, 16),
    posterior: wiring.PosteriorName = "rank_one",
    likelihood: wiring.LikelihoodName = "auto",
    hidden: tuple[int, ...] = (200,),
    learning_rate: float = 1e-3,
) -> System:
    """Wire a deep latent Gaussian model.

    Args:
        spec: the data.
        latents: dimensions of xi_1, ..., xi_L, from the data upwards.
        posterior: the family of every q(xi_l|x).
        likelihood: p(x|xi); auto goes by the kind of the data.
        hidden: widths of the hidden layers of every recognition network and of every T.
        learning_rate: of Adam.
    """
    wiring.unconditional(spec, "dlgm")
    dimensions = checks.sizes("latents", latents, least=1)
    encoder = wiring.encoder_of(spec, "mlp", hidden)
    model = Flat(
        posterior=[wiring.make_posterior(posterior, encoder, n) for n in dimensions],
        prior=[wiring.make_prior("standard", n) for n in dimensions],
        likelihood=wiring.make_likelihood(
            likelihood, spec, lambda output: DlgmDecoder([(n,) for n in dimensions], output, hidden)
        ),
    )
    player = Player("dlgm", [model], elbo(), wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]))
