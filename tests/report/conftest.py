"""Small runs of every kind, trained for a few steps: a stand-in with what a report asks of a run."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from vaekit import conditionals as c
from vaekit import recipes
from vaekit.data.arrays import ArrayData
from vaekit.data.batch import Splits
from vaekit.data.spec import Spec
from vaekit.errors import UserError
from vaekit.models import Chain, Classifier
from vaekit.networks import make_decoder, make_encoder

ROWS = [
    {
        "epoch": i + 1,
        "step": 3 * i,
        "train/loss": 20 - i,
        "train/distortion": 18 - i,
        "train/rate": 2.0,
        "valid/loss": 21 - i,
        "valid/distortion": 19 - i,
        "valid/rate": 2.0,
        "valid/elbo": i - 21,
    }
    for i in range(6)
]
EVALUATION = {
    "seed": 0, "n": 40, "of": 40, "split": "test", "elbo": -21.25, "elbo_se": 0.31, "distortion": 18.5,
    "distortion_se": 0.3, "rate": 2.75, "rate_se": 0.05, "nll": 20.5, "nll_se": 0.29, "nll_samples": 5000,
    "nll_median_ess": 812.0, "bits_per_dim": 0.4621, "active_units": 2, "latents": 3,
    "mutual_information": 1.5, "marginal_kl": 1.25, "mutual_information_n": 40,
    "mutual_information_bound": 3.689, "notes": {},
}  # fmt: skip


@dataclass
class StandIn:
    """What `write_report` asks of a run."""

    path: Path
    record: dict
    spec: Spec
    trained: torch.nn.Module
    splits: Splits | None

    def model(self):
        return self.trained

    def generator(self):
        return self.trained

    def data(self):
        if self.splits is None:
            raise UserError("the data at table.csv are gone: put them back")
        return self.splits

    def metrics(self):
        return ROWS

    def classifier(self):
        return self.trained if isinstance(self.trained, Classifier) else None

    def stage(self, name):
        raise UserError(f"{self.path} has no stage {name!r}")


def splits_of(spec, x, **parts):
    def some(rows):
        return ArrayData(spec, x[rows], **{name: value[rows] for name, value in parts.items()})

    return Splits(some(slice(0, 40)), some(slice(40, 60)), some(slice(60, len(x))))


def run_of(path, spec, model, splits, **record):
    whole = {
        "format": 1, "recipe": "vae", "arguments": {"latents": 3, "hidden": [8]}, "seed": 7,
        "status": "finished", "data": {"source": spec.name, "options": {"limit": 100}},
        "training": {"epochs": 6, "batch_size": 20}, "versions": {"torch": "2.13.0"},
        "started": "2025-11-21T14:13:00+00:00", "seconds": 63.2, "best": {"epoch": 5, "value": 17.0},
        "evaluation": EVALUATION,
    } | record  # fmt: skip
    return StandIn(path, whole, spec, model.eval(), splits)


def image_run(path, latents=3, classes=4, **record):
    spec = Spec("blobs", (1, 6, 6), "binary", 40, classes=classes, note="drawn by hand")
    y = torch.arange(100) % 4
    x = (torch.rand(100, 1, 6, 6) < 0.2 + 0.15 * y[:, None, None, None]).float()
    system = recipes.vae(spec, latents=latents, hidden=(8,))
    splits = splits_of(spec, x, **({} if classes is None else {"y": y}))
    for _ in range(3):
        system.procedure.step([splits.train.take(range(40))])
    return run_of(path, spec, system.model, splits, **record)


def table_run(path, columns=("height", "weight", "<b>age</b>"), **record):
    spec = Spec(
        "people", (3,), "real", 40, columns=columns, offset=(170.0, 70.0, 40.0), scale=(10.0, 12.0, 15.0)
    )
    x = torch.randn(100, 3)
    return run_of(path, spec, recipes.vae(spec, latents=3, hidden=(8,)).model, splits_of(spec, x), **record)


def vector_run(path, **record):
    spec = Spec("waves", (30,), "real", 40)
    x = torch.sin(torch.linspace(0, 6, 30) + torch.randn(100, 1))
    return run_of(path, spec, recipes.vae(spec, latents=3, hidden=(8,)).model, splits_of(spec, x), **record)


def conditional_run(path, **record):
    spec = Spec("blobs", (1, 6, 6), "binary", 40, context=(2,))
    x = (torch.rand(100, 1, 6, 6) < 0.5).float()
    model = recipes.cvae(spec, latents=3, hidden=(8,)).model
    return run_of(path, spec, model, splits_of(spec, x, c=torch.randn(100, 2)), **record)


def quadrant_run(path, **record):
    spec = Spec("blobs", (27,), "binary", 40, context=(9,), picture=(1, 6, 6), quadrants=1)
    x, context = (torch.rand(100, 27) < 0.5).float(), (torch.rand(100, 9) < 0.5).float()
    model = recipes.cvae(spec, latents=3, hidden=(8,)).model
    return run_of(path, spec, model, splits_of(spec, x, c=context), **record)


def chain_run(path, **record):
    spec = Spec("blobs", (1, 6, 6), "binary", 40)
    x = (torch.rand(100, 1, 6, 6) < 0.5).float()
    up = c.Gaussian(lambda out: make_encoder("mlp", [(1, 6, 6)], out, (8,)), (4,))
    top = c.Gaussian(lambda out: make_encoder("mlp", [(4,)], out, (8,)), (2,))
    prior = c.Gaussian(lambda out: make_decoder("mlp", [(2,)], out, (8,)), (4,))
    likelihood = c.Bernoulli(lambda out: make_decoder("mlp", [(4,)], out, (8,)), (1, 6, 6))
    model = Chain([up, top], [prior, c.StandardGaussian((2,))], likelihood)
    return run_of(path, spec, model, splits_of(spec, x), **record)


KINDS = {
    "image": image_run,
    "table": table_run,
    "vector": vector_run,
    "conditional": conditional_run,
    "quadrants": quadrant_run,
    "chain": chain_run,
}


class Page(HTMLParser):
    """The parts of a page that the tests look at."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.open = []
        self.text = {}
        self.sections = {}
        self.section = None
        self.feed(text)

    VOID = ("meta", "img", "br", "link", "input")

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.elements.append((tag, found))
        if tag == "section":
            self.section = found.get("id")
            self.sections[self.section] = []
        if self.section is not None:
            self.sections[self.section].append((tag, found))
        if tag not in self.VOID:
            self.open.append((tag, found))

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        name, _ = self.open.pop()
        assert name == tag, f"</{tag}> closes <{name}>"
        if tag == "section":
            self.section = None

    def handle_data(self, data):
        if self.open:
            tag, found = self.open[-1]
            kind = found.get("class", "").split(" ")[0] or tag
            self.text.setdefault((self.section, kind), []).append(data)

    def said(self, section, kind):
        return " ".join(self.text.get((section, kind), []))


@pytest.fixture
def page():
    return Page


@pytest.fixture
def make_run(tmp_path):
    """(kind, **record) -> a stand-in for a run of that kind."""

    def make(kind, **options):
        return KINDS[kind](tmp_path, **options)

    return make


@pytest.fixture
def rows():
    return [dict(row) for row in ROWS]


@pytest.fixture
def evaluation():
    return dict(EVALUATION)
