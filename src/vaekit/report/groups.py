"""What the latents know of classes: neighbours, a linear reader, clusters, and what a classifier confuses."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vaekit.data.batch import Data
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Classifier, without_withheld
from vaekit.models.columns import columns_of
from vaekit.report.codes import Codes, evenly, take
from vaekit.report.heat import heat
from vaekit.report.look import Array, label_text
from vaekit.report.parts import Figure, Picture, Table

NEIGHBOURS = 5
_TRAINING = 5000
_WIDE = 40  # latents: beyond it the clusters are fitted with diagonal covariances
_FITS = 400  # latents: beyond it nothing is fitted
_MATRIX = 20  # classes


@dataclass(frozen=True)
class Labelled:
    """Codes with known classes, to learn from and to be asked about.

    Args:
        train, train_y: (N, K) and (N,).
        test, test_y: (M, K) and (M,), of held-out data.
        x, test_x: the same data themselves, (N, D) and (M, D).
    """

    train: Array
    train_y: Array
    test: Array
    test_y: Array
    x: Array
    test_x: Array


@torch.no_grad()
def labelled(codes: Codes, train: Data) -> Labelled:
    """Posterior means of training and held-out data whose class is known; latents that are labels left out.

    Raises:
        UnsupportedError: if there are not two classes in either.
    """
    y = codes.batch.get("y")
    if y is None or y.dim() != 1:
        raise UnsupportedError("the data have no classes")
    columns = _columns(codes)
    rows = evenly(len(train), _TRAINING)
    parts, labels, xs = [], [], []
    for piece in rows.split(500):
        batch = take(train, piece, codes.model)
        known = batch["y"] >= 0
        means = codes.model.encode(without_withheld(codes.model, batch))
        flat = torch.cat([value.flatten(1).float() for value in means.values()], 1)
        parts.append(flat[known][:, columns])
        labels.append(batch["y"][known])
        xs.append(batch["x"][known].flatten(1).float())
    asked = y >= 0
    found = [
        torch.cat(parts), torch.cat(labels), codes.means[asked][:, columns], y[asked], torch.cat(xs),
        codes.batch["x"][asked].flatten(1).float(),
    ]  # fmt: skip
    made = Labelled(*(value.cpu().numpy() for value in found))
    for which, values in (("training", made.train_y), ("held-out", made.test_y)):
        if len(np.unique(values)) < 2:
            raise UnsupportedError(f"the labelled {which} data are not of two classes or more")
    return made


def _columns(codes: Codes) -> list[int]:
    """Columns of what is no label."""
    each = columns_of(codes.shapes)
    return [
        column for name, columns in each.items() if name not in codes.model.withheld for column in columns
    ]


def neighbour_classes(train: Array, train_y: Array, test: Array, k: int = NEIGHBOURS) -> Array:
    """The most frequent class among the k nearest rows of `train`; the smallest one of a tie: (M,)."""
    from sklearn.neighbors import KNeighborsClassifier

    reader = KNeighborsClassifier(n_neighbors=min(k, len(train)), algorithm="brute").fit(train, train_y)
    return np.asarray(reader.predict(test))


def share_right(told: Array, truth: Array) -> tuple[float, float]:
    """Accuracy and its standard error over the data, sqrt(a (1 - a) / n)."""
    right = float((told == truth).mean())
    return right, math.sqrt(right * (1 - right) / len(truth))


def linear_classes(train: Array, train_y: Array, test: Array) -> Array:
    """Logistic regression on standardised codes: (M,)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    middle, spread = train.mean(0), train.std(0)
    spread = np.where(spread > 0, spread, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough for a figure
        reader = LogisticRegression(max_iter=200).fit((train - middle) / spread, train_y)
    return np.asarray(reader.predict((test - middle) / spread))


def clusters(train: Array, test: Array, count: int) -> Array:
    """Components of a Gaussian mixture fitted to codes without their labels: (M,)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    shape = "full" if train.shape[1] <= _WIDE else "diag"
    mixture = GaussianMixture(count, covariance_type=shape, reg_covar=1e-4, n_init=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(train.astype(np.float64))
    return np.asarray(mixture.predict(test.astype(np.float64)))


def classes(codes: Codes, spec: Spec, train: Data, held: str) -> Figure:
    """How well the codes tell the classes, by three readers, beside the data themselves."""
    found = labelled(codes, train)
    if not found.train.shape[1] or found.train.shape[1] > _FITS:
        raise UnsupportedError(f"there are {found.train.shape[1]} latents to read classes from")
    rows = [
        _accuracy(
            f"{NEIGHBOURS} nearest neighbours", neighbour_classes(found.train, found.train_y, found.test),
            found.test_y, "Whether codes that lie close together are of one class.",
        ),
        _accuracy(
            "the same, of the data", neighbour_classes(found.x, found.train_y, found.test_x), found.test_y,
            "The same question without a model: what the latents gain or lose.",
        ),
        _accuracy(
            "logistic regression", linear_classes(found.train, found.train_y, found.test), found.test_y,
            "Whether straight cuts through the latents part the classes.",
        ),
    ]  # fmt: skip
    values, counts = np.unique(found.train_y, return_counts=True)
    rows.append(
        _accuracy(
            "always the commonest class", np.full_like(found.test_y, values[counts.argmax()]), found.test_y,
            "What is right without looking.",
        )
    )  # fmt: skip
    every = int(spec.classes or len(values))
    note = ""
    if len(found.train) >= 10 * every:
        from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

        told = clusters(found.train, found.test, every)
        rand, information = (
            float(measure(found.test_y, told))
            for measure in (adjusted_rand_score, normalized_mutual_info_score)
        )
        rows += [
            ("clusters: adjusted Rand index", f"{rand:.3f}", f"A mixture of {every} Gaussians, fitted to the "
             "codes without labels, held against the classes: 0 is chance, 1 the same groups."),
            ("clusters: mutual information", f"{information:.3f}", "The same by normalised mutual "
             "information, from 0 to 1."),
        ]  # fmt: skip
    else:
        note = f" No clusters: {len(found.train)} labelled data are too few for a mixture of {every} parts."
    share = len(found.train_y) / len(train)
    known = "" if share == 1 else " whose class is known"
    return Figure(
        key="classes",
        title="Do the latents know the classes?",
        how="The model never had to tell these classes apart: where its codes do, it found by itself what "
        "people named."
        if not isinstance(codes.model, Classifier)
        else "What the latents beside the label say of the class: a model that is told the label may keep "
        "its other latents for style, and then they know little of it.",
        tables=(Table(("reader", "right", "what it asks"), tuple(rows), texts=True),),
        caption=f"Posterior means; learnt from {len(found.train_y)} training data{known}, asked about "
        f"{len(found.test_y)} {held} data, ± standard error.{note}",
    )


def _accuracy(name: str, told: Array, truth: Array, how: str) -> tuple[str, str, str]:
    right, error = share_right(told, truth)
    if right in (0, 1):  # the formula would say that this is certain
        return name, f"{'all' if right else 'none'} of {len(truth)}", how
    return name, f"{100 * right:.1f} ± {100 * error:.1f} %", how


@torch.no_grad()
def confusion(told: Tensor, truth: Tensor, count: int) -> Array:
    """How often class i is taken for class j, as a share of class i: (count, count).

    Data whose label is unknown, -1, are left out.
    """
    known = truth >= 0
    pairs = truth[known] * count + told[known]
    counts = torch.bincount(pairs.cpu(), minlength=count * count).view(count, count).double()
    return np.asarray((counts / counts.sum(1, keepdim=True).clamp_min(1)).numpy())


@torch.no_grad()
def confusions(codes: Codes, spec: Spec, classifier: Classifier, held: str) -> Figure:
    """What the model's own classifier takes for what."""
    y = codes.batch.get("y")
    if y is None or y.dim() != 1 or not bool((y >= 0).any()):
        raise UnsupportedError("the data have no labels to compare with")
    told = classifier.classify(without_withheld(codes.model, codes.batch)).argmax(-1)
    count = classifier.classes
    shares = confusion(told, y, count)
    names = [label_text(name, 12) for name in spec.class_labels(count)]
    right, error = share_right(told[y >= 0].cpu().numpy(), y[y >= 0].cpu().numpy())
    apart = shares * (1 - np.eye(count))
    i, j = divmod(int(apart.argmax()), count)
    worst = (
        f" Most often {names[i]} is taken for {names[j]}: {100 * apart[i, j]:.0f} % of them."
        if apart[i, j] > 0
        else ""
    )
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    if count <= _MATRIX:
        alt = f"A matrix of {count} classes, what they are against what they are told to be.{worst}"
        text: Callable[[float], str] = lambda v: f"{100 * v:.0f}" if v >= 0.005 else ""  # noqa: E731
        pictures = (heat("confusion", shares, names, names, alt, text=text, top=1.0, axes=("told, %", "is")),)
    else:
        order = np.argsort(-apart.reshape(-1), kind="stable")[:10]
        tables = (
            Table(
                ("is", "told", "share"),
                tuple(
                    (names[k // count], names[k % count], f"{100 * apart.reshape(-1)[k]:.0f} %")
                    for k in order
                ),
                label="the ten commonest mistakes",
            ),
        )
    return Figure(
        key="confusion",
        title="What the classifier confuses",
        how="Each row is a class, each cell the share of it that is told to be the class of the column: "
        "what stands off the diagonal is a mistake.",
        pictures=pictures,
        tables=tables,
        caption=f"The model's own classifier, on {int((y >= 0).sum())} {held} data with labels.",
        found=f"{100 * right:.1f} ± {100 * error:.1f} % are told right.{worst}",
    )
