from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from vaekit.pictures import grid, png


def test_pictures_stand_row_by_row_on_white():
    pictures = torch.stack([torch.full((3, 60, 50), value) for value in (0.0, 0.5, 1.5)])
    pictures[0, 1] = 1.0
    whole = grid(pictures, columns=2)
    assert whole.shape == (3, 2 * 62 + 2, 2 * 52 + 2)
    assert whole[:, 30, 20].tolist() == [0, 255, 0]
    assert whole[:, 30, 72].tolist() == [128, 128, 128]
    assert whole[:, 90, 20].tolist() == [255, 255, 255]  # clipped
    assert (whole[:, 64:, 54:] == 255).all()
    assert (whole[:, :, 52:54] == 255).all()


def test_small_pictures_are_enlarged_by_whole_factors():
    pictures = torch.rand(4, 1, 8, 8)
    whole = grid(pictures)
    assert whole.shape == (1, 2 * 50 + 2, 2 * 50 + 2)
    assert (whole[0, 2:50, 2:50][::6, ::6] == (pictures[0, 0] * 255).round().to(torch.uint8)).all()
    assert (whole[0, 2:8, 2:8] == whole[0, 2, 2]).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_same_pixels(channels):
    whole = grid(torch.rand(2, channels, 8, 8))
    back = np.asarray(Image.open(io.BytesIO(png(whole)))).reshape(*whole.shape[1:], channels)
    assert (back == whole.permute(1, 2, 0).numpy()).all()


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="expected"):
        grid(torch.zeros(2, 2, 8, 8))
    with pytest.raises(ValueError, match="expected"):
        grid(torch.zeros(0, 1, 8, 8))
