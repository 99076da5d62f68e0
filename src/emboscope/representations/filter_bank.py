"""Energy of each direction of flow in the bands of an analytic filter bank."""

from typing import Annotated

import numpy as np
from annotated_types import MultipleOf
from pydantic import PositiveInt
from scipy.fft import fft, ifft, next_fast_len

from emboscope.representations.spectra import as_line, whole_frames

EvenInt = Annotated[PositiveInt, MultipleOf(2)]  # bands are known at every second sample

_ROWS = 16  # segments filtered at a time


def band_frequencies(n_times: int, sfreq: float) -> np.ndarray:
    """Frequencies at which the response of a filter bank is wanted, from 0 to sfreq/2, in Hz.

    Half of the segment's length of zeros follow it, so that what a filter holds back at its end
    does not come round to its beginning.
    """
    half = next_fast_len(-(-3 * n_times // 4))
    return np.arange(half) * sfreq / (2 * half)


def band_energy(signal: np.ndarray, responses: np.ndarray, window: int, hop: int) -> np.ndarray:
    """Mean square of the audio of each direction in each band, in sliding windows.

    A band is the positive frequencies times its response. It is thus complex and holds nothing
    below 0 Hz, so that half its squared modulus is the mean square without the ripple of a real
    band. Every second sample is computed, which stands for all within about 0.1 dB.

    Parameters
    ----------
    signal : ndarray, shape (batch, 1 or 2, n_times)
        A real signal, or I and Q.
    responses : ndarray, shape (n_bands, n_freqs)
        Complex or real gains at the `band_frequencies`.
    window, hop : int
        Length and step of the windows, in samples; both even.

    Returns
    -------
    energy : ndarray, shape (batch, 1 or 2, n_bands, n_frames)
        Forward, then reverse; a tone of amplitude 1 in the middle of a band reads 1/2.

    Raises
    ------
    DataError
        If the segment is shorter than one window.
    """
    line = as_line(signal)
    whole_frames(line, window, hop)  # refuses a segment that is too short
    spectra = _one_sided(line, responses.shape[1])[:, :, None]  # (batch, direction, 1, freq)
    responses = responses.astype(np.complex64)
    n_known = line.shape[-1] // 2
    parts = []
    for first in range(0, len(spectra), _ROWS):
        bands = ifft(spectra[first : first + _ROWS] * responses, axis=-1)[..., :n_known]
        parts.append(_sliding_mean(bands.real**2 + bands.imag**2, window // 2, hop // 2) / 2)
    if not parts:
        return np.zeros((0, signal.shape[1], len(responses), 1 + (line.shape[-1] - window) // hop))
    return np.concatenate(parts)


def _one_sided(line: np.ndarray, half: int) -> np.ndarray:
    """Spectra of the directions' analytic signals at half the rate, (batch, 1 or 2, half)."""
    spectrum = fft(line, 2 * half, axis=-1).astype(np.complex64) / 2  # of every second sample
    spectrum[:, 0] /= 2  # 0 Hz has no side
    if not np.iscomplexobj(line):
        return 2 * spectrum[:, None, :half]
    reverse = spectrum[:, -np.arange(half)].conj()
    return np.stack([spectrum[:, :half], reverse], axis=1)


def _sliding_mean(values: np.ndarray, window: int, hop: int) -> np.ndarray:
    """Mean in windows along the last axis."""
    total = np.cumsum(values, axis=-1, dtype=np.float64)
    total = np.concatenate([np.zeros_like(total[..., :1]), total], axis=-1)
    return (total[..., window::hop] - total[..., :-window:hop]) / window
