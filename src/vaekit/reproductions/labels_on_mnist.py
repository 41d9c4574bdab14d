"""MNIST with 100 labels: M1 with a linear classifier, M2, M1+M2, and a network on the labels alone."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from vaekit.data import load
from vaekit.data.batch import Splits
from vaekit.metrics import error_rate
from vaekit.models import Model
from vaekit.reproductions.labelled import labelled_rows, supervised
from vaekit.reproductions.outcome import Check, Figure, Outcome, Reproduction, Say
from vaekit.reproductions.training import fit
from vaekit.stages import OnLatents, encoded_splits

LABELS, ALPHA = 100, 0.1
PUBLISHED = {"alone": "25.8", "m1": "11.8 (M1+TSVM)", "m2": "12.0", "m1_m2": "3.3"}
NAMES = {
    "alone": "network on the labels alone",
    "m1": "M1 with logistic regression",
    "m2": "M2",
    "m1_m2": "M1+M2",
}


def linear_error(model: Model, splits: Splits) -> float:
    """Test error of logistic regression on the means of M1, fitted to the labelled data."""
    from sklearn.linear_model import LogisticRegression

    known = splits.train.take(labelled_rows(splits))
    test = splits.test.take(range(len(splits.test)))
    classifier = LogisticRegression(max_iter=2000)
    classifier.fit(model.encode(known)["z"].numpy(), known["y"].numpy())
    return float((classifier.predict(model.encode(test)["z"].numpy()) != test["y"].numpy()).mean())


@dataclass(frozen=True)
class Course:
    """How a model is trained: steps, data per step, the rate of Adam, and whether M2's rate falls to zero."""

    steps: int
    batch_size: int
    learning_rate: float
    falls: bool = False

    def arguments(self) -> dict[str, Any]:
        """Those of `fit`."""
        found = {"steps": self.steps, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
        return found | {"fall": self.steps} if self.falls else found

    def __str__(self) -> str:
        falling = ", which falls to zero from three fifths on" if self.falls else ""
        return f"{self.steps:,} steps of {self.batch_size}, Adam {self.learning_rate}{falling}"


# M1, M2 on its latents, M2 on pixels. The paper's 300,000 steps of 3e-4 are out of reach: fewer steps want
# longer ones, and a smaller z2.
SMALL = Course(5000, 100, 1e-3), Course(4000, 500, 5e-3), Course(2500, 200, 1e-3)
FULL = Course(60_000, 100, 1e-3), Course(20_000, 200, 4e-3, falls=True), Course(2500, 200, 1e-3)
NOTES = {
    False: "The settings were chosen on seed 0 of the labels, from eight short runs: 500 units with 50 "
    "latents, batches of 200 and Adam 1e-3 stood at 17 to 19 % after as many steps. M2 on pixels is far from "
    "done after its steps (40 % after 1,500), and breaks down at Adam 5e-3 (72 %): it is no baseline in the "
    "small budget.",
    True: "The settings of M2 on the latents were chosen by the validation data of seed 0, from about twenty "
    "runs of 5,000 to 20,000 steps: constant rates end at a plateau (7.7 %); after as many steps, rates of "
    "1e-3 and below, 8e-3, initial weights of 0.001 and 0.02, alpha of 0.02 and 1, and 500 units with 30 "
    "latents stood behind. A first full run, with 20,000 steps of M1 and 60,000 of M2, was stopped after set "
    "0: M1+M2 erred on 6.03 %, no less than after 20,000, so that here M1 is trained longer; M2 on pixels "
    "erred on 41 %, after 6,000 steps of a rate that fell from 2e-3.",
}


def run(full: bool, say: Say) -> Outcome:
    """One M1, since it needs no labels; all else for three random sets of labels."""
    seeds = [0, 1, 2]
    first, second, pixels = FULL if full else SMALL
    below = fit("m1_m2", load("mnist", labelled=LABELS), seed=0, latents=50, say=say, **first.arguments())
    errors: dict[str, list[float]] = {name: [] for name in NAMES}
    for seed in seeds:
        splits = load("mnist", labelled=LABELS, labelled_seed=seed)
        codes = encoded_splits(splits, below, "z")
        upper = fit(
            "m2", codes, seed=seed, alpha=ALPHA, likelihood="gaussian_pixel", hidden=(300,), latents=10,
            say=say, **second.arguments(),
        )  # fmt: skip
        m2 = fit(
            "m2", splits, seed=seed, alpha=ALPHA, hidden=(500,), latents=50, say=say, **pixels.arguments()
        )
        composed = OnLatents(below, "z", upper)  # type: ignore[arg-type]  # m2 is a classifier
        found = {
            "alone": supervised(splits, (500,), "softplus", seed=seed, steps=500, say=say),
            "m1": linear_error(below, splits),
            "m2": error_rate(m2, splits.test).error,
            "m1_m2": error_rate(below, splits.test, classifier=composed).error,
        }
        say(", ".join(f"{NAMES[name]} {100 * value:.2f} %" for name, value in found.items()))
        for name, value in found.items():
            errors[name].append(100 * value)
    figures = [
        Figure(
            f"test error, {NAMES[name]}, %", mean(values),
            f"standard deviation {stdev(values):.2f} over sets of labels", f"published {PUBLISHED[name]}",
        )
        for name, values in errors.items()
    ]  # fmt: skip
    both, pixel, alone = (mean(errors[name]) for name in ("m1_m2", "m2", "alone"))
    better = all(a < b for a, b in zip(errors["m1_m2"], errors["m1"], strict=True))
    checks = [
        Check("M1+M2 errs at most 0.75 times as often as M2 (means)", both <= 0.75 * pixel),
        Check("M1+M2 errs at most half as often as the network (means)", both <= 0.5 * alone),
        Check("M1+M2 errs less than M1 with logistic regression, for every set of labels", better),
        Check("M2 errs less than the network, so that it is a baseline (means)", pixel < alone),
    ]
    if full:
        below_six = max(errors["m1_m2"]) < 6
        checks.append(Check("M1+M2 errs on less than 6 % of the test set, for every set", below_six))
    return Outcome(
        figures, checks, seeds,
        "MNIST, drawn as binary pixels: 55,000 training images of which 100 have a label, 10,000 test images",
        f"M1: 600-600 softplus, 50 latents, {first}; M2 on its latents: 300 softplus, 10 "
        f"latents, {second}; M2 on pixels: 500 softplus, 50 latents, "
        f"{pixels}; alpha {ALPHA}",
        "Class-balanced labels by the seed; one M1, which needs none. The paper trains M2 for 3,000 epochs. "
        + NOTES[full],
    )  # fmt: skip


reproduction = Reproduction(
    claim="With 100 labels of MNIST, M2 on the latents of M1 errs much less than either alone, and than a "
    "network that is trained on the labels.",
    source="D. P. Kingma, D. J. Rezende, S. Mohamed, M. Welling, Semi-Supervised Learning with Deep "
    "Generative Models, NIPS 2014, arXiv 1406.5298, table 1",
    recipes=("m1_m2", "m2"),
    run=run,
    published="test error with 100 labels, %: network 25.8, M1+TSVM 11.8, M2 12.0 (1.7), M1+M2 3.33 (0.14)",
)
