"""Density of real data by a normalising flow: no latents, exact likelihood.

log p(x) = log N(f(x); 0, I) + ln|det df/dx|,   f = f_T o ... o f_1
masked autoregressive maps: f_t(x)_i = (x_i - m_i(x_<i)) exp(-a_i(x_<i)), the order turned round at every map

It models tables, or the latents of another model: a stage behind it. The loss is the exact negative
log-likelihood, in nats per datum; a draw sends noise through f^-1. With a condition it is p(x|c). Needs zuko:
`pip install "vaekit[flows]"`.

Differences from the paper: no batch normalisation between maps; batches of 100 at 1e-3, where the paper's
rate is 1e-4; scales are kept within a factor of 1,000 by zuko; weight decay is left out. `flow` also offers
neural spline flows (bending within [-5, 5] alone, so that data of other scales are to be standardised) and
RealNVP.

G. Papamakarios, T. Pavlakou, I. Murray, Masked Autoregressive Flow for Density Estimation, NIPS 2017,
https://arxiv.org/abs/1705.07057
"""

from __future__ import annotations

from vaekit import wiring
from vaekit.conditionals import Flow
from vaekit.conditionals.flow import FlowName
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Explicit
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import Distortion


@recipe
def flow_density(
    spec: Spec,
    *,
    flow: FlowName = "maf",
    transforms: int = 5,
    hidden: tuple[int, ...] = (128, 128),
    learning_rate: float = 1e-3,
) -> System:
    """Wire a normalising flow as a density of data.

    Args:
        spec: the data, real; what has several axes is flattened.
        flow: the family of the maps.
        transforms: number of maps.
        hidden: widths of the hidden layers of the network in each of them.
        learning_rate: of Adam.
    """
    if spec.kind != "real":
        raise UnsupportedError(
            f"flow_density models real data, such as tables or latents of another model; {spec.name!r} is "
            f"{spec.kind}: take vae"
        )
    context = next(iter(wiring.conditions(spec)), None)
    model = Explicit(Flow(spec.shape, flow, transforms, hidden, context))
    objective = Objective({"distortion": (1.0, Distortion())})
    player = Player("flow", [model], objective, wiring.adam(learning_rate))
    return System(model, Simultaneous(model, [player]), batch_size=100)
