"""Labels that are sometimes known: every class is tried, and the known ones are told."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, one_hot, softplus

from benchmarks.cases import Case
from benchmarks.loops.elbo import vae
from benchmarks.minimal import ACTIVATIONS, Batch, Map, Step, draw, encoder_of, one_player
from vaekit.networks import MLP
from vaekit.system import System

CLASSES, LABELLED = 10, 600


def with_every_class(network: MLP) -> Map:
    """(..., n) -> (classes, ..., outputs): the columns of the first weight that belong to y are added."""
    first, *rest = [*network.hidden, network.output_layer]
    activate = ACTIVATIONS[network.activation]()

    def run(x: Tensor) -> Tensor:
        weight: Any = first.weight
        n = x.shape[-1]
        h = linear(x, weight[:, :n], first.bias) + weight[:, n:].T.unsqueeze(1)
        for layer in rest:
            h = layer(activate(h))
        return h

    return run


def m2(system: System) -> Step:
    model: Any = system.model
    classify = encoder_of(model.classifier.network)
    encode = with_every_class(model.model.posteriors[0].network)
    decode = with_every_class(model.model.likelihood.network)
    weight = system.call["arguments"]["alpha"] * 60_000 / LABELLED

    def loss(batch: Batch) -> Tensor:
        x, y = batch["x"].flatten(1), batch["y"]
        table = classify(x).log_softmax(1)
        known = (y >= 0).unsqueeze(1)
        label = one_hot(y.clamp_min(0), CLASSES) * known
        q = torch.where(known, label, table.exp())
        guessed = (torch.where(known, 0.0, table) * q).sum()  # minus the entropy
        z, mean, log_std = draw(encode(x))
        rate = 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1)
        logits = decode(z)
        crossed = softplus(logits).sum(-1) - (logits * x).sum(-1)
        bound = (q.T * (crossed + rate)).sum() + guessed - weight * (table * label).sum()
        return bound / len(x) + math.log(CLASSES)

    return one_player(system, loss)


def some_known(batch: Batch) -> Batch:
    rows = torch.arange(len(batch["x"]))
    return {**batch, "y": torch.where(rows % 4 == 0, rows % CLASSES, -1)}


LABELS = {"classes": CLASSES, "labelled": LABELLED}

LOOPS = {"m1_m2": vae, "m2": m2}

CASES = {
    "m1_m2": Case(spec=LABELS, more=some_known),
    "m2": Case(spec=LABELS, more=some_known, dense=True),
}
