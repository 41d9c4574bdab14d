"""What a classifier inside a model is told by the labels that are known."""

from __future__ import annotations

from torch import Tensor

from vaekit.errors import UnsupportedError
from vaekit.terms.parts import per_datum
from vaekit.trace import Trace


class Classification:
    """-log q(y|x) where the label is known and 0 elsewhere, one value per datum, nats.

    In J_a = sum_l L(x_l, y_l) + sum_u U(x_u) + (alpha N / N_l) sum_l log q(y_l|x_l) (Kingma et al. 2014,
    equation 9) a labelled point counts alpha N / N_l beside its bound. An objective takes the mean over a
    batch in which labelled data stand as often as they do in the set, so that this term's weight is
    alpha N / N_l, whatever the batch size: a mean over the labelled data of the batch alone would be another
    objective.

    Without this term q(y|x) follows from unlabelled data alone, since a known label replaces it.
    """

    def __call__(self, trace: Trace) -> Tensor:
        """(batch,)."""
        if "y" not in trace.predicted:
            raise UnsupportedError(
                "the trace predicts no label: a classification term needs a model with a classifier, such as "
                "`LabelMarginal`"
            )
        label = trace.predicted["y"]
        return -per_datum(label.p.log_prob(label.value), trace)
