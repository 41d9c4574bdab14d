"""The class of a datum, told from its latents by a later stage."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from vaekit.models import Classifier, Model
from vaekit.trace import Batch


@final
class OnLatents(nn.Module, Classifier):
    """q(y|x) = q(y|z) at z = E q(z|x): a classifier that was trained on draws of z, asked at their mean.

    This is how M1+M2 classifies (Kingma et al. 2014).

    Args:
        model: encodes.
        latent: name of the latent that the classifier was trained on.
        classifier: tells the class of z.
    """

    def __init__(self, model: Model, latent: str, classifier: Classifier) -> None:
        super().__init__()
        self.model, self.latent = model, latent
        self.classifier = classifier
        self.classes = classifier.classes

    @torch.no_grad()
    def classify(self, batch: Batch) -> Tensor:
        """(B, classes)."""
        return self.classifier.classify({"x": self.model.encode(batch)[self.latent]})
