"""All figures of a trained model in one record."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import Any

from vaekit.data.batch import Data
from vaekit.errors import UnsupportedError
from vaekit.metrics.codes import code_use
from vaekit.metrics.evidence import elbo, nll
from vaekit.metrics.labels import error_rate
from vaekit.metrics.latents import latent_use, mutual_information
from vaekit.metrics.passes import LOAD, Progress
from vaekit.metrics.reconstruction import reconstruction
from vaekit.models import Classifier, Model


def evaluate(
    model: Model,
    data: Data,
    *,
    samples: int = 5000,
    limit: int | None = None,
    seed: int = 0,
    batch_size: int = LOAD,
    pairs: int = 2000,
    progress: Progress | None = None,
    classifier: Classifier | None = None,
) -> dict[str, Any]:
    """Evidence lower bound, likelihood by importance sampling, use of the latents: one record of JSON values.

    Nats per datum, unless the name says otherwise. What the model does not support is absent, and `notes`
    says why; figures that are not finite are None.

    Args:
        model: on any device; its mode and the global random stream are left as they were.
        data: what is evaluated.
        samples: draws per datum of the likelihood; 0 leaves it out.
        limit: evaluate a random subset of this size.
        seed: of the subset and of all noise.
        batch_size: data per pass of the bound.
        pairs: largest number N of data for the mutual information, which costs N^2.
        progress: of the likelihood, by far the longest part: called with the number of data done and of all.
        classifier: tells the classes of the data, if the model itself does not.
    """
    notes: dict[str, str] = {}
    record: dict[str, Any] = {"seed": seed}
    size = len(data) if limit is None else min(limit, len(data))
    try:
        bound = elbo(model, data, seed=seed, limit=limit, batch_size=batch_size).to_json()
        for name in ("elbo", "elbo_se", "distortion", "distortion_se", "rate", "rate_se", "n"):
            record[name] = bound[name]
        record["rates"] = bound["rates"]
        record["rate_estimators"] = bound["estimators"]
    except UnsupportedError as error:
        notes["elbo"] = str(error)
        record["n"] = size
        with suppress(UnsupportedError):
            rebuilt = reconstruction(model, data, seed=seed, limit=limit, batch_size=batch_size).to_json()
            record["squared_error"], record["squared_error_se"] = rebuilt["squared_error"], rebuilt["se"]
    if samples:
        try:
            likelihood = nll(
                model, data, samples=samples, seed=seed, limit=limit, progress=progress
            ).to_json()
            for ours, theirs in _NLL.items():
                record[ours] = likelihood[theirs]
        except UnsupportedError as error:
            notes["nll"] = str(error)
    else:
        notes["nll"] = "left out: no samples were asked for"
    try:
        use = latent_use(model, data, seed=seed, limit=limit)
        record["active_units"] = sum(use.active.values())
        record["latents"] = sum(use.size.values())
        record["active_by_latent"] = use.active
        record["mean_variances"] = use.variances
        record["rate_per_dimension"] = use.rates
    except UnsupportedError as error:
        notes["active_units"] = str(error)
    used = code_use(model, data, seed=seed, limit=limit)
    if used:
        record["codes"] = {name: asdict(use) for name, use in used.items()}
    try:
        information = mutual_information(model, data, n=min(pairs, size), seed=seed).to_json()
        record["mutual_information"] = information["mutual_information"]
        record["marginal_kl"] = information["marginal_kl"]
        record["mutual_information_n"] = information["n"]
        record["mutual_information_bound"] = information["bound"]
    except UnsupportedError as error:
        notes["mutual_information"] = str(error)
    if classifier is not None or isinstance(model, Classifier):
        try:
            errors = error_rate(model, data, classifier=classifier, seed=seed, limit=limit).to_json()
            for ours, theirs in (("error", "error"), ("error_se", "error_se"), ("error_n", "n")):
                record[ours] = errors[theirs]
        except UnsupportedError as error:
            notes["error"] = str(error)
    record["notes"] = notes
    return record


_NLL = {
    "nll": "nll",
    "nll_se": "se",
    "nll_mc_error": "mc_error",
    "nll_samples": "samples",
    "nll_median_ess": "median_ess",
    "bits_per_dim": "bits_per_dim",
}
