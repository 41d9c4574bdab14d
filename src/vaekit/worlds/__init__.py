"""Worlds with known answers: data whose evidence, posterior or factors are known exactly."""

from vaekit.worlds.arcs20 import arcs20
from vaekit.worlds.cluster64 import cluster64
from vaekit.worlds.discrete import Discrete
from vaekit.worlds.ellipses16 import ellipses16
from vaekit.worlds.linear_gaussian import LinearGaussian
from vaekit.worlds.mini_sprites import mini_sprites
from vaekit.worlds.mini_xy import mini_xy
from vaekit.worlds.ppca import fixed_variance_optimum, mean_log_likelihood, ppca_closed_form, ppca_em
from vaekit.worlds.sprites16 import sprites16

__all__ = [
    "Discrete",
    "LinearGaussian",
    "arcs20",
    "cluster64",
    "ellipses16",
    "fixed_variance_optimum",
    "mean_log_likelihood",
    "mini_sprites",
    "mini_xy",
    "ppca_closed_form",
    "ppca_em",
    "sprites16",
]
