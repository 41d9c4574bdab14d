"""Sprites that are drawn when asked for, and the laws of what is drawn beside the factors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from vaekit.data import dsprites_images
from vaekit.data.dsprites import COUNT, index_of
from vaekit.data.sprites import Sprites, SpriteVariant, scream_picture
from vaekit.errors import UserError


@pytest.fixture(scope="module")
def sprites():
    return Sprites()


def points(n=200, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, COUNT, n))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_images_are_those_of_their_number_however_they_are_asked_for(sprites):
    index = points()
    expected = torch.from_numpy(dsprites_images(index.numpy())).float()[:, None]
    assert torch.equal(sprites.at(index), expected)
    assert torch.equal(sprites.at(torch.cat((index, index[:3])))[-3:], expected[:3])  # kept, and repeated
    factors = sprites.grid.factors_of(index)
    assert (index_of(factors.numpy()) == index.numpy()).all()
    assert torch.equal(sprites.data_of(factors), expected)
    assert torch.equal(sprites.at(index[:0]), expected[:0])


def test_a_value_that_a_factor_does_not_have_is_refused(sprites):
    for wrong in ([0, 0, 0, 0, 32], [3, 0, 0, 0, 0], [0, 0, -1, 0, 0]):
        with pytest.raises(IndexError, match=r"expected 0\.\."):
            sprites.data_of(torch.tensor([[0, 0, 0, 0, 31], wrong]))
    for factors in (torch.zeros(2, 4, dtype=torch.long), torch.zeros(2, 5)):
        with pytest.raises(TypeError, match=r"\(N, 5\)"):
            sprites.data_of(factors)


def test_the_first_and_the_last_orientation_are_one_image(sprites):
    factors = sprites.grid.factors_of(points(300))
    factors[:, 2] = 0
    first = sprites.data_of(factors)
    factors[:, 2] = 39
    assert torch.equal(first, sprites.data_of(factors))
    assert "0 and 39 are the same image" in sprites.spec.note


def test_colour_lies_on_the_sprite_alone_and_is_uniform_from_one_half(sprites):
    data, index = SpriteVariant(sprites, "colour"), points(600)
    x, s = data.at(index, seeded()), sprites.at(index)
    assert x.shape == (600, 3, 64, 64)
    assert (x[(s == 0).expand_as(x)] == 0).all()
    colour = x.amax((2, 3))
    assert torch.equal(x, s * colour[:, :, None, None])  # one colour an image
    assert 0.5 <= float(colour.min()) < 0.502
    assert 0.998 < float(colour.max()) <= 1
    ordered = colour.flatten().sort().values
    uniform = torch.linspace(0.5, 1, len(ordered))
    assert float((ordered - uniform).abs().max()) < 0.5 * 1.63 / len(ordered) ** 0.5  # Kolmogorov, 1 %
    assert float(torch.corrcoef(colour.T).triu(1).abs().max()) < 0.15


def test_noise_is_uniform_around_the_sprite_and_saturates_on_it(sprites):
    data, index = SpriteVariant(sprites, "noise"), points(50)
    x, s = data.at(index, seeded()), sprites.at(index).expand(-1, 3, -1, -1)
    assert (x[s == 1] == 1).all()
    noise = x[s == 0].sort().values
    uniform = torch.linspace(0, 1, len(noise))
    assert float((noise - uniform).abs().max()) < 1.63 / len(noise) ** 0.5
    channels = x.masked_select(s == 0).view(-1)
    assert len(channels.unique()) > 0.9 * len(channels)  # each pixel and channel has its own


@pytest.fixture
def picture(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (80, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "scream.png")
    return tmp_path / "scream.png", torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def test_the_background_is_a_part_of_the_picture_and_the_sprite_inverts_it(sprites, picture):
    path, pixels = picture
    data, index = SpriteVariant(sprites, "scream", scream_picture(path)), points(400)
    x, s = data.at(index, seeded(3)), sprites.at(index)
    background = torch.where(s == 1, 1 - x, x)
    corners = set()
    for image in background[:40]:
        found = []
        for row in range(16):  # H - 64: the last crop is never seen
            for column in range(6):
                colour = 2 * image - pixels[:, row : row + 64, column : column + 64]
                spread = colour.amax((1, 2)) - colour.amin((1, 2))
                if spread.max() < 1e-5:
                    found.append((row, column))
                    assert colour.min() >= 0
                    assert colour.max() <= 1
        assert len(found) == 1
        corners.add(found[0])
    assert len({row for row, _ in corners}) > 8
    assert len({column for _, column in corners}) == 6


def test_a_large_picture_is_made_to_fit(tmp_path):
    Image.new("RGB", (700, 1096), (255, 0, 128)).save(tmp_path / "large.jpg")
    found = scream_picture(tmp_path / "large.jpg")
    assert found.shape == (3, 274, 175)
    assert found[1].max() < 0.02
    assert found[0].min() > 0.98


def test_pictures_that_cannot_serve(tmp_path, sprites):
    Image.new("RGB", (64, 200)).save(tmp_path / "narrow.png")
    with pytest.raises(UserError, match=r"narrow.png is 64x200 .* more than 64"):
        scream_picture(tmp_path / "narrow.png")
    (tmp_path / "scream.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    with pytest.raises(UserError, match="no picture"):
        scream_picture(tmp_path / "scream.jpg")
    with pytest.raises(ValueError, match="`picture` is for"):
        SpriteVariant(sprites, "scream")
    with pytest.raises(ValueError, match="`picture` is for"):
        SpriteVariant(sprites, "noise", torch.zeros(3, 100, 100))
    with pytest.raises(ValueError, match="more than 64"):
        SpriteVariant(sprites, "scream", torch.zeros(3, 100, 64))


@pytest.mark.parametrize("manner", ["colour", "noise"])
def test_what_is_drawn_follows_its_generator_and_nothing_else(sprites, manner):
    data, index = SpriteVariant(sprites, manner), points(5)
    state = torch.get_rng_state()
    assert torch.equal(data.at(index, seeded(1)), data.at(index, seeded(1)))
    assert not torch.equal(data.at(index, seeded(1)), data.at(index, seeded(2)))
    assert torch.equal(state, torch.get_rng_state())
    assert data.noisy
    with pytest.raises(ValueError, match="give the `generator`"):
        data.at(index)
    first, second = data.pairs(50, torch.tensor([True, False, False, True, False]), seeded())
    assert torch.equal(first["factors"][:, [0, 3]], second["factors"][:, [0, 3]])
    assert not torch.equal(first["factors"], second["factors"])
