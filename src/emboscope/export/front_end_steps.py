"""Steps of the front end in NumPy: what those in C must equal."""

from collections.abc import Callable

import numpy as np

from emboscope.representations.hits_features import hits_features


def spectrum(
    step: np.ndarray, signal: np.ndarray, window: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Power of frames, (row, frame)."""
    n_fft, length = int(step[8]), int(step[11])
    line = signal[0, 0] + 1j * signal[1, 0] if len(signal) == 2 else signal[0, 0]
    index = starts.astype(int)[:, None] + np.arange(length)
    inside = (index >= 0) & (index < line.size)
    frames = np.where(inside, line[np.clip(index, 0, line.size - 1)], 0) * window
    return np.fft.fftshift(np.abs(np.fft.fft(frames, n_fft, axis=1)) ** 2, axes=1).T


def _decibels(x: np.ndarray, made: object, weight: np.ndarray, *_: object) -> np.ndarray:
    """Clipped, and z-scored where it is asked for."""
    reference, low, high, scored = (float(value) for value in weight)
    power = x[0].astype(np.float64)
    if reference == 0:
        image = 10 * np.log10(power + max(1e-12 * power.max(), 1e-30))
    elif reference == 1:
        image = 10 * np.log10(power + 1e-12)
    else:
        image = 10 * np.log10(power / max(np.median(power.mean(axis=0)), 1e-30) + 1e-30)
    if reference != 2:
        low, high = image.mean() + low * image.std(), image.mean() + high * image.std()
    image = np.clip(image, low, high)
    return (image - image.mean()) / max(image.std(), 1e-9) if scored else image


def _measures(
    x: np.ndarray, made: object, weight: object, scale: object, shift: np.ndarray
) -> np.ndarray:
    return hits_features(x.transpose(1, 0, 2), float(shift[-1]))


def _min_max(x: np.ndarray, *_: object) -> np.ndarray:
    low, high = x.min(axis=(1, 2), keepdims=True), x.max(axis=(1, 2), keepdims=True)
    return (x - low) / np.where(high > low, high - low, 1)


def _over_median(x: np.ndarray, *_: object) -> np.ndarray:
    return x / max(np.median(np.sqrt((x**2).sum(axis=0))), 1e-30)


FRONT_END_STEPS: dict[str, Callable[..., np.ndarray]] = {
    "decibels": _decibels,
    "min_max": _min_max,
    "over_median": _over_median,
    "measures": _measures,
}
