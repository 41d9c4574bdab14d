"""Attribute vectors: exact means of latents, edits that show them, and refusals."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vaekit import conditionals as c
from vaekit import recipes
from vaekit.attributes import attribute_vector, edit
from vaekit.data.arrays import ArrayData
from vaekit.data.spec import Spec
from vaekit.errors import UnsupportedError
from vaekit.models import Chain, Flat


class Table(nn.Module):
    """A linear map without noise to speak of."""

    def __init__(self, output, scale):
        super().__init__()
        self.output, self.scale = output, scale

    def forward(self, x):
        return (
            torch.cat([self.scale * x, torch.full_like(x, -8.0)], -1) if self.output == 4 else x / self.scale
        )


def labelled(n=601, **changes):
    generator = torch.Generator().manual_seed(2)
    y = torch.randint(3, (n,), generator=generator)
    x = torch.randn(n, 2, generator=generator) + torch.tensor([[0.0, 0], [3, 0], [0, 5]])[y]
    return ArrayData(Spec("toy", (2,), "real", n, classes=3, **changes), x, y)


def model():
    return Flat(
        c.Gaussian(lambda output: Table(output[0], 2.0), (2,)),
        c.StandardGaussian((2,)),
        c.FixedGaussian(lambda output: Table(2, 2.0), (2,)),
    ).eval()


def test_the_vector_is_the_difference_of_means_over_all_batches():
    data = labelled()  # two batches, the second much smaller
    found = attribute_vector(model(), data, lambda batch: batch["y"] == 1)
    expected = 2 * (data.x[data.y == 1].mean(0) - data.x[data.y != 1].mean(0))
    assert found.keys() == {"z"}
    torch.testing.assert_close(found["z"], expected)


def test_an_edit_moves_the_reconstruction_by_the_vector():
    data = labelled()
    batch = data.take([0, 1, 2, 3])
    vector = {"z": torch.tensor([4.0, -2.0])}
    torch.testing.assert_close(edit(model(), batch, vector).mean, batch["x"] + torch.tensor([2.0, -1.0]))
    back = edit(model(), batch, vector, strength=-0.5).mean
    torch.testing.assert_close(back, batch["x"] - torch.tensor([1.0, -0.5]))
    torch.testing.assert_close(edit(model(), batch, {}).mean, batch["x"])


def test_a_limit_looks_at_fewer(monkeypatch):
    data, seen = labelled(), []

    def has(batch):
        seen.append(len(batch["x"]))
        return batch["y"] == 0

    attribute_vector(model(), data, has, limit=100)
    assert sum(seen) == 100


def test_mode_and_random_stream_are_left_alone():
    made = model().train()
    before = torch.get_rng_state()
    attribute_vector(made, labelled(), lambda batch: batch["y"] == 1)
    assert made.training
    assert torch.equal(torch.get_rng_state(), before)


def test_several_latents_and_conditions():
    def net(*inputs):
        from vaekit.networks import MLP

        return lambda output: MLP([(n,) for n in inputs], output, hidden=(5,))

    chain = Chain(
        [c.Gaussian(net(2), (3,)), c.Gaussian(net(3), (2,))],
        [c.Gaussian(net(2), (3,)), c.StandardGaussian((2,))],
        c.FixedGaussian(net(3), (2,)),
    ).eval()
    data = labelled()
    vector = attribute_vector(chain, data, lambda batch: batch["y"] == 1)
    assert {name: tuple(value.shape) for name, value in vector.items()} == {"z1": (3,), "z2": (2,)}
    batch = data.take([0, 1])
    whole, part = edit(chain, batch, vector).mean, edit(chain, batch, {"z2": vector["z2"]}).mean
    assert not torch.equal(whole, part)
    spec = Spec("toy", (1, 4, 4), "unit", 20, classes=3, context=(3,))
    conditional = recipes.cvae_gan(spec, latents=2, hidden=(8,)).model.eval()
    y = torch.arange(20) % 3
    labels = nn.functional.one_hot(y, 3).float()
    pictures = ArrayData(spec, torch.rand(20, 1, 4, 4), y, labels)
    bright = attribute_vector(conditional, pictures, lambda batch: batch["x"].mean((1, 2, 3)) > 0.5)
    made = edit(conditional, pictures.take([0, 1, 2]), bright).mean
    assert made.shape == (3, 1, 4, 4)
    assert not made.requires_grad


@pytest.mark.parametrize(
    ("has", "kind", "message"),
    [
        (lambda batch: batch["y"], TypeError, r"`has` returned torch.int64; expected truth values"),
        (lambda batch: batch["x"] > 0, ValueError, r"returned shape \(500, 2\); expected \(500,\)"),
        (lambda batch: batch["y"] >= 0, ValueError, "601 data have the attribute and 0 have not"),
        (lambda batch: batch["y"] > 9, ValueError, "0 data have the attribute and 601 have not"),
    ],
)
def test_questions_without_an_answer_are_refused(has, kind, message):
    with pytest.raises(kind, match=message):
        attribute_vector(model(), labelled(), has)


def test_vectors_that_do_not_fit_are_refused():
    batch = labelled().take([0])
    with pytest.raises(ValueError, match="moves 'w'; the model has the latents z"):
        edit(model(), batch, {"w": torch.zeros(2)})
    with pytest.raises(ValueError, match=r"by shape \(3,\); expected \(2,\)"):
        edit(model(), batch, {"z": torch.zeros(3)})


def test_codes_have_no_mean():
    made = model()
    made.encode = lambda batch: {"z": torch.zeros(len(batch["x"]), 4, 4, dtype=torch.int64)}
    with pytest.raises(UnsupportedError, match="'z' holds codes of a codebook"):
        attribute_vector(made, labelled(), lambda batch: batch["y"] == 1)
    with pytest.raises(UnsupportedError, match="'z' holds codes of a codebook"):
        edit(made, labelled().take([0]), {"z": torch.zeros(4, 4)})
