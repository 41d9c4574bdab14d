"""Metrics: functions of a model and data, whose results say how sure they are, and of what."""

from vaekit.metrics.ais import Ais, Bdmc, ais, annealed_weights, bdmc
from vaekit.metrics.annealing import Annealing, sigmoid_schedule
from vaekit.metrics.codes import CodeUse, code_use, perplexity
from vaekit.metrics.dependence import (
    Dependence,
    GaussianTotalCorrelation,
    gaussian_total_correlation,
    total_correlation,
)
from vaekit.metrics.disentanglement import disentanglement, exact_mig
from vaekit.metrics.evaluate import evaluate
from vaekit.metrics.evidence import Elbo, Nll, elbo, log_evidence, nll
from vaekit.metrics.labels import ErrorRate, bayes_classes, error_rate
from vaekit.metrics.latents import Information, LatentUse, latent_use, mutual_information
from vaekit.metrics.matching import PriorMatch, prior_match
from vaekit.metrics.ranking import codes_and_rates, udr
from vaekit.metrics.reconstruction import Reconstruction, reconstruction
from vaekit.metrics.residuals import neighbour_correlation
from vaekit.metrics.samples import Distance, against_floor, energy_distance, frechet, sharpness

__all__ = [
    "Ais",
    "Annealing",
    "Bdmc",
    "CodeUse",
    "Dependence",
    "Distance",
    "Elbo",
    "ErrorRate",
    "GaussianTotalCorrelation",
    "Information",
    "LatentUse",
    "Nll",
    "PriorMatch",
    "Reconstruction",
    "against_floor",
    "ais",
    "annealed_weights",
    "bayes_classes",
    "bdmc",
    "code_use",
    "codes_and_rates",
    "disentanglement",
    "elbo",
    "energy_distance",
    "error_rate",
    "evaluate",
    "exact_mig",
    "frechet",
    "gaussian_total_correlation",
    "latent_use",
    "log_evidence",
    "mutual_information",
    "neighbour_correlation",
    "nll",
    "perplexity",
    "prior_match",
    "reconstruction",
    "sharpness",
    "sigmoid_schedule",
    "total_correlation",
    "udr",
]
