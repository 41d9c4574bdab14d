"""Many models of one shape, trained as one.

A study trains one recipe from many seeds at many strengths. Such models differ in tensors and in a few
numbers, so that one batched model serves them all: `train_stacked` hands back the runs that `vaekit.train`
would, to rounding.

>>> from vaekit.stacked import Call, train_stacked
>>> calls = [Call(seed, {"beta": beta}) for seed in range(2) for beta in (1.0, 4.0)]
>>> runs = train_stacked("beta_vae", "dsprites", calls=calls, out="study")  # doctest: +SKIP
"""

from vaekit.stacked.calls import Call, groups, why_alone
from vaekit.stacked.fit import StackedFit
from vaekit.stacked.noise import Streams
from vaekit.stacked.refusals import Unstackable
from vaekit.stacked.run import STACK, resume_stacked, train_stacked
from vaekit.stacked.stack import Stack

__all__ = [
    "STACK", "Call", "Stack", "StackedFit", "Streams", "Unstackable", "groups", "resume_stacked",
    "train_stacked", "why_alone",
]  # fmt: skip
