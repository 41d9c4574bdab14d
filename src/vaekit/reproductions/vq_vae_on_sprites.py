"""Codes that are all used, reconstruct almost as well as no codes, and are drawn by a learned prior."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from vaekit import conditionals, wiring
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.metrics import code_use, energy_distance
from vaekit.models import Flat, Model
from vaekit.objective import Objective
from vaekit.procedures import Player, Simultaneous
from vaekit.randomness import own_stream
from vaekit.reproductions.outcome import Check, Outcome, Reproduction, Say
from vaekit.reproductions.training import fit, over_seeds
from vaekit.stages import Composed, Stages, code_bound, encoded_splits
from vaekit.system import System, recipe
from vaekit.terms import Distortion
from vaekit.worlds import sprites16

CODES, DIMS, POSITIONS, HIDDEN = 32, 8, 16, (256, 128)
DRAWS = 2000


@recipe
def autoencoder(spec: Spec, *, learning_rate: float = 1e-3) -> System:
    """The networks of the VQ-VAE without its codes."""
    networks = wiring.code_networks(spec, "mlp", HIDDEN, DIMS, POSITIONS)
    model = Flat(
        conditionals.Deterministic(networks.encoder, networks.event),
        conditionals.StandardGaussian(networks.event),
        conditionals.Bernoulli(networks.decoder, spec.shape),
    )
    objective = Objective({"distortion": (1.0, Distortion())})
    return System(model, Simultaneous(model, [Player("autoencoder", [model], objective, wiring.adam(1e-3))]))


@torch.no_grad()
def distortion(model: Model, splits: Splits) -> float:
    """-log p(x|z) at the encoding of held-out data, nats per datum."""
    batch = splits.test.take(range(len(splits.test)))
    return float(Distortion()(model(batch)).mean())


def independent_rate(codes: Splits) -> float:
    """Cross-entropy of held-out codes under the frequencies of every position by itself, nats per code."""
    train, test = (part.take(range(len(part)))["x"].long() for part in (codes.train, codes.test))
    counts = torch.stack([torch.bincount(column, minlength=CODES) + 1.0 for column in train.T])
    table = (counts / counts.sum(1, keepdim=True)).log()
    return -float(torch.stack([table[i, column].mean() for i, column in enumerate(test.T)]).mean())


def ink(model: Model, seed: int) -> Tensor:
    """Ink of decoded draws, (DRAWS, 1)."""
    with own_stream(seed=seed), torch.no_grad():
        return model.generate(DRAWS).mean.flatten(1).sum(1, keepdim=True)


def run(full: bool, say: Say) -> Outcome:
    """VQ-VAE beside the same networks without codes; a prior over its codes beside uniform ones."""
    seeds = [0, 1, 2]
    steps, prior_steps = (10_000, 10_000) if full else (2000, 1500)
    splits = sprites16()
    names = (
        "perplexity",
        "used",
        "distortion",
        "without",
        "prior",
        "independent",
        "bound",
        "drawn",
        "uniform",
    )
    found: dict[str, list[float]] = {name: [] for name in names}
    test = splits.test.take(range(len(splits.test)))["x"]
    for seed in seeds:
        settings: dict[str, Any] = {"seed": seed, "batch_size": 100, "say": say, "learning_rate": 1e-3}
        coded = fit(
            "vq_vae", splits, steps=steps, codes=CODES, dims=DIMS, positions=POSITIONS, hidden=HIDDEN,
            architecture="mlp", **settings,
        )  # fmt: skip
        plain = fit(autoencoder, splits, steps=steps, **settings)
        codes = encoded_splits(splits, coded, "z")
        prior = fit("code_prior", codes, steps=prior_steps, width=32, blocks=4, attention=2, **settings)
        use = code_use(coded, splits.test)["z"]
        bound = code_bound(coded, [(prior, "z", None)], splits.test)
        learned = Composed(coded, Stages([(prior, "z", None, True)])).eval()
        data_ink = test.flatten(1).sum(1, keepdim=True)
        values = (
            use.perplexity, use.used, distortion(coded, splits), distortion(plain, splits),
            bound.rate / POSITIONS, independent_rate(codes), bound.distortion + bound.rate,
            energy_distance(ink(learned, seed), data_ink), energy_distance(ink(coded, seed), data_ink),
        )  # fmt: skip
        for name, value in zip(names, values, strict=True):
            found[name].append(float(value))
    pairs = list(zip(found["prior"], found["independent"], strict=True))
    ratios = [a / b for a, b in zip(found["drawn"], found["uniform"], strict=True)]
    losses = [a / b for a, b in zip(found["distortion"], found["without"], strict=True)]
    figures = [
        over_seeds(f"perplexity of the codes on held-out data, of {CODES}", found["perplexity"]),
        over_seeds("codes that occur on held-out data", found["used"], f"of {CODES}"),
        over_seeds("distortion, nats", found["distortion"]),
        over_seeds("distortion of the same networks without codes, nats", found["without"]),
        over_seeds(
            "cross-entropy of the learned prior, nats per code", found["prior"], f"ln K {math.log(CODES):.3f}"
        ),
        over_seeds("cross-entropy of independent positions, nats per code", found["independent"]),
        over_seeds("upper bound of the NLL under the learned prior, nats", found["bound"]),
        over_seeds("energy distance of the ink, learned prior over uniform codes", ratios),
    ]
    checks = [
        Check("the perplexity is at least 0.6 K (median)", sorted(found["perplexity"])[1] >= 0.6 * CODES),
        Check("all codes are used, in every seed", min(found["used"]) == CODES),
        Check("the distortion is within 15 % of that without codes (median)", sorted(losses)[1] <= 1.15),
        Check(
            "the prior is at least 0.3 nats per code below ln K, in every seed",
            max(found["prior"]) <= math.log(CODES) - 0.3,
        ),
        Check("and below independent positions, in every seed", all(a < b for a, b in pairs)),
        Check(
            "the ink of draws through the learned prior is at most 0.3 as far from the data's (median)",
            sorted(ratios)[1] <= 0.3,
        ),
    ]
    return Outcome(
        figures, checks, seeds, "SPRITES16: 10,000 training and 1,000 test pictures of 16 x 16 binary pixels",
        f"MLP 256-128 to {POSITIONS} codes of {DIMS} dimensions, {CODES} codes, {steps} steps of 100, Adam "
        "1e-3; prior "
        f"of 4 gated layers of 32 channels, the last 2 with self-attention, {prior_steps} steps; {DRAWS} "
        "draws",
    )  # fmt: skip


reproduction = Reproduction(
    claim="Quantising the latents to a learned codebook costs little reconstruction and collapses nothing, "
    "and a prior learned on the codes models them far better than independent ones and draws data-like "
    "pictures.",
    source="A. van den Oord, O. Vinyals, K. Kavukcuoglu, Neural Discrete Representation Learning, NIPS 2017, "
    "arXiv 1711.00937",
    recipes=("vq_vae", "code_prior"),
    run=run,
)
