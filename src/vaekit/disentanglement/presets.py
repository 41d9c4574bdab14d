"""The choices behind every score, by name.

`locatello2019` is the protocol of Locatello et al. 2019 and of the library that came with it; `modern`
differs from it only where there is a reason, and everything is listed in `docs/disentanglement.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, final, get_args

from vaekit.checks import known, number, whole
from vaekit.disentanglement.learners import Boosted, Logistic
from vaekit.disentanglement.sap import Machine
from vaekit.errors import nearest

PresetName = Literal["modern", "locatello2019"]


@final
@dataclass(frozen=True)
class Preset:
    """All choices that move a score. `dataclasses.replace` changes some, and the scores then say so.

    Args:
        name: what it is called.
        logistic: the linear classifier of the BetaVAE score, of explicitness and of the downstream task:
            "one_versus_rest" by liblinear on features as they are, or "multinomial" on standardised ones.
        boosted: the trees of DCI and of the downstream task: "exact" splits (scikit-learn's
            GradientBoostingClassifier), or "histogram" ones.
        machine: the one-dimensional support vector machines of SAP: by "liblinear", or "exact".
        tuned: whether the downstream linear classifier chooses its penalty by 5-fold cross-validation.
        dead: latents whose standard deviation over the points is below it are dropped from every score; 0
            keeps all. The unit is that of the prior N(0, I).
        binned_factors: whether IRS puts the factor values into bins too.
        train: points of training, votes of training, and points of scores without a test.
        test: points, and votes, of testing.
        batch: pairs, and points, behind one point of the BetaVAE score and one vote of the FactorVAE score.
        bins: equal-width bins of a code, between its smallest and its largest value.
        prune: latents whose standard deviation is below it have no vote in the FactorVAE score.
        labels: numbers of labelled points of the downstream task.

    Raises:
        ValueError: for a choice that there is not.
    """

    name: str
    logistic: Logistic
    boosted: Boosted
    machine: Machine
    tuned: bool
    dead: float
    binned_factors: bool
    train: int = 10_000
    test: int = 5_000
    batch: int = 64
    bins: int = 20
    prune: float = 0.05
    labels: tuple[int, ...] = (10, 100, 1_000, 10_000)

    def __post_init__(self) -> None:
        for name, least in (("train", 2), ("test", 1), ("batch", 2), ("bins", 2)):
            whole(name, getattr(self, name), least)
        for count in self.labels:
            whole("labels", count, 2)
        if self.tuned and self.logistic == "multinomial":
            raise ValueError("`tuned` is for `logistic` = 'one_versus_rest'; got 'multinomial'")
        if not self.labels or min(self.labels) > self.train:
            raise ValueError(f"`labels` is {self.labels}; expected one of at most `train` = {self.train}")
        number("dead", self.dead, least=0)
        number("prune", self.prune, least=0)
        for name, offer in (("logistic", Logistic), ("boosted", Boosted), ("machine", Machine)):
            known(name, getattr(self, name), offer)

    def __str__(self) -> str:
        published = PRESETS.get(self.name)
        if published is None:
            return self.name
        changed = [
            f"{f.name} {getattr(self, f.name)}"
            for f in fields(self)
            if getattr(self, f.name) != getattr(published, f.name)
        ]
        return f"{self.name} but {', '.join(changed)}" if changed else self.name

    @property
    def sizes(self) -> dict[str, int]:
        """How many points every score is made from."""
        return {"train": self.train, "test": self.test, "batch": self.batch}


PRESETS: dict[str, Preset] = {
    "modern": Preset(
        "modern",
        logistic="multinomial",
        boosted="histogram",
        machine="exact",
        tuned=False,
        dead=0.05,
        binned_factors=False,
    ),
    "locatello2019": Preset(
        "locatello2019",
        logistic="one_versus_rest",
        boosted="exact",
        machine="liblinear",
        tuned=True,
        dead=0.0,
        binned_factors=True,
    ),
}


def preset_of(preset: str | Preset) -> Preset:
    """A preset by its name, or the given one.

    Raises:
        ValueError: for a name that there is not.
    """
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise ValueError(f"`preset` is {preset!r}{nearest(str(preset), list(get_args(PresetName)))}")
    return PRESETS[preset]
