"""Where a recording can be trusted: clipping and dropouts."""

import numpy as np


def clipped(samples: np.ndarray, full_scale: float = 0.999) -> np.ndarray:
    """Samples in runs of two or more whose I or Q reaches full scale, (n_times,) of bool."""

    def runs(high: np.ndarray) -> np.ndarray:
        pair = high[1:] & high[:-1]
        return np.r_[pair, False] | np.r_[False, pair]

    return runs(np.abs(samples.real) >= full_scale) | runs(np.abs(samples.imag) >= full_scale)


def evaluable_frames(
    samples: np.ndarray, window: int, hop: int, silence: float = 1e-10
) -> np.ndarray:
    """Frames in which the signal moves at all, (n_frames,) of bool; a dropout is constant.

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
    return frames.var(axis=1) > silence
