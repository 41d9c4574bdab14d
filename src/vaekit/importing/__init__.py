"""Models that were trained elsewhere, as ordinary run directories: weights and numbers, never code."""

from __future__ import annotations

from vaekit.importing.archive import read_archive
from vaekit.importing.arrive import import_folder

__all__ = ["import_folder", "read_archive"]
