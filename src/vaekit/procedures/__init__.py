"""Procedures: who moves, on whose judgement, in what order. One `step` is one update of every player."""

from vaekit.procedures.play import Alternating, Simultaneous
from vaekit.procedures.player import Guard, MakeOptimizer, Player
from vaekit.procedures.procedure import Looked, Manner, Procedure

__all__ = ["Alternating", "Guard", "Looked", "MakeOptimizer", "Manner", "Player", "Procedure", "Simultaneous"]
