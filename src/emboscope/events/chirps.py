"""The fractional Fourier detector: the frame that a chirp turns into a line."""

import numpy as np
from scipy.fft import fft
from scipy.signal import get_window

from emboscope.events.statistics import Evidence, over_blood
from emboscope.events.wavelets import smooth

WINDOW = 128  # samples; a chirp needs a longer look than a line
RATES_HZ_S = (-16e3, -8e3, -4e3, 0.0, 4e3, 8e3, 16e3)  # an upstroke of systole is about 17 kHz/s
BATCH = 8192  # frames at once


def fractional_fourier(evidence: Evidence) -> np.ndarray:
    """Largest energy in one bin of the fractional Fourier transform, over what blood gives.

    The magnitude of the transform at angle α is that of the Fourier transform of the signal times
    exp(jπ cot α t²), on a stretched axis: each order undoes one chirp rate. The best of
    `RATES_HZ_S` is taken.

    References
    ----------
    .. [1] Gençer et al. (2013) used the transform for embolic signals; orders and window are ours.
    """
    sfreq = evidence.band.sfreq
    times = (np.arange(WINDOW) - WINDOW / 2) / sfreq
    shape = get_window("hann", WINDOW)
    padded = np.pad(evidence.filtered, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)
    along = evidence.band.unwrap(np.fft.fftfreq(WINDOW, 1 / sfreq))
    flow = (along > evidence.band.low_hz) & (along <= evidence.band.high_hz)
    best = np.zeros(evidence.centers.size)
    for start in range(0, best.size, BATCH):
        own = frames[evidence.centers[start : start + BATCH]]
        for rate in RATES_HZ_S:
            turn = (shape * np.exp(-1j * np.pi * rate * times**2)).astype(np.complex64)
            lines = np.abs(fft(own * turn, axis=1)[:, flow]) ** 2
            part = best[start : start + BATCH]
            np.maximum(part, lines.max(axis=1), out=part)
    return over_blood(smooth(best / evidence.expected, evidence.frame_s), evidence)
