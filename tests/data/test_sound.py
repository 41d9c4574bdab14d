"""Spectrograms: where a tone stands, what a recording becomes and comes back as."""

from __future__ import annotations

import io
import math
import wave
import zipfile

import numpy as np
import pytest
import torch

from vaekit.data import Sound, Spec, load, recording, spectrogram
from vaekit.data.sound import DIGITS, wav
from vaekit.errors import UserError

SAMPLES = 63 * DIGITS.hop


def tone(hertz, size=0.5):
    return size * torch.sin(2 * math.pi * hertz * torch.arange(SAMPLES, dtype=torch.float64) / DIGITS.rate)


def magnitude(x):
    return 10 ** (DIGITS.low + x * (DIGITS.high - DIGITS.low))


def test_a_tone_stands_in_its_row_with_its_magnitude():
    row = 10
    found = spectrogram(tone(row * DIGITS.rate / DIGITS.window, 0.2), DIGITS)
    assert found.shape == (1, 64, 64)
    inner = found[0, :, 8:-8]
    assert (inner.argmax(0) == row).all()
    # a sine of size a under a Hann window w: |X| = a sum(w) / 2
    expected = math.log10(0.2 * DIGITS.window / 2 / 2)
    torch.testing.assert_close(
        DIGITS.low + inner[row] * (DIGITS.high - DIGITS.low),
        torch.full((48,), expected).double(),
        atol=1e-3,
        rtol=0,
    )


def test_silence_is_zero_and_stays_silent():
    assert spectrogram(torch.zeros(2, SAMPLES), DIGITS).abs().max() == 0
    assert recording(torch.zeros(2, 1, 64, 64), DIGITS).abs().max() == 0


def test_a_recording_comes_back_with_its_spectrogram():
    generator = torch.Generator().manual_seed(0)
    mixed = tone(440) + tone(1300, 0.2) + 0.01 * torch.randn(SAMPLES, generator=generator).double()
    x = spectrogram(mixed, DIGITS)
    size = magnitude(x)

    def error(steps):
        back = magnitude(spectrogram(recording(x, DIGITS, steps=steps), DIGITS))
        return float((back - size).norm() / size.norm())

    assert error(60) < 0.2  # 50 % overlap leaves phases some room
    assert error(60) < 0.3 * error(0)


def test_a_file_that_can_be_played():
    with wave.open(io.BytesIO(wav(torch.tensor([0.0, 1.0, -2.0]), 8000))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        assert np.frombuffer(file.readframes(3), "<i2").tolist() == [0, 32767, -32767]


def archive(path, rate=8000, digits=range(10)):
    path.parent.mkdir(parents=True)
    samples = (tone(500).numpy() * 32767).astype("<i2")
    with zipfile.ZipFile(path, "w") as file:
        for digit in digits:
            for number, length in ((0, 1000), (5, 3000), (6, len(samples)), (7, len(samples))):
                buffer = io.BytesIO()
                with wave.open(buffer, "wb") as sound:
                    sound.setnchannels(1)
                    sound.setsampwidth(2)
                    sound.setframerate(rate)
                    sound.writeframes(samples[:length].tobytes())
                file.writestr(f"recordings/{digit}_ann_{number}.wav", buffer.getvalue())


def test_an_archive_is_read_with_its_official_test_set(tmp_path, monkeypatch):
    archive(tmp_path / "fsdd" / "recordings.zip")
    monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
    splits = load("spoken_digits")
    assert splits.spec.sound == DIGITS
    assert splits.spec.class_names[7] == "seven"
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (27, 3, 10)
    batch = splits.test.take(torch.arange(10))
    assert batch["y"].tolist() == list(range(10))
    silent = batch["x"][:, 0].amax(1) < 0.2  # a short recording stands in the middle of silence
    assert silent[:, :16].all()
    assert silent[:, -16:].all()
    assert not silent[:, 26:38].any()
    assert Spec.from_json(splits.spec.to_json()) == splits.spec


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rate": 16000}, "at 16000 Hz; expected one of 16 bits at 8000 Hz"),
        ({"digits": [1, 2]}, "expected 0 to 9"),
    ],
)
def test_another_archive_is_refused(tmp_path, monkeypatch, options, words):
    archive(tmp_path / "fsdd" / "recordings.zip", **options)
    monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
    with pytest.raises(UserError, match=words):
        load("spoken_digits")


def test_a_spec_refuses_a_sound_that_does_not_fit():
    with pytest.raises(ValueError, match=r"expected \(1, 64, frames\)"):
        Spec("s", (1, 32, 64), "unit", 3, sound=DIGITS)
    with pytest.raises(ValueError, match="0 < hop <= window"):
        Sound(8000, 126, 127, -3, 1)


def test_the_real_recordings(data_root):
    splits = load("spoken_digits")
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (2430, 270, 300)
    x = splits.test.take(torch.arange(50))["x"]
    assert 0.2 < float(x.mean()) < 0.5
