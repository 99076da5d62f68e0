"""Where a recording can be trusted: clipping, dropouts, flow, and whether it is Doppler at all."""

from dataclasses import dataclass

import numpy as np

from emboscope.signal.spectrum import HighPass, stft

DROPOUT_S = 0.05  # a shorter constant run is no dropout
SATURATED_S = 1.0
NO_FLOW_S = 1.0
CLIP_GAP_S = 0.01  # clipped samples closer than that belong together
HIGHPASS_HZ = 150.0
FLOW_DB = 3.0


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


def unusable_intervals(samples: np.ndarray, sfreq: float) -> list[Interval]:
    """Stretches that cannot be judged and leave the evaluable time, in order of their start.

    Parameters
    ----------
    samples : ndarray, shape (n_times,), complex
        I + jQ of one gate, unfiltered, in fractions of full scale.
    sfreq : float
        In Hz.

    Returns
    -------
    intervals : list of Interval
        Stretches of different reasons do not overlap: a dropout goes before saturation, and both
        before no flow.
    """
    masks = {
        "dropout": _dropouts(samples, sfreq),
        "saturated": _saturated(samples, sfreq),
        "no flow": _without_flow(samples, sfreq),
    }
    intervals, taken = [], np.zeros(samples.size, bool)
    for reason, mask in masks.items():
        intervals += [
            Interval(start / sfreq, stop / sfreq, reason) for start, stop in _runs(mask & ~taken)
        ]
        taken |= mask
    return sorted(intervals, key=lambda interval: interval.start_s)


def _runs(mask: np.ndarray) -> np.ndarray:
    """Start and end, exclusive, of each run of True, (n_runs, 2)."""
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False].astype(np.int8)))
    return edges.reshape(-1, 2)


def _mask(runs: np.ndarray, size: int) -> np.ndarray:
    steps = np.zeros(size + 1, np.int8)
    steps[runs[:, 0]] = 1
    np.subtract.at(steps, runs[:, 1], 1)
    return np.cumsum(steps[:-1]).astype(bool)


def _dropouts(samples: np.ndarray, sfreq: float) -> np.ndarray:
    """Runs of one value of I and Q of 50 ms or more, unless it is full scale."""
    same = samples[1:] == samples[:-1]
    runs = _runs(same)
    runs[:, 1] += 1
    clips = clipped(samples)
    kept = (runs[:, 1] - runs[:, 0] >= DROPOUT_S * sfreq) & ~clips[runs[:, 0]]
    return _mask(runs[kept], samples.size)


def _saturated(samples: np.ndarray, sfreq: float) -> np.ndarray:
    """Clipped samples, joined over 10 ms, where that lasts more than 1 s."""
    runs = _runs(clipped(samples))
    if not len(runs):
        return np.zeros(samples.size, bool)
    apart = runs[1:, 0] - runs[:-1, 1] > CLIP_GAP_S * sfreq
    joined = np.stack([runs[np.r_[True, apart], 0], runs[np.r_[apart, True], 1]], axis=1)
    return _mask(joined[joined[:, 1] - joined[:, 0] > SATURATED_S * sfreq], samples.size)


def _without_flow(samples: np.ndarray, sfreq: float) -> np.ndarray:
    """Whole seconds whose mean spectrum above the high-pass is flat, and dropouts in them.

    Flow lifts the strongest quarter of the bins 3 dB over the weakest; of white noise they lie
    about 1 dB apart.
    """
    step = int(NO_FLOW_S * sfreq)
    flat = np.zeros(samples.size, bool)
    samples = HighPass(sfreq, HIGHPASS_HZ)(samples) if samples.size else samples
    for start in range(0, samples.size - step + 1, step):
        spectrum = stft(samples[start : start + step], sfreq)
        level = spectrum.power[np.abs(spectrum.freqs) > HIGHPASS_HZ].mean(axis=1)
        quarter = max(1, level.size // 4)
        level = np.sort(level)
        weak, strong = level[:quarter].mean(), level[-quarter:].mean()
        flat[start : start + step] = strong < 10 ** (FLOW_DB / 10) * weak
    return flat
