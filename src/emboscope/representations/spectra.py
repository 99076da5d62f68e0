"""What the representations share: the two directions of flow, power spectra of each, decibels."""

import numpy as np
from scipy.fft import fft, ifft

from emboscope.errors import DataError, SettingsError

EPSILON = 1e-12  # of the largest power of an image: the floor of its decibels
SILENCE = 1e-30  # the least power whose logarithm is taken


def decibels(power: np.ndarray) -> np.ndarray:
    """10·log10 of the power, with a floor 120 dB under the largest of each row of the batch.

    The floor follows the gain of the signal, and silence reads −300 dB.
    """
    largest = power.max(axis=tuple(range(1, power.ndim)), keepdims=True)
    return 10 * np.log10(power + np.maximum(EPSILON * largest, SILENCE))


def as_line(signal: np.ndarray) -> np.ndarray:
    """One real signal, or I + jQ as one complex signal: shape (batch, n_times).

    Raises
    ------
    DataError
        If there are more than two channels.
    """
    n_channels = signal.shape[1]
    if n_channels > 2:
        raise DataError(
            f"signal: {n_channels} channels; expected 1 (real) or 2 (I and Q). Choose channels."
        )
    return signal[:, 0] if n_channels == 1 else signal[:, 0] + 1j * signal[:, 1]


def flow_directions(signal: np.ndarray) -> np.ndarray:
    """Forward and reverse flow as two audible signals.

    The spectrum of the segment is cut at 0 Hz: forward is the real part of its positive
    frequencies, reverse the real part of the conjugate of its negative ones. What stands at 0 Hz
    and at the Nyquist frequency goes to both in halves, so that the two add up to I. The segment
    is taken as periodic: within some milliseconds of its ends the directions are not apart.

    Parameters
    ----------
    signal : ndarray, shape (batch, 2, n_times)
        I and Q.

    Returns
    -------
    directions : ndarray, shape (batch, 2, n_times)
        Forward (positive frequencies, towards the probe) and reverse, real.
    """
    if signal.shape[1] != 2:
        raise DataError(
            f"signal: {signal.shape[1]} channel(s); expected 2 (I and Q). Directions need both."
        )
    spectrum = fft(as_line(signal), axis=-1)
    n_times = signal.shape[-1]
    keep = np.where(np.arange(n_times) < (n_times + 1) // 2, 1.0, 0.0)
    keep[0] = 0.5
    if n_times % 2 == 0:
        keep[n_times // 2] = 0.5
    forward = ifft(spectrum * keep, axis=-1).real
    return np.stack([forward, signal[:, 0] - forward], axis=1)


def audio(signal: np.ndarray) -> np.ndarray:
    """The real signals of a segment: its directions for I and Q, else the signal itself."""
    if signal.shape[1] == 2:
        return flow_directions(signal)
    return as_line(signal)[:, None]


def direction_power(signal: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """Short-time power of each direction, in whole frames of a periodic Hann window.

    Parameters
    ----------
    signal : ndarray, shape (batch, 1 or 2, n_times)
        A real signal, or I and Q.
    n_fft, hop : int
        Length and step of the frames, in samples; `n_fft` is even.

    Returns
    -------
    power : ndarray, shape (batch, 1 or 2, n_fft/2 + 1, n_frames)
        |S|² from 0 Hz to the Nyquist frequency; of I and Q, first of the positive frequencies,
        then of the negative ones. The rows of 0 Hz and of the Nyquist frequency are in both.
    """
    line = as_line(signal)
    window = np.hanning(n_fft + 1)[:-1]
    spectrum = fft(whole_frames(line, n_fft, hop) * window, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).swapaxes(1, 2)  # (batch, n_fft, n_frames)
    rows = np.arange(n_fft // 2 + 1)
    return np.stack([power[:, rows], power[:, -rows]][: signal.shape[1]], axis=1)


def whole_frames(line: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Frames that lie in the signal, shape (..., n_frames, length).

    Raises
    ------
    DataError
        If the signal is shorter than one frame.
    """
    if line.shape[-1] < length:
        raise DataError(
            f"signal: {line.shape[-1]} samples; expected at least {length}, one window. Take a "
            "longer segment or a shorter window."
        )
    return np.lib.stride_tricks.sliding_window_view(line, length, axis=-1)[..., ::hop, :]


def check_range(kind: str, low_hz: float, high_hz: float, sfreq: float) -> None:
    """Refuse bands that do not rise or reach above half the sampling frequency."""
    if not low_hz < high_hz <= sfreq / 2:
        raise SettingsError(
            f"{kind}: bands from {low_hz:g} to {high_hz:g} Hz; expected a rising range up to "
            f"{sfreq / 2:g} Hz, half the sampling frequency. Change low_hz or high_hz."
        )


def n_whole_frames(n_times: int, length: int, hop: int) -> int:
    """How many frames of `length`, `hop` apart, lie in `n_times` samples."""
    return 1 + (n_times - length) // hop
