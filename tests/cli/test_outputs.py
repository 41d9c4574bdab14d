"""Data of a model as files that people can read, see and hear."""

from __future__ import annotations

import wave

import numpy as np
import torch

from vaekit.cli.outputs import endings, write
from vaekit.data import Sound, Spec, spectrogram

TEXT = Spec("words", (3,), "categorical", 10, levels=4, vocabulary=("a", "b", "c", "\n"))
SOUND = Spec("tones", (1, 5, 9), "unit", 10, sound=Sound(800, 8, 4, -3.0, 1.0))


def test_tokens_become_lines_of_text(tmp_path):
    path = tmp_path / "drawn.txt"
    assert endings(TEXT) == (".txt", ".npy")
    said = write(path, TEXT, torch.tensor([[0.0, 3.0, 1.0], [2.0, 2.0, 2.0]]))
    assert path.read_text() == "a\\nb\nccc\n"
    assert said.startswith("2 lines of text")


def test_spectrograms_become_sounds_with_pauses_between(tmp_path):
    path = tmp_path / "drawn.wav"
    assert endings(SOUND) == (".png", ".npy", ".wav")
    tone = torch.sin(2 * torch.pi * 200 * torch.arange(32) / 800)
    x = torch.stack([torch.zeros(1, 5, 9), spectrogram(tone, SOUND.sound)])
    write(path, SOUND, x)
    with wave.open(str(path)) as file:
        assert file.getframerate() == 800
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    length, pause = 8 * 4, 200
    assert len(samples) == 2 * (length + pause)
    assert not samples[: length + pause].any()
    heard = samples[length + pause : -pause].astype(float)
    # 25 Hz a bin; phases are found, not kept
    assert abs(np.abs(np.fft.rfft(heard)).argmax() - 200 * length // 800) <= 1
