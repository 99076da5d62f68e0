"""Mel spectrogram and chromagram of each direction of flow."""

from functools import lru_cache
from typing import Literal

import numpy as np
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from emboscope.errors import SettingsError
from emboscope.representations.contract import (
    REPRESENTATIONS,
    Direction,
    Gain,
    Representation,
    RepresentationSettings,
)
from emboscope.representations.spectra import (
    check_range,
    decibels,
    direction_power,
    n_whole_frames,
)

_LINEAR_MELS = 15.0  # Slaney's scale is linear up to here,
_BREAK_HZ = 1000.0  # which is this frequency,
_MELS_PER_OCTAVE_E = 27.0 / np.log(6.4)  # and logarithmic above
_TUNING_HZ = 440.0  # the note A
_CHROMA_CENTER = 5.0  # octaves above 27.5 Hz/2, where notes count most,
_CHROMA_WIDTH = 2.0  # and how fast they count less away from it, in octaves


class _DirectionSettings(RepresentationSettings):
    """What the two transforms share: whole frames of a periodic Hann window."""

    n_fft: PositiveInt = 256
    hop: PositiveInt = 14

    @property
    def direction(self) -> Direction:
        """Forward and reverse are channels."""
        return "channels"


class MelSettings(_DirectionSettings):
    """How a segment becomes a mel spectrogram, in dB."""

    kind: Literal["mel"] = "mel"
    n_mels: PositiveInt = 64
    low_hz: NonNegativeFloat = 50.0
    high_hz: PositiveFloat | None = None  # None: half the sampling frequency

    @property
    def gain(self) -> Gain:
        """On the decibel scale."""
        return "decibels"

    def shape(self, n_channels: int, n_times: int) -> tuple[int, ...]:
        """(n_channels, n_mels, n_frames)."""
        return (n_channels, self.n_mels, n_whole_frames(n_times, self.n_fft, self.hop))


class ChromaSettings(_DirectionSettings):
    """How a segment becomes a chromagram. An octave means nothing to blood: for ablations only."""

    kind: Literal["chroma"] = "chroma"
    n_fft: PositiveInt = 512
    n_chroma: PositiveInt = 12

    @property
    def gain(self) -> Gain:
        """None: the largest of each frame is 1."""
        return "invariant"

    def shape(self, n_channels: int, n_times: int) -> tuple[int, ...]:
        """(n_channels, n_chroma, n_frames)."""
        return (n_channels, self.n_chroma, n_whole_frames(n_times, self.n_fft, self.hop))


def mel(signal: np.ndarray, settings: MelSettings, sfreq: float) -> np.ndarray:
    """Power in mel bands, in dB, of forward and of reverse flow.

    Parameters
    ----------
    signal : ndarray, shape (batch, 1 or 2, n_times)
        A real signal, or I and Q.
    sfreq : float
        In Hz.

    Returns
    -------
    view : ndarray of float32, shape (batch, 1 or 2, n_mels, n_frames)
        In dB; forward, then reverse. The floor is 120 dB under the largest of a segment.
    """
    power = direction_power(signal, settings.n_fft, settings.hop)
    high_hz = settings.high_hz or sfreq / 2
    bands = mel_filters(sfreq, settings.n_fft, settings.n_mels, settings.low_hz, high_hz)
    return decibels(bands @ power).astype(np.float32)


def chroma(signal: np.ndarray, settings: ChromaSettings, sfreq: float) -> np.ndarray:
    """Power by note, whatever its octave, of forward and of reverse flow; 1 is a frame's largest.

    Parameters
    ----------
    signal : ndarray, shape (batch, 1 or 2, n_times)
        A real signal, or I and Q.
    sfreq : float
        In Hz.

    Returns
    -------
    view : ndarray of float32, shape (batch, 1 or 2, n_chroma, n_frames)
        From 0 to 1, notes from C up; a silent frame is 0.
    """
    power = direction_power(signal, settings.n_fft, settings.hop)
    notes = chroma_filters(sfreq, settings.n_fft, settings.n_chroma) @ power
    largest = notes.max(axis=2, keepdims=True)
    return (notes / np.where(largest > np.finfo(np.float32).tiny, largest, 1)).astype(np.float32)


REPRESENTATIONS["mel"] = Representation(mel, MelSettings, needs_sfreq=True)
REPRESENTATIONS["chroma"] = Representation(chroma, ChromaSettings, needs_sfreq=True)


@lru_cache(maxsize=8)
def mel_filters(sfreq: float, n_fft: int, n_mels: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Triangles of equal width on Slaney's mel scale, each of area 1 in Hz.

    Returns
    -------
    filters : ndarray, shape (n_mels, n_fft // 2 + 1)

    Raises
    ------
    SettingsError
        If the bands reach above half the sampling frequency, or one holds no frequency.
    """
    check_range("mel", low_hz, high_hz, sfreq)
    low, high = _hz_to_mel(np.array([low_hz, high_hz]))
    corners = _mel_to_hz(np.linspace(low, high, n_mels + 2))
    freqs = np.fft.rfftfreq(n_fft, 1 / sfreq)
    rising = (freqs - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - freqs) / np.diff(corners)[1:, None]
    filters = np.maximum(np.minimum(rising, falling), 0)
    n_empty = int((filters.max(axis=1) == 0).sum())
    if n_empty:
        raise SettingsError(
            f"mel: {n_empty} of {n_mels} bands hold no frequency of the transform; expected each "
            "to hold one. Use a larger n_fft or fewer mels."
        )
    return filters * (2 / (corners[2:] - corners[:-2]))[:, None]


def _hz_to_mel(freqs: np.ndarray) -> np.ndarray:
    """Slaney's scale: linear to 1 kHz, then logarithmic."""
    above = _LINEAR_MELS + _MELS_PER_OCTAVE_E * np.log(np.maximum(freqs, _BREAK_HZ) / _BREAK_HZ)
    return np.where(freqs < _BREAK_HZ, freqs * _LINEAR_MELS / _BREAK_HZ, above)


def _mel_to_hz(mels: np.ndarray) -> np.ndarray:
    """The inverse of `_hz_to_mel`."""
    above = _BREAK_HZ * np.exp((mels - _LINEAR_MELS) / _MELS_PER_OCTAVE_E)
    return np.where(mels < _LINEAR_MELS, mels * _BREAK_HZ / _LINEAR_MELS, above)


@lru_cache(maxsize=8)
def chroma_filters(sfreq: float, n_fft: int, n_chroma: int = 12) -> np.ndarray:
    """Weights from the rows of a power spectrum to the notes of an octave, C first.

    Each frequency spreads over the notes by a Gaussian as wide as its distance to the next one,
    of Euclidean norm 1, and counts by a Gaussian over the octaves.

    Returns
    -------
    filters : ndarray, shape (n_chroma, n_fft // 2 + 1)
    """
    freqs = np.arange(1, n_fft) * sfreq / n_fft
    octaves = np.log2(freqs / (_TUNING_HZ / 16))
    octaves = np.concatenate([octaves[:1] - 1.5, octaves])  # 0 Hz: an octave and a half lower
    notes = n_chroma * octaves
    widths = np.concatenate([np.maximum(np.diff(notes), 1), [1.0]])
    distance = notes - np.arange(n_chroma)[:, None]
    half = round(n_chroma / 2)
    distance = np.mod(distance + half, n_chroma) - half  # the short way around the circle
    weights = np.exp(-2 * (distance / widths) ** 2)
    weights /= np.linalg.norm(weights, axis=0)
    weights *= np.exp(-0.5 * ((octaves - _CHROMA_CENTER) / _CHROMA_WIDTH) ** 2)
    weights = np.roll(weights, -3 * (n_chroma // 12), axis=0)  # from A to C
    return weights[:, : n_fft // 2 + 1]
