"""Unlabelled digits help the classifier of M2, and its styles can be drawn with every class."""

from __future__ import annotations

from statistics import median

import numpy as np
import torch
from torch.nn import functional

from vaekit.analogies import analogies
from vaekit.data import ArrayData, Spec, Splits
from vaekit.data.labels import keep_labels
from vaekit.metrics import error_rate
from vaekit.models import LabelMarginal
from vaekit.networks import MLP
from vaekit.reproductions.labelled import supervised
from vaekit.reproductions.outcome import Check, Figure, Outcome, Reproduction, Say
from vaekit.reproductions.training import fit, over_seeds

LABELS, TEST, HIDDEN = 50, 500, (128,)


def digits(seed: int, labels: int | None = LABELS) -> Splits:
    """1,297 training and 500 test digits, stratified; of the training digits so many have a label, or all."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    x, y = found.images.astype(np.uint8)[:, None], found.target.astype(np.int64)
    train, test = train_test_split(np.arange(len(y)), test_size=TEST, stratify=y, random_state=seed)
    known = y if labels is None else keep_labels(y, train, labels, seed, 10, "digits")
    spec = Spec("digits", (1, 8, 8), "unit", len(train), levels=17, classes=10, labelled=labels)
    parts = [
        ArrayData(spec, torch.from_numpy(x[rows]), torch.from_numpy(some[rows]))
        for rows, some in ((train, known), (train, known), (test, y))
    ]
    return Splits(*parts)  # nothing is held out to choose weights: the bound of the training data does


def judge(seed: int) -> MLP:
    """A classifier of real digits: all 1,297 with their labels."""
    torch.manual_seed(seed)
    network = MLP([(1, 8, 8)], (10,), (128,))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    batch = digits(seed, None).train.take(range(1297))
    for _ in range(400):
        loss = functional.cross_entropy(network(batch["x"]), batch["y"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


@torch.no_grad()
def judged(model: LabelMarginal, splits: Splits, seed: int) -> tuple[float, float]:
    """Share of the analogies of test digits that a classifier takes for their class, and how ink is kept.

    The second is the correlation of the mean ink of a digit with that of its nine analogies of another class,
    each less the mean of its class: heavy strokes stay heavy.
    """
    with torch.enable_grad():
        network = judge(seed)
    found = analogies(model, splits.test.take(range(TEST)))
    told = network(found.decoded.clamp(0, 1)).argmax(-1)
    ink, own = found.decoded.flatten(2).mean(-1), found.x.flatten(1).mean(-1)
    own = own - torch.stack([own[found.y == k].mean() for k in range(10)])[found.y]
    other = torch.arange(10) != found.y.unsqueeze(1)
    pairs = torch.stack([own.unsqueeze(1).expand_as(ink)[other], (ink - ink.mean(0))[other]])
    return float((told == torch.arange(10)).float().mean()), float(torch.corrcoef(pairs)[0, 1])


def run(full: bool, say: Say) -> Outcome:
    """M2 and its own classifier on the labelled digits alone, for five random choices of the labels."""
    seeds = list(range(10 if full else 5))
    steps = 4000 if full else 2000
    cells: dict[str, list[float]] = {}
    for seed in seeds:
        splits = digits(seed)
        model = fit(
            "m2", splits, seed=seed, steps=steps, batch_size=100, say=say, latents=10, hidden=HIDDEN,
            alpha=1.0, likelihood="gaussian", learning_rate=1e-3,
        )  # fmt: skip
        assert isinstance(model, LabelMarginal)
        told, ink = judged(model, splits, seed)
        values = {
            "alone": supervised(splits, HIDDEN, "softplus", seed=seed, steps=1000, say=say),
            "m2": error_rate(model, splits.test).error,
            "bayes": error_rate(model, splits.test, samples=100, seed=seed).error,
            "told": told,
            "ink": ink,
        }
        say(", ".join(f"{name} {value:.3f}" for name, value in values.items()))
        for name, value in values.items():
            cells.setdefault(name, []).append(value)
    pairs = list(zip(cells["alone"], cells["m2"], strict=True))
    gain = sum(1 - ours / theirs for theirs, ours in pairs) / len(pairs)
    figures = [
        over_seeds("test error, q(y|x) trained on the labels alone", cells["alone"], "calibration 0.150"),
        over_seeds("test error, M2 by q(y|x)", cells["m2"]),
        over_seeds("test error, M2 by Bayes' rule, 100 draws", cells["bayes"]),
        Figure("mean relative reduction of the error", gain),
        over_seeds("analogies that a classifier takes for their class", cells["told"]),
        over_seeds("correlation of the ink of a digit with that of its analogies", cells["ink"]),
    ]
    checks = [
        Check("M2 errs less than its classifier alone in every paired seed", all(b < a for a, b in pairs)),
        Check("the error falls by a quarter or more, mean over seeds", gain >= 0.25),
        Check(
            "at least 90 % of the analogies are taken for their class (median)", median(cells["told"]) >= 0.9
        ),
        Check("ink correlates by more than 0.5 (median)", median(cells["ink"]) > 0.5),
    ]
    return Outcome(
        figures, checks, seeds, "digits 8x8, 1,297 training data of which 50 have a label, 500 test data",
        f"MLP 128 softplus, 10 latents, alpha 1, {steps} steps of 100, Adam 1e-3; alone 1,000 steps",
        "Stratified splits and class-balanced labels by the seed. Calibration: an MLP of the same size.",
    )  # fmt: skip


reproduction = Reproduction(
    claim="With few labels, a classifier inside a generative model of all data errs much less than the same "
    "classifier trained on the labelled data alone; and the model separates style from class.",
    source="D. P. Kingma, D. J. Rezende, S. Mohamed, M. Welling, Semi-Supervised Learning with Deep "
    "Generative Models, NIPS 2014, arXiv 1406.5298, section 4",
    recipes=("m2",),
    run=run,
)
