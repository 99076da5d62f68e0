"""The Doppler signal of flow: a complex Gaussian process with a spectrum that changes over time.

After Mo and Cobbold, IEEE T-UFFC 36:522 (1989). Blood, wall and thermal noise are independent
Gaussian processes, so their sum is one whose spectrum is the sum: it is made once.
"""

from collections.abc import Callable

import numpy as np
from scipy.fft import fft, fftfreq, ifft

WINDOW, HOP = 256, 64  # of the synthesis, in samples
CHUNK = 1024  # frames made at once
TEMPLATE = (-0.5, 1.5)  # span of a template, in units of the largest Doppler frequency


def spectral_template(exponent: float, broadening: float, n: int = 2000) -> np.ndarray:
    """Power in [-0.5, 1.5) of the largest Doppler frequency, sum 1, on n points.

    A velocity profile vmax (1 - (r / R)^exponent) gives p(u) ∝ (1 - u)^(2 / exponent - 1) on
    (0.02, 1), which is blurred by a Gaussian of `broadening`.
    """
    edges = np.linspace(*TEMPLATE, n + 1)
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
    edges = np.linspace(*TEMPLATE, template.size + 1)
    step = sfreq / n_fft
    freqs = fftfreq(n_fft, 1 / sfreq)
    total = np.zeros((largest_hz.size, n_fft))
    size = np.maximum(np.abs(largest_hz), step)[:, None]
    along = np.where(largest_hz < 0, -1.0, 1.0)[:, None] * freqs
    turns = int(np.ceil(TEMPLATE[1] * size.max() / sfreq + 0.5))
    for turn in range(-turns, turns + 1):
        u = (along + turn * sfreq) / size
        half = step / (2 * size)
        total += np.interp(u + half, edges, cumulative) - np.interp(u - half, edges, cumulative)
    total = np.maximum(total, 0)  # rounding may leave -1e-17
    return total / total.sum(axis=1, keepdims=True)


class FlowTable:
    """`flow_spectrum` on a grid of frequencies, so that a frame costs a look-up.

    Parameters
    ----------
    template : ndarray
        From `spectral_template`.
    highest_hz : float
        Faster flow is given the spectrum of this one.
    sfreq : float
        In Hz.
    n_levels : int
        Rows of the table.
    """

    def __init__(
        self, template: np.ndarray, highest_hz: float, sfreq: float, n_levels: int = 1024
    ) -> None:
        self.step_hz = highest_hz / n_levels
        levels = self.step_hz * np.arange(1, n_levels + 1)
        self.towards = flow_spectrum(template, levels, sfreq).astype(np.float32)
        self.away = np.ascontiguousarray(self.towards[:, -np.arange(WINDOW) % WINDOW])

    def rows(self, largest_hz: np.ndarray, away: bool = False) -> np.ndarray:
        """Power of each bin, (n_frames, WINDOW) float32, of flow towards the probe, or away."""
        level = np.rint(largest_hz / self.step_hz).astype(np.intp) - 1
        table = self.away if away else self.towards
        return table[np.clip(level, 0, len(table) - 1)]


def white_noise(n: int, rng: np.random.Generator) -> np.ndarray:
    """Complex Gaussian noise of unit power, (n,) complex64."""
    pairs = rng.standard_normal((n, 2), dtype=np.float32) * np.float32(np.sqrt(0.5))
    return pairs.view(np.complex64)[:, 0]


class Shaper:
    """Gives white noise a spectrum that changes over time, a chunk at a time.

    The noise is cut in frames of a square-root Hann window, filtered by the square root of the
    spectrum, and overlap-added. The first call gives samples from 0 on; before it the shaper is
    run in with `LEAD` frames.

    Parameters
    ----------
    lead_power : ndarray, shape (LEAD, WINDOW)
        Spectra of the frames centered at -HOP, 0 and HOP.
    lead_white : ndarray, shape (WINDOW - HOP + LEAD * HOP,), complex64
        White noise of these frames.
    """

    LEAD = WINDOW // HOP - 1

    def __init__(self, lead_power: np.ndarray, lead_white: np.ndarray) -> None:
        turn = 2 * np.pi * np.arange(WINDOW) / WINDOW
        self._window = np.sqrt(0.5 - 0.5 * np.cos(turn)).astype(np.float32)
        self._white = lead_white[: WINDOW - HOP]
        self._tail = np.zeros((self.LEAD, HOP), np.complex64)
        self.push(lead_power, lead_white[WINDOW - HOP :])

    def push(self, power: np.ndarray, white: np.ndarray) -> np.ndarray:
        """The next samples, (n_frames * HOP,) complex64.

        Parameters
        ----------
        power : ndarray, shape (n_frames, WINDOW)
            Of each bin of the next frames; a sum of 1 gives unit power.
        white : ndarray, shape (n_frames * HOP,), complex64
            From `white_noise`.
        """
        n_frames = len(power)
        self._white = np.concatenate([self._white, white])
        frames = np.lib.stride_tricks.sliding_window_view(self._white, WINDOW)[::HOP]
        gain = np.sqrt(power, dtype=np.float32)
        gain *= np.float32(np.sqrt(WINDOW) * HOP / (self._window**2).sum())
        shaped = fft(frames * self._window, axis=1, overwrite_x=True)
        shaped *= gain
        shaped = ifft(shaped, axis=1, overwrite_x=True)
        shaped *= self._window
        output = np.zeros((n_frames + self.LEAD, HOP), np.complex64)
        output[: self.LEAD] = self._tail
        for place in range(WINDOW // HOP):
            output[place : place + n_frames] += shaped[:, place * HOP : (place + 1) * HOP]
        self._white = self._white[n_frames * HOP :]
        self._tail = output[n_frames:]
        return output[:n_frames].reshape(-1)


def gaussian_process(
    spectrum_of: Callable[[int, int], np.ndarray], n_times: int, rng: np.random.Generator
) -> np.ndarray:
    """Complex Gaussian noise with a spectrum that changes over time, all at once.

    Parameters
    ----------
    spectrum_of : callable (first, last) -> ndarray (last - first, WINDOW)
        Power of each bin (sum 1 gives unit power) of the frames of a range; frame k is centered
        at sample k * HOP.
    n_times : int
        Length, in samples.

    Returns
    -------
    samples : ndarray, shape (n_times,), complex64
    """
    shaper = Shaper(
        spectrum_of(0, 2)[[0, 0, 1]], white_noise(WINDOW - HOP + Shaper.LEAD * HOP, rng)
    )
    n_frames = -(-n_times // HOP)
    parts = []
    for first in range(0, n_frames, CHUNK):
        last = min(first + CHUNK, n_frames)
        white = white_noise((last - first) * HOP, rng)
        parts.append(shaper.push(spectrum_of(first + 2, last + 2), white))
    return np.concatenate(parts)[:n_times]
