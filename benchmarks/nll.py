"""Importance-sampled likelihood against the arithmetic limit of the matrix products.

    python benchmarks/nll.py [--images 200] [--samples 5000] [--rounds 7]

The model is the one-layer network of Burda et al. (784-200-200-50 and back, tanh, Bernoulli), untrained; the
images are random zeros and ones: neither changes the arithmetic. A round times the bare matrix products of
the decoder, with the shapes that the likelihood uses, and the likelihood itself, one after the other; the
printed ratio is the median over rounds, so that a machine with other work on it still gives a fair one.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from functools import partial
from math import ceil

import torch
from torch import Tensor

from vaekit import conditionals as c
from vaekit.data import ArrayData
from vaekit.data.spec import Spec
from vaekit.metrics import nll
from vaekit.metrics.passes import fitting
from vaekit.models import Flat
from vaekit.networks import MLP

PIXELS, LATENTS, HIDDEN = 784, 50, 200


def burda() -> Flat:
    encoder = partial(MLP, [(1, 28, 28)], hidden=(HIDDEN, HIDDEN), activation="tanh", init="glorot")
    decoder = partial(MLP, [(LATENTS,)], hidden=(HIDDEN, HIDDEN), activation="tanh", init="glorot")
    likelihood = c.Bernoulli(decoder, (1, 28, 28))
    return Flat(c.Gaussian(encoder, (LATENTS,)), c.StandardGaussian((LATENTS,)), likelihood)


def products(weights: list[Tensor], z: Tensor) -> Tensor:
    for weight in weights:
        z = z @ weight.T
    return z


def seconds(work: partial[object]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()

    torch.manual_seed(0)
    device = torch.device(asked.device)
    model = burda().to(device)
    x = (torch.rand(asked.images, 1, 28, 28) < 0.15).to(torch.uint8)
    data = ArrayData(Spec("random", (1, 28, 28), "binary", asked.images), x)
    weights = [p.detach() for p in model.likelihood.parameters() if p.dim() == 2]

    draws = asked.images * asked.samples
    flops = 2 * draws * sum(weight.numel() for weight in weights)
    rows, chunk = fitting({"x": x[:500].to(device)}, asked.samples)
    z = torch.randn(rows * chunk, LATENTS, device=device)
    repeats = ceil(draws / len(z))
    bare_flops = 2 * repeats * len(z) * sum(weight.numel() for weight in weights)

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(repeats):
                products(weights, z)

    evaluated = partial(nll, model, data, samples=asked.samples)
    nll(model, data, samples=asked.samples, limit=max(1, asked.images // 10))  # warm
    bare_rates, rates, ratios = [], [], []
    for _ in range(asked.rounds):
        # before and after, so that a drift of the machine's speed cancels
        first = seconds(partial(bare))
        taken = seconds(evaluated)
        second = seconds(partial(bare))
        bare_rates.append(2 * bare_flops / (first + second) / 1e9)
        rates.append(flops / taken / 1e9)
        ratios.append(rates[-1] / bare_rates[-1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    whole = 2 * 10_000 * asked.samples * sum(weight.numel() for weight in weights)
    result = {
        "images": asked.images,
        "samples": asked.samples,
        "threads": torch.get_num_threads(),
        "device": str(device),
        "chunk": [rows, chunk],
        "products_gflops": round(statistics.median(bare_rates), 1),
        "nll_gflops": round(statistics.median(rates), 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in sorted(ratios)],
        "seconds_for_10000_images": round(whole / statistics.median(rates) / 1e9),
        "peak_memory_mb": round(peak),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
