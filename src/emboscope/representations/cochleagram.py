"""Cochleagram: the energy of each direction of flow in gammatone bands."""

from typing import Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt

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

ORDER = 4  # of the gammatone
BANDWIDTH = 1.019  # of a gammatone, in equivalent rectangular bandwidths
_ERB_AT_0_HZ = 24.7  # equivalent rectangular bandwidth of the ear at 0 Hz (Glasberg and Moore)
_EAR_Q = 9.26449  # frequency over bandwidth, far above 0 Hz


class CochleagramSettings(RepresentationSettings):
    """How a segment becomes the energy in gammatone bands, in dB."""

    kind: Literal["cochleagram"] = "cochleagram"
    n_bands: PositiveInt = 64
    low_hz: PositiveFloat = 50.0
    high_hz: PositiveFloat = 2100.0
    window: EvenInt = 110  # samples: 25 ms at 4385 Hz
    hop: EvenInt = 18  # samples: 4 ms

    @property
    def gain(self) -> Gain:
        """On the decibel scale."""
        return "decibels"

    @property
    def direction(self) -> Direction:
        """Forward and reverse are channels."""
        return "channels"

    def shape(self, n_channels: int, n_times: int) -> tuple[int, ...]:
        """(n_channels, n_bands, n_frames)."""
        return (n_channels, self.n_bands, n_whole_frames(n_times, self.window, self.hop))


def cochleagram(signal: np.ndarray, settings: CochleagramSettings, sfreq: float) -> np.ndarray:
    """Energy in gammatone bands, in dB, of forward and of reverse flow.

    The bands stand evenly on the scale of equivalent rectangular bandwidths, lowest first. They
    are causal: a band shows an event 3/(2πb) late, b its bandwidth, 2 ms at 2100 Hz and 16 ms at
    50 Hz. A band's skirts are cut at 0 Hz and at half the sampling frequency, which changes the
    outermost bands by up to 2 dB.

    Parameters
    ----------
    signal : ndarray, shape (batch, 1 or 2, n_times)
        A real signal, or I and Q.
    sfreq : float
        In Hz.

    Returns
    -------
    view : ndarray of float32, shape (batch, 1 or 2, n_bands, n_frames)
        In dB; forward, then reverse. The floor is 120 dB under the largest of a segment.

    Raises
    ------
    SettingsError
        If the bands reach above half the sampling frequency.
    """
    check_range("cochleagram", settings.low_hz, settings.high_hz, sfreq)
    centers = erb_centers(settings.low_hz, settings.high_hz, settings.n_bands)
    responses = gammatone_responses(band_frequencies(signal.shape[-1], sfreq), centers)
    energy = band_energy(signal, responses, settings.window, settings.hop)
    return decibels(energy).astype(np.float32)


REPRESENTATIONS["cochleagram"] = Representation(cochleagram, CochleagramSettings, needs_sfreq=True)


def erb_centers(low_hz: float, high_hz: float, n_bands: int) -> np.ndarray:
    """Frequencies a constant number of equivalent rectangular bandwidths apart, in Hz."""
    offset = _EAR_Q * _ERB_AT_0_HZ
    return np.geomspace(low_hz + offset, high_hz + offset, n_bands) - offset


def gammatone_bandwidth(centers: np.ndarray) -> np.ndarray:
    """The b of t³ exp(−2πbt) exp(2πjft), in Hz."""
    return BANDWIDTH * (_ERB_AT_0_HZ + centers / _EAR_Q)


def gammatone_responses(freqs: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Transfer functions (1 + j(f − center)/b)⁻⁴ with gain 1 at the center, (n_bands, n_freqs)."""
    width = gammatone_bandwidth(centers)[:, None]
    return (1 + 1j * (freqs - centers[:, None]) / width) ** -ORDER
