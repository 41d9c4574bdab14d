"""The doctor: what is wrong with data before training, and with a run after it."""

from __future__ import annotations

from vaekit.doctor.finding import Finding
from vaekit.doctor.run import examine_run

__all__ = ["Finding", "examine_run"]
