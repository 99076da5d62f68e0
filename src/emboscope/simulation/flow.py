"""Blood flow: the velocity over time, and the Doppler signal it makes.

A complex Gaussian process whose power spectrum follows the velocity over the cardiac cycle, after
Mo and Cobbold, IEEE T-UFFC 36:522 (1989).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.fft import fft, fftfreq, ifft

WINDOW, HOP = 256, 32  # of the synthesis
CHUNK = 4096  # frames made at once


@dataclass(frozen=True)
class Heart:
    """How the heart drives the flow of one patient.

    Attributes
    ----------
    mean_cm_s : float
        Mean over a beat of the largest velocity in the vessel.
    pulsatility : float
        (systole - diastole) / mean.
    rate_bpm, variation : float
        Heart rate, and standard deviation of the beats over their mean.
    """

    mean_cm_s: float
    pulsatility: float
    rate_bpm: float
    variation: float


def beat_shape(phase: np.ndarray) -> np.ndarray:
    """Velocity over one beat, 0 at the end of diastole and 1 at the peak of systole.

    Parameters
    ----------
    phase : ndarray
        In [0, 1).
    """

    def raw(p: np.ndarray) -> np.ndarray:
        def bump(mean: float, sd: float) -> np.ndarray:
            return np.exp(-((p - mean) ** 2) / (2 * sd**2))

        decay = np.where(p > 0.13, np.exp(-(p - 0.13) / 0.5), 0.0)
        return bump(0.13, 0.045) + 0.62 * bump(0.24, 0.07) + 0.38 * bump(0.44, 0.09) + 0.45 * decay

    grid = raw(np.linspace(0, 1, 512, endpoint=False))
    return (raw(np.asarray(phase)) - grid.min()) / (grid.max() - grid.min())


def velocity_over_time(
    heart: Heart, times: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Largest velocity in the vessel, and where in the beat each time lies.

    Parameters
    ----------
    heart : Heart
    times : ndarray, shape (n_frames,)
        In seconds, ascending.
    rng : Generator

    Returns
    -------
    velocity : ndarray, shape (n_frames,)
        In cm/s; breathing and slow waves included.
    phase : ndarray, shape (n_frames,)
        In [0, 1).
    """
    duration = times[-1] + 5
    mean_s = 60 / heart.rate_bpm
    n_beats = int(2 * duration / mean_s) + 10
    lengths = mean_s * np.clip(1 + heart.variation * rng.standard_normal(n_beats), 0.5, 1.8)
    starts = np.concatenate([[-rng.uniform(0, mean_s)], lengths]).cumsum()
    beat = np.searchsorted(starts, times, side="right") - 1
    phase = (times - starts[beat]) / lengths[beat]
    strength = 1 + 0.05 * rng.standard_normal(n_beats)[beat]
    swing = heart.pulsatility * heart.mean_cm_s * strength
    shape = beat_shape(phase)
    average = beat_shape(np.linspace(0, 1, 512, endpoint=False)).mean()
    velocity = heart.mean_cm_s + swing * (shape - average)
    for depth, low, high in ((0.03, 0.2, 0.3), (0.05, 0.05, 0.15)):
        rate, offset = rng.uniform(low, high), rng.uniform(0, 2 * np.pi)
        velocity = velocity * (1 + depth * np.sin(2 * np.pi * rate * times + offset))
    return np.maximum(velocity, 3.0), phase


def spectral_template(exponent: float, broadening: float, n: int = 2000) -> np.ndarray:
    """Power in [-0.5, 1.5) of the largest Doppler frequency, sum 1, on n points.

    A velocity profile vmax (1 - (r / R)^exponent) gives p(u) ∝ (1 - u)^(2 / exponent - 1) on
    (0.02, 1), which is blurred by a Gaussian of `broadening`.
    """
    edges = np.linspace(-0.5, 1.5, n + 1)
    below = 1 - np.clip(edges, 0.02, 1.0)
    mass = -np.diff(below ** (2 / exponent))
    width = edges[1] - edges[0]
    reach = int(4 * broadening / width) + 1
    kernel = np.exp(-0.5 * ((np.arange(-reach, reach + 1) * width) / broadening) ** 2)
    blurred = np.convolve(mass, kernel / kernel.sum(), mode="same")
    return blurred / blurred.sum()


def flow_spectrum(
    template: np.ndarray, largest_hz: np.ndarray, sfreq: float, n_fft: int = WINDOW
) -> np.ndarray:
    """Power of each bin of each frame, shape (n_frames, n_fft), rows of sum 1, aliasing included.

    Parameters
    ----------
    template : ndarray
        From `spectral_template`.
    largest_hz : ndarray, shape (n_frames,)
        Doppler frequency of the largest velocity; negative away from the probe.
    """
    cumulative = np.concatenate([[0.0], np.cumsum(template)])
    edges = np.linspace(-0.5, 1.5, template.size + 1)
    step = sfreq / n_fft
    freqs = fftfreq(n_fft, 1 / sfreq)
    total = np.zeros((largest_hz.size, n_fft))
    size = np.maximum(np.abs(largest_hz), step)[:, None]
    along = np.sign(largest_hz)[:, None] * freqs
    for turn in (-1, 0, 1, 2):
        u = (along + turn * sfreq) / size
        half = step / (2 * size)
        total += np.interp(u + half, edges, cumulative) - np.interp(u - half, edges, cumulative)
    total = np.maximum(total, 0)  # rounding may leave -1e-17
    return total / total.sum(axis=1, keepdims=True)


def gaussian_process(
    spectrum_of: Callable[[int, int], np.ndarray], n_times: int, rng: np.random.Generator
) -> np.ndarray:
    """Complex Gaussian noise with a spectrum that changes over time.

    White noise is cut in frames of a square-root Hann window, filtered by the square root of the
    spectrum, and overlap-added.

    Parameters
    ----------
    spectrum_of : callable (first, last) -> ndarray (last - first, WINDOW)
        Power of each bin (sum 1 gives unit power) of the frames of a range.
    n_times : int
        Length, in samples.

    Returns
    -------
    samples : ndarray, shape (n_times,), complex64
    """
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW))
    n_frames = n_times // HOP + WINDOW // HOP
    length = (n_frames - 1) * HOP + WINDOW
    output = np.zeros(length, complex)
    overlap = (window**2).sum() / HOP
    white = np.zeros(0, complex)
    for first in range(0, n_frames, CHUNK):
        last = min(first + CHUNK, n_frames)
        needed = (last - first - 1) * HOP + WINDOW
        fresh = needed - white.size
        white = np.concatenate([white, rng.standard_normal((fresh, 2)) @ (1, 1j) / np.sqrt(2)])
        frames = np.lib.stride_tricks.sliding_window_view(white, WINDOW)[::HOP]
        power = spectrum_of(first, last)
        shaped = ifft(fft(frames * window, axis=1) * np.sqrt(WINDOW * power), axis=1)
        _overlap_add(output[first * HOP : first * HOP + needed], shaped * window / overlap)
        white = white[(last - first) * HOP :]
    return output[WINDOW // 2 : WINDOW // 2 + n_times].astype(np.complex64)


def _overlap_add(output: np.ndarray, frames: np.ndarray) -> None:
    """Add frames, one HOP apart, into the output."""
    for offset in range(WINDOW // HOP):
        own = frames[offset :: WINDOW // HOP]
        start = offset * HOP
        output[start : start + own.size] += own.reshape(-1)
