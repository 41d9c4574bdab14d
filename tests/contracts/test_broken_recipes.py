"""Recipes that are broken in the ways that shipped elsewhere: the contract sees each of them."""

from __future__ import annotations

import pytest
import torch

from vaekit import wiring
from vaekit.data.spec import Spec
from vaekit.distributions import DiagonalNormal
from vaekit.models import Flat
from vaekit.objective import Judged, Objective, elbo
from vaekit.procedures import Player, Simultaneous
from vaekit.system import System, recipe
from vaekit.terms import Distortion, Rate
from vaekit.testing import batch_for, check_density, check_knobs, check_recipe

SPEC = Spec("numbers", (6,), "real", 40)


def flat(spec, latents=2, model=Flat):
    return model(
        wiring.make_posterior("diagonal", wiring.encoder_of(spec, "mlp", (5,)), latents),
        wiring.make_prior("learned", latents),
        wiring.make_likelihood("gaussian", spec, wiring.decoder_of(spec, "mlp", (5,), [latents])),
    )


def wire(model, objective, procedure=Simultaneous, moves=None, samples=None):
    player = Player("vae", [model] if moves is None else moves, objective, wiring.adam(1e-2))
    return System(model, procedure(model, [player], samples))


@recipe
def sound(spec: Spec, *, beta: float = 2.0, latents: int = 2) -> System:
    return wire(flat(spec, latents), elbo(beta))


def test_a_sound_recipe_passes_and_all_its_knobs_are_alive():
    assert check_recipe(sound, SPEC) == {"beta", "latents"}


@recipe
def dead(spec: Spec, *, beta: float = 2.0) -> System:
    """Beta is stored and never used."""
    return wire(flat(spec), elbo())


def unrecorded(spec: Spec, *, beta: float = 2.0) -> System:
    """No decorator: the call is not recorded."""
    return wire(flat(spec), elbo(beta))


class Mean:
    """Per-pixel mean."""

    def __call__(self, trace):
        return Distortion()(trace) / trace.batch["x"].shape[-1]


@recipe
def averaged(spec: Spec) -> System:
    return wire(flat(spec), Objective({"distortion": (1.0, Mean()), "rate": (1.0, Rate())}))


@recipe
def frozen(spec: Spec) -> System:
    """The prior belongs to nobody."""
    model = flat(spec)
    return wire(model, elbo(), moves=[model.posteriors, model.likelihood])


class Leaking(Simultaneous):
    """The forgotten detach: gradients reach everybody."""

    def judge(self, player, trace, share, keep):
        total, values = player.objective(trace)
        (total * share).backward(retain_graph=keep)
        return {f"{player.name}/{name}": value for name, value in values.items()}


@recipe
def leaking(spec: Spec) -> System:
    model = flat(spec)
    players = [
        Player("encoder", [model.posteriors, model.priors], elbo(), wiring.adam(1e-2)),
        Player("decoder", [model.likelihood], elbo(), wiring.adam(1e-2)),
    ]
    return System(model, Leaking(model, players))


class Moving(Simultaneous):
    """One player's step moves another's parameters."""

    def _play(self, batches, manner):
        values = super()._play(batches, manner)
        with torch.no_grad():
            self.model.priors[0].mean.add_(0.1)
        return values


@recipe
def moving(spec: Spec) -> System:
    model = flat(spec)
    players = [
        Player("prior", [model.priors], elbo(), wiring.adam(1e-2)),
        Player("others", [model.posteriors, model.likelihood], elbo(), wiring.adam(1e-2)),
    ]
    return System(model, Moving(model, players))


class Deaf(Flat):
    """The number of samples is ignored."""

    def forward(self, batch, samples=None, branches=()):
        return super().forward(batch, None if samples is None else 2, branches)


@recipe
def deaf(spec: Spec) -> System:
    return wire(flat(spec, model=Deaf), elbo())


class Unlisted(Objective):
    """Something is in the loss that no name shows."""

    def forward(self, trace):
        total, values = super().forward(trace)
        return Judged(total + 1, values)


@recipe
def unlisted(spec: Spec) -> System:
    return wire(flat(spec), Unlisted({"distortion": (1.0, Distortion()), "rate": (1.0, Rate())}))


class Centred:
    """Depends on the batch and does not say so."""

    def __call__(self, trace):
        values = Distortion()(trace)
        return values.sum() / 7 + 0 * values


@recipe
def coupled(spec: Spec) -> System:
    return wire(
        flat(spec),
        Objective({"distortion": (1.0, Distortion()), "centred": (1.0, Centred()), "rate": (1.0, Rate())}),
    )


class Standardised:
    """Divides by the spread of the batch."""

    couples_batch = True

    def __call__(self, trace):
        values = Distortion()(trace)
        return values.mean() / values.var(correction=0).sqrt()


@recipe
def fragile(spec: Spec) -> System:
    return wire(
        flat(spec),
        Objective(
            {"distortion": (1.0, Distortion()), "spread": (1.0, Standardised()), "rate": (1.0, Rate())}
        ),
    )


class Remembering(Flat):
    """State outside of the state dict."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self.shift = torch.zeros(())

    def forward(self, batch, samples=None, branches=()):
        return super().forward({**batch, "x": batch["x"] + self.shift}, samples, branches)

    def after_step(self):
        self.shift = self.shift + 0.5


@recipe
def remembering(spec: Spec) -> System:
    return wire(flat(spec, model=Remembering), elbo())


class Single(Rate):
    """float32 in the middle."""

    def __call__(self, trace):
        return super().__call__(trace).float()


@recipe
def single(spec: Spec) -> System:
    return wire(flat(spec), Objective({"rate": (1.0, Single()), "zero": (0.0, Mean32())}))


class Mean32:
    def __call__(self, trace):
        return Distortion()(trace).float()


class Noisy(Flat):
    """Encoding draws."""

    def encode(self, batch, sample=False):
        return super().encode(batch, sample=True)


@recipe
def noisy(spec: Spec) -> System:
    return wire(flat(spec, model=Noisy), elbo())


class Signed(Flat):
    def forward(self, batch, samples=None, branches=()):
        trace = super().forward(batch, samples, branches)
        latent = trace.latents["z"]
        trace.latents["z"] = type(latent)(latent.value, latent.p, latent.q)
        return trace


@recipe
def signed(spec: Spec) -> System:
    """KL with its arguments swapped, estimated at draws of the posterior."""
    return wire(flat(spec, model=Signed), elbo(rate=Rate("sample")))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (dead, "dead knob"),
        (unrecorded, "@recipe"),
        (averaged, "twice the value"),
        (frozen, "no player"),
        (leaking, "leaves a gradient"),
        (moving, "moves"),
        (deaf, "samples=3"),
        (unlisted, "its terms"),
        (coupled, "repeated"),
        (fragile, "batch of one"),
        (remembering, "state dicts"),
        (single, "float32"),
        (noisy, "deterministic"),
        (signed, "below zero"),
    ],
)
def test_the_contract_sees_what_is_broken(broken, words):
    with pytest.raises(AssertionError, match=words):
        check_recipe(broken, SPEC)


@recipe
def strings(spec: Spec, *, title: str = "a") -> System:
    return wire(flat(spec), elbo())


def test_alternatives_that_do_not_follow_are_asked_for():
    with pytest.raises(AssertionError, match="alternatives"):
        check_knobs(strings, SPEC)
    with pytest.raises(AssertionError, match="dead knob"):
        check_knobs(strings, SPEC, alternatives={"title": ["b"]})
    with pytest.raises(AssertionError, match="no argument"):
        check_knobs(sound, SPEC, alternatives={"gamma": [1.0]})


def test_batches_are_of_their_kind():
    for kind, extra in (
        ("binary", {}),
        ("unit", {"levels": 4}),
        ("unit", {}),
        ("real", {}),
        ("count", {}),
        ("categorical", {"levels": 3}),
    ):
        spec = Spec("made up", (2, 3), kind, 9, classes=2, context=(4,), **extra)
        batch = batch_for(spec, 50)
        assert batch["x"].shape == (50, 2, 3)
        assert batch["c"].shape == (50, 4)
        assert set(batch["y"].tolist()) == {0, 1}
        if kind == "binary":
            assert set(batch["x"].unique().tolist()) == {0, 1}
        if "levels" in extra:
            assert len(batch["x"].unique()) == extra["levels"]
        if kind == "unit":
            assert 0 <= batch["x"].min() < batch["x"].max() <= 1
        assert torch.equal(batch["x"], batch_for(spec, 50)["x"])
        assert not torch.equal(batch["x"], batch_for(spec, 50, seed=1)["x"])


class Unnormalised(DiagonalNormal):
    def log_prob(self, value):
        return super().log_prob(value) + 0.01


def test_a_density_that_does_not_integrate_to_one_is_seen():
    zero = torch.zeros(2, 1).double()
    check_density(DiagonalNormal(zero, zero))
    with pytest.raises(AssertionError, match="sums to one only within"):
        check_density(Unnormalised(zero, zero))
    with pytest.raises(AssertionError, match="one element"):
        check_density(DiagonalNormal(torch.zeros(2, 3), torch.zeros(2, 3)))
