"""What the figures of a run are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vaekit.data.batch import Data
from vaekit.data.spec import Spec
from vaekit.models import Classifier
from vaekit.report.codes import Codes


@dataclass(frozen=True)
class Material:
    """A trained model, as it meets data.

    Args:
        spec: of the data.
        codes: held-out data as the model sees them, encoded once.
        train: the training data.
        data: the held-out data, all of them.
        held: which ones they are: "test" or "validation".
        record: of the run, as in run.json.
        classifier: what tells the class of a datum, if the run has such a thing.
    """

    spec: Spec
    codes: Codes
    train: Data
    data: Data
    held: str
    record: Mapping[str, Any]
    classifier: Classifier | None = None

    @property
    def evaluation(self) -> Mapping[str, Any]:
        """The record of the final evaluation, empty where there is none."""
        found = self.record.get("evaluation")
        return found if isinstance(found, Mapping) else {}

    @property
    def walkable(self) -> bool:
        """Whether there are latents to move along: code numbers have nothing between them."""
        return bool(self.codes.shapes) and not self.codes.discrete

    @property
    def has_classes(self) -> bool:
        """Whether data come with one label each."""
        y = self.codes.batch.get("y")
        return y is not None and y.dim() == 1
