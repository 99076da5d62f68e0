"""Features by hand, for the classical models and as a baseline of the networks."""

import numpy as np
from scipy.stats import kurtosis

from emboscope.errors import DataError

EEG_BANDS_HZ = ((0.5, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 30.0), (30.0, 60.0), (60.0, 87.0))
N_SHAPE = 6  # numbers on the shape of a channel
_N_DOPPLER_BANDS = 6  # on each side of 0 Hz, of equal width
_LEAST_POWER = 1e-12  # added before each logarithm


def handcrafted_features(signal: np.ndarray, sfreq: float) -> np.ndarray:
    """Band powers and shape of a segment.

    Each channel gives log SD, log mean absolute difference, minimum, maximum, kurtosis, share of
    zero crossings. Before them stand the log powers of the bands, by one rectangular window with
    the mean removed: of a real signal, in `EEG_BANDS_HZ`; of I and Q, in 6 bands on each side of
    0 Hz.

    Parameters
    ----------
    signal : ndarray, shape (batch, n_channels, n_times)
        One real channel, in µV for the EEG, or I and Q.
    sfreq : float
        In Hz.

    Returns
    -------
    features : ndarray, shape (batch, 12) or (batch, 24)
    """
    signal = np.asarray(signal, dtype=np.float64)
    if signal.ndim != 3 or signal.shape[1] > 2:
        raise DataError(
            f"signal: shape {signal.shape}; expected (batch, 1 or 2, n_times). Choose channels."
        )
    bands = _real_bands(signal, sfreq) if signal.shape[1] == 1 else _complex_bands(signal)
    shapes = [_shape_features(signal[:, channel]) for channel in range(signal.shape[1])]
    return np.concatenate([bands, *shapes], axis=1)


def _real_bands(signal: np.ndarray, sfreq: float) -> np.ndarray:
    """Log power in the six bands, shape (batch, 6)."""
    line = signal[:, 0]
    power = np.abs(np.fft.rfft(line - line.mean(axis=1, keepdims=True), axis=1)) ** 2
    freqs = np.fft.rfftfreq(line.shape[1], 1 / sfreq)
    masks = np.stack([(freqs >= low) & (freqs < high) for low, high in EEG_BANDS_HZ])
    return np.log(power @ masks.T + _LEAST_POWER)


def _complex_bands(signal: np.ndarray) -> np.ndarray:
    """Log power in equal bands of the two-sided spectrum, shape (batch, 12)."""
    line = signal[:, 0] + 1j * signal[:, 1]
    power = np.abs(np.fft.fft(line - line.mean(axis=1, keepdims=True), axis=1)) ** 2
    parts = np.array_split(np.fft.fftshift(power, axes=1), 2 * _N_DOPPLER_BANDS, axis=1)
    return np.log(np.stack([part.sum(axis=1) for part in parts], axis=1) + _LEAST_POWER)


def _shape_features(line: np.ndarray) -> np.ndarray:
    """Six numbers on the shape of one channel, shape (batch, 6)."""
    sd = line.std(axis=1)
    centred = line - line.mean(axis=1, keepdims=True)
    crossings = np.diff(np.signbit(centred), axis=1).mean(axis=1)
    peaked = np.zeros_like(sd)
    varied = sd > 0
    peaked[varied] = kurtosis(line[varied], axis=1)
    change = np.abs(np.diff(line, axis=1)).mean(axis=1)
    logs = [np.log(sd + _LEAST_POWER), np.log(change + _LEAST_POWER)]
    return np.stack([*logs, line.min(axis=1), line.max(axis=1), peaked, crossings], axis=1)
