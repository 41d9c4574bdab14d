"""Scores of how codes stand to known factors, from codes and factors alone: no model is needed.

    from vaekit.data.factors import Grid
    from vaekit.disentanglement import from_table, mig, score

    mig(codes, factors)                            # plain arrays
    score(from_table(grid, table), grid)           # all scores of a table of codes, in the preset "modern"

`docs/disentanglement.md` says what each choice of the presets is, and how far a score can be trusted.
"""

from vaekit.disentanglement.auroc import auroc
from vaekit.disentanglement.beta_vae import beta_vae
from vaekit.disentanglement.dci import completeness_of, dci, disentanglement_of
from vaekit.disentanglement.distances import (
    Agreement,
    Importance,
    agreement,
    distance_agreement,
    factor_importance,
    index_distance,
    pearson,
    perceived_distance,
    spearman,
)
from vaekit.disentanglement.downstream import downstream
from vaekit.disentanglement.explicitness import explicitness
from vaekit.disentanglement.factor_vae import factor_vae
from vaekit.disentanglement.irs import irs
from vaekit.disentanglement.mig import exact_mig, mig
from vaekit.disentanglement.modularity import modularity, modularity_of
from vaekit.disentanglement.points import (
    DSPRITES_TWINS,
    Merge,
    Represent,
    discretise,
    entropy,
    from_table,
    merged,
    mutual_information,
)
from vaekit.disentanglement.presets import PRESETS, Preset
from vaekit.disentanglement.result import Score, Scores
from vaekit.disentanglement.s_d import s_d
from vaekit.disentanglement.sap import sap, sap_continuous
from vaekit.disentanglement.score import NAMES, score
from vaekit.disentanglement.tad import tad, upper_half
from vaekit.disentanglement.traversals import Straightness, flatness, straightness
from vaekit.disentanglement.udr import relative_strength, udr
from vaekit.disentanglement.unsupervised import gaussian_total_correlation, gaussian_wasserstein, unsupervised

__all__ = [
    "DSPRITES_TWINS",
    "NAMES",
    "PRESETS",
    "Agreement",
    "Importance",
    "Merge",
    "Preset",
    "Represent",
    "Score",
    "Scores",
    "Straightness",
    "agreement",
    "auroc",
    "beta_vae",
    "completeness_of",
    "dci",
    "discretise",
    "disentanglement_of",
    "distance_agreement",
    "downstream",
    "entropy",
    "exact_mig",
    "explicitness",
    "factor_importance",
    "factor_vae",
    "flatness",
    "from_table",
    "gaussian_total_correlation",
    "gaussian_wasserstein",
    "index_distance",
    "irs",
    "merged",
    "mig",
    "modularity",
    "modularity_of",
    "mutual_information",
    "pearson",
    "perceived_distance",
    "relative_strength",
    "s_d",
    "sap",
    "sap_continuous",
    "score",
    "spearman",
    "straightness",
    "tad",
    "udr",
    "unsupervised",
    "upper_half",
]
