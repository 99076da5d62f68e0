"""Scalogram: the energy of each direction of flow in the bands of a complex wavelet."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from emboscope.registry import Registry
from emboscope.representations.contract import (
    REPRESENTATIONS,
    Direction,
    Gain,
    Representation,
    RepresentationSettings,
)
from emboscope.representations.filter_bank import (
    EvenInt,
    band_energy,
    band_frequencies,
)
from emboscope.representations.spectra import check_range, decibels, n_whole_frames


class WaveletSettings(RepresentationSettings):
    """How a segment becomes the energy of complex wavelets, in dB.

    `morlet`: `n_bands` frequencies a constant ratio apart. `dtcwt`: octaves from half the sampling
    frequency down, one a level.
    """

    kind: Literal["wavelet"] = "wavelet"
    method: Literal["morlet", "dtcwt"] = "morlet"
    n_bands: PositiveInt = 64  # of morlet
    low_hz: PositiveFloat = 50.0  # of morlet
    high_hz: PositiveFloat = 2100.0  # of morlet
    cycles: PositiveFloat = 6.0  # of morlet: 2π times center frequency times SD in time
    n_levels: PositiveInt = 5  # of dtcwt
    hop: EvenInt = 14  # samples over which the energy is averaged: 3.2 ms at 4385 Hz

    @property
    def gain(self) -> Gain:
        """On the decibel scale."""
        return "decibels"

    @property
    def direction(self) -> Direction:
        """Forward and reverse are channels."""
        return "channels"

    def shape(self, n_channels: int, n_times: int) -> tuple[int, ...]:
        """(n_channels, n_bands or n_levels, n_frames)."""
        n_rows = self.n_bands if self.method == "morlet" else self.n_levels
        return (n_channels, n_rows, n_whole_frames(n_times, self.hop, self.hop))


def wavelet(signal: np.ndarray, settings: WaveletSettings, sfreq: float) -> np.ndarray:
    """Energy of complex wavelets, in dB, of forward and of reverse flow.

    Parameters
    ----------
    signal : ndarray, shape (batch, 1 or 2, n_times)
        A real signal, or I and Q.
    sfreq : float
        In Hz.

    Returns
    -------
    view : ndarray of float32, shape (batch, 1 or 2, n_bands or n_levels, n_frames)
        In dB, lowest frequency first; forward, then reverse. The floor is 120 dB under the
        largest of a segment.

    Raises
    ------
    SettingsError
        If the bands reach above half the sampling frequency.
    """
    freqs = band_frequencies(signal.shape[-1], sfreq)
    responses = _METHODS[settings.method](freqs, settings, sfreq)
    return decibels(band_energy(signal, responses, settings.hop, settings.hop)).astype(np.float32)


REPRESENTATIONS["wavelet"] = Representation(wavelet, WaveletSettings, needs_sfreq=True)


def morlet_responses(freqs: np.ndarray, settings: WaveletSettings, sfreq: float) -> np.ndarray:
    """Gaussians with gain 1 at their center and a width in proportion to it, (n_bands, n_freqs)."""
    check_range("wavelet", settings.low_hz, settings.high_hz, sfreq)
    centers = np.geomspace(settings.low_hz, settings.high_hz, settings.n_bands)[:, None]
    return np.exp(-0.5 * (settings.cycles * (freqs / centers - 1)) ** 2)


def octave_responses(freqs: np.ndarray, settings: WaveletSettings, sfreq: float) -> np.ndarray:
    """Meyer's wavelets of positive frequencies alone, one a level, coarsest first.

    A dual tree runs two real wavelets that are nearly a Hilbert pair; here they are one exactly,
    by the Fourier transform over the segment, and not decimated. The squared gains of all levels
    add up to 1 above the coarsest. Level j holds sfreq/2^(j+1) to sfreq/2^j.

    Returns
    -------
    responses : ndarray, shape (n_levels, n_freqs)
    """
    levels = np.arange(settings.n_levels, 0, -1)[:, None]
    turns = freqs / sfreq * 2.0**levels  # a band's edges are at 1/2 and 1
    rising = np.sin(np.pi / 2 * _meyer_step(3 * turns - 1))
    falling = np.cos(np.pi / 2 * _meyer_step(1.5 * turns - 1))
    falling[-1] = 1.0  # the finest level has no neighbor above
    return rising * falling


_METHODS: Registry[Callable[[np.ndarray, WaveletSettings, float], np.ndarray]] = Registry("wavelet")
_METHODS["morlet"] = morlet_responses
_METHODS["dtcwt"] = octave_responses


def _meyer_step(x: np.ndarray) -> np.ndarray:
    """From 0 to 1, with step(x) + step(1 − x) = 1 and three smooth derivatives."""
    x = np.clip(x, 0, 1)
    return x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3)
