"""Sounds for models from packages: sentences that eSpeak NG speaks, among noise and silence, and tones of notes."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from quantize_case import Array
from quantize_pictures import THIRDS, _words

#: What eSpeak NG gives, and what speech models take.
SPOKEN_RATE, RATE = 22_050, 16_000
VOICES = (b"en", b"de", b"es", b"ru", b"en-us", b"fr")


class Voice:
    """eSpeak NG out of the package espeakng-loader, through ctypes: text to samples."""

    def __init__(self, package: Path) -> None:
        self.library = ctypes.CDLL(str(next(package.glob("libespeak-ng*"))))
        synchronous = 2  # AUDIO_OUTPUT_SYNCHRONOUS: hand over samples before returning, play nothing
        if self.library.espeak_Initialize(synchronous, 0, str(package).encode(), 0) != SPOKEN_RATE:
            raise SystemExit("eSpeak NG does not start")
        self.pieces: list[Array] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self.callback = kind(self._take)
        self.library.espeak_SetSynthCallback(self.callback)

    def _take(self, samples: ctypes.POINTER[ctypes.c_short], count: int, _: object) -> int:  # type: ignore[type-arg]
        if count > 0:
            self.pieces.append(np.ctypeslib.as_array(samples, (count,)).astype(np.float32) / 32768)
        return 0

    def say(self, text: str, voice: bytes, speed: int, pitch: int) -> Array:
        """float32 at 16 kHz. speed: words a minute. pitch: 0 to 99."""
        self.pieces = []
        self.library.espeak_SetVoiceByName(voice)
        for parameter, value in ((1, speed), (3, pitch)):
            self.library.espeak_SetParameter(parameter, value, 0)
        spoken = text.encode() + b"\0"
        self.library.espeak_Synth(spoken, len(spoken), 0, 0, 0, 1, None, None)
        whole = np.concatenate(self.pieces)
        return np.interp(np.arange(0, len(whole), SPOKEN_RATE / RATE), np.arange(len(whole)), whole).astype(np.float32)


def recordings(part: str, package: Path, count: int) -> Iterator[Array]:
    """float32 at 16 kHz, some seconds each: a sentence in one of several voices between pauses, behind noise."""
    rng, voice = np.random.default_rng(THIRDS[part]), Voice(package)
    words = np.array_split(_words(), 3)[THIRDS[part]]
    for _ in range(count):
        start = rng.integers(len(words) - 8)
        text = " ".join(words[start : start + rng.integers(3, 8)])
        spoken = voice.say(
            text, VOICES[rng.integers(len(VOICES))], int(rng.integers(120, 220)), int(rng.integers(20, 80))
        )
        pauses = [np.zeros(int(RATE * rng.uniform(0.3, 1.5)), np.float32) for _ in range(2)]
        whole = np.concatenate([pauses[0], spoken * rng.uniform(0.2, 1), pauses[1]])
        whole += coloured(len(whole), rng) * 10 ** rng.uniform(-4, -1.3)
        yield np.clip(whole, -1, 1).astype(np.float32)


def coloured(count: int, rng: np.random.Generator) -> Array:
    """Noise whose power falls with the frequency to a power from 0 (white) to 2, of deviation 1."""
    spectrum = np.fft.rfft(rng.standard_normal(count)) / np.maximum(np.arange(count // 2 + 1), 1) ** (
        rng.uniform(0, 2) / 2
    )
    noise = np.fft.irfft(spectrum, count)
    return noise / noise.std()


def music(part: str, count: int, samples: int, rate: int) -> Array:
    """float32 `[count, samples, 1]`: chords of plucked and held notes with harmonics."""
    rng = np.random.default_rng(THIRDS[part])
    made = np.zeros((count, samples, 1), np.float32)
    for row in made:
        for _ in range(rng.integers(2, 9)):
            start, pitch = rng.integers(samples * 3 // 4), 440 * 2 ** ((rng.integers(36, 85) - 69) / 12)
            at = np.arange(min(samples - start, int(rate * rng.uniform(0.15, 1)))) / rate
            harmonics = range(1, int(rng.integers(3, 9)))
            tone = sum(np.sin(2 * np.pi * pitch * n * at + rng.uniform(0, 6)) / n**1.3 for n in harmonics)
            fade = np.exp(-at * rng.uniform(0.5, 6)) * np.minimum(1, at * 200) * np.minimum(1, (at[-1] - at) * 100)
            row[start : start + len(at), 0] += tone * fade * rng.uniform(0.05, 0.3)
        row[:, 0] += coloured(samples, rng) * 10 ** rng.uniform(-4, -2.5)
    return np.clip(made, -1, 1)
