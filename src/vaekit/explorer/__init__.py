"""The explorer: a page in which one moves through what a model has learned."""

from vaekit.explorer.assemble import assemble

__all__ = ["assemble"]
