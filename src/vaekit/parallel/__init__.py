"""Data-parallel training: every process takes its rows of each batch, and together they make one step.

What one process would see on the whole batch is what they see together: the same batch, the same noise (see
`noise.py`), the same gradient after one sum over processes. So the number of processes is no hyper-parameter:
a run is the same on one and on several, to rounding.
"""

from vaekit.parallel.launch import launched, rank_here, team_here
from vaekit.parallel.team import Part, Team

__all__ = ["Part", "Team", "launched", "rank_here", "team_here"]
