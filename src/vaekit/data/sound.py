"""Recordings as spectrograms, and back to what can be heard."""

from __future__ import annotations

import io
import wave
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaekit.data.files import brought
from vaekit.data.raw import Raw
from vaekit.data.spec import Sound
from vaekit.errors import UserError

DIGITS = Sound(rate=8000, window=126, hop=63, low=-3.5, high=1.0)
"""64 bins up to 4 kHz, half a second in 64 frames, 90 dB."""
_FRAMES = 64
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TESTED = 5  # official: the first five recordings of each speaker and digit


def spectrogram(recording: Tensor, sound: Sound) -> Tensor:
    """Recordings in [-1, 1] (..., samples) -> (..., 1, bins, frames) in [0, 1]; see `Sound`."""
    lead, flat = recording.shape[:-1], recording.reshape(-1, recording.shape[-1])
    transformed = torch.stft(
        flat, sound.window, sound.hop, window=_hann(sound, flat), pad_mode="constant", return_complex=True
    )
    level = transformed.abs().clamp_min(10**sound.low).log10()
    scaled = ((level - sound.low) / (sound.high - sound.low)).clamp(0, 1)
    return scaled.reshape(*lead, 1, *scaled.shape[-2:])


def recording(values: Tensor, sound: Sound, *, steps: int = 60, seed: int = 0) -> Tensor:
    """What a spectrogram sounds like: phases are found by repeated projection (Griffin and Lim 1984).

    A magnitude at the floor of the spectrogram counts as silence.

    Args:
        values: (..., 1, bins, frames) in [0, 1].
        sound: how the spectrogram was made.
        steps: projections onto the spectrograms that belong to a recording.
        seed: of the phases that it begins with.

    Returns:
        (..., samples) in [-1, 1]; what is louder is scaled down.
    """
    lead, flat = values.shape[:-3], values.reshape(-1, *values.shape[-2:]).clamp(0, 1)
    size = torch.where(flat > 0, 10 ** (sound.low + flat * (sound.high - sound.low)), 0.0)
    turn = torch.rand(size.shape, generator=torch.Generator().manual_seed(seed), dtype=size.dtype)
    phase = torch.polar(torch.ones_like(size), 2 * torch.pi * turn.to(size.device))
    window = _hann(sound, flat)
    wave_form = size.new_zeros(len(size), sound.hop * (size.shape[-1] - 1))
    for step in range(steps + 1):
        wave_form = torch.istft(size * phase, sound.window, sound.hop, window=window)
        if step < steps:
            back = torch.stft(
                wave_form, sound.window, sound.hop, window=window, pad_mode="constant", return_complex=True
            )
            phase = torch.polar(torch.ones_like(size), back.angle())
    loudest = wave_form.abs().amax(-1, keepdim=True).clamp_min(1)
    return (wave_form / loudest).reshape(*lead, -1)


def wav(samples: Tensor, rate: int) -> bytes:
    """A 16-bit mono WAV file of samples (N,) in [-1, 1]."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples.clamp(-1, 1) * 32767).round().to(torch.int16).numpy().tobytes())
    return buffer.getvalue()


def read_spoken_digits() -> Raw:
    """The Free Spoken Digit Dataset: 50 recordings of 10 digits by each of 6 speakers.

    Raises:
        UserError: if the archive is missing, broken or of another content.
    """
    path = brought("spoken_digits")
    samples = DIGITS.hop * (_FRAMES - 1)
    rows, digits, numbers, cut = [], [], [], 0
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(n for n in archive.namelist() if n.endswith(".wav")):
                digit, _, number = Path(name).stem.split("_")
                heard = _samples(archive.read(name), f"{path}: {name}")
                cut += len(heard) > samples
                rows.append(_middle(heard, samples))
                digits.append(int(digit))
                numbers.append(int(number))
    except (OSError, ValueError, EOFError, wave.Error, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {path}: {error}") from None
    if sorted(set(digits)) != list(range(10)):
        raise UserError(f"{path} holds recordings of the digits {sorted(set(digits))}; expected 0 to 9")
    x = spectrogram(torch.from_numpy(np.stack(rows)), DIGITS).numpy()
    y, tested = np.array(digits, np.int64), np.array(numbers) < _TESTED
    if tested.all() or not tested.any():
        raise UserError(
            f"{path} holds {len(x)} recordings; expected some for test (numbers 0 to 4), and others"
        )
    raw = Raw(
        "spoken_digits", x[~tested], y=y[~tested], class_names=_WORDS, sound=DIGITS,
        valid=max(1, round(0.1 * int((~tested).sum()))), test=Raw("spoken_digits", x[tested], y=y[tested]),
    )  # fmt: skip
    raw.notes.append(
        f"recordings at {DIGITS.rate} Hz; the middle {samples / DIGITS.rate:.2f} s of each ({cut} of "
        f"{len(x)} are longer, the others stand between silence); log10 magnitudes from {DIGITS.low} to "
        f"{DIGITS.high} become 0 to 1, the rest is clamped; recordings 0 to 4 of each speaker and "
        "digit are the test set"
    )
    return raw


def _samples(content: bytes, name: str) -> NDArray[np.float32]:
    with wave.open(io.BytesIO(content)) as file:
        found = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if found != (1, 2, DIGITS.rate):
            raise UserError(
                f"{name} has {found[0]} channels of {8 * found[1]} bits at {found[2]} Hz; expected one of 16 "
                f"bits at {DIGITS.rate} Hz"
            )
        whole = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return whole.astype(np.float32) / np.float32(32768)


def _middle(samples: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """The middle of a recording, or the recording in the middle of silence."""
    over = len(samples) - length
    if over >= 0:
        return samples[over // 2 : over // 2 + length]
    return np.pad(samples, (-over // 2, -over - -over // 2))


def _hann(sound: Sound, like: Tensor) -> Tensor:
    return torch.hann_window(sound.window, dtype=like.dtype, device=like.device)
