"""The explorer: a page on which people move through the latent space of a trained model."""

from vaekit.explorer.assemble import assemble
from vaekit.explorer.payload import payload

__all__ = ["assemble", "payload"]
