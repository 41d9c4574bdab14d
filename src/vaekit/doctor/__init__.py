"""The doctor: what is wrong with data before training, and with a run after it."""

from __future__ import annotations

from vaekit.doctor.finding import Finding

__all__ = ["Finding"]
