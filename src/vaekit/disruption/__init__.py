"""Breaking the dimensions of a trained model's latents one by one, to see what each of them encodes."""

from vaekit.disruption.measure import Disruption, disrupt
from vaekit.disruption.readers import FactorReader, Read, moments, train_reader
from vaekit.disruption.strips import strips

__all__ = ["Disruption", "FactorReader", "Read", "disrupt", "moments", "strips", "train_reader"]
