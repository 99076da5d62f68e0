"""Where a recording can be trusted: clipping, dropouts, flow, and whether it is Doppler at all."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A stretch that cannot be judged.

    Attributes
    ----------
    start_s, stop_s : float
        From the first sample given.
    reason : str
        `dropout`: constant, so nothing was recorded. `saturated`: clipped for more than 1 s.
        `no flow`: nothing but noise for 1 s or more.
    """

    start_s: float
    stop_s: float
    reason: str


def clipped(samples: np.ndarray, full_scale: float = 0.999) -> np.ndarray:
    """Samples in runs of two or more whose I or Q reaches full scale, (n_times,) of bool."""

    def runs(high: np.ndarray) -> np.ndarray:
        if not high.any():
            return high
        pair = high[1:] & high[:-1]
        return np.r_[pair, False] | np.r_[False, pair]

    return runs(np.abs(samples.real) >= full_scale) | runs(np.abs(samples.imag) >= full_scale)


def evaluable_frames(
    samples: np.ndarray, window: int, hop: int, silence: float = 1e-10
) -> np.ndarray:
    """Frames in which both I and Q move, (n_frames,) of bool; a dropout is constant.

    Parameters
    ----------
    samples : ndarray, shape (n_times,), complex
        I + jQ in fractions of full scale.
    window, hop : int
        As in `spectrum.stft`.
    silence : float
        Variance of a frame, in full scale squared, under which nothing was recorded.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    return np.minimum(frames.real.var(axis=1), frames.imag.var(axis=1)) > silence / 2


def dc_offset(samples: np.ndarray) -> complex:
    """Mean of I and Q, in fractions of full scale."""
    return complex(np.mean(samples, dtype=np.complex128))


def circularity(samples: np.ndarray) -> float:
    """How far from quadrature a signal is: |mean z²| / mean |z|², its mean removed.

    Near 0 for Doppler flow; 1 where I and Q are one real signal, such as music or an ECG. NaN
    where nothing moves.
    """
    centered = samples.astype(np.complex128) - dc_offset(samples)
    power = np.mean(np.abs(centered) ** 2)
    return float(np.abs(np.mean(centered**2)) / power) if power > 0 else float("nan")
