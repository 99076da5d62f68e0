"""What a detector looks at: one number a frame, in dB, that opens an event over the threshold.

All detectors share the transform, the background, the measures and the verdict of `hbr`; they
differ in this number alone. Where the published number is no ratio of powers to the flow's, it is
put on the dB scale so that its own alarm level lies at 5 dB, the default threshold; where none is
published, the level that blood alone passes about once an hour.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from emboscope.signal.doppler import FlowBand

ALARM_DB = 5.0  # where the alarm level of a statistic that is no power ratio is put
BLOOD_CHANCE = 5e-6  # of a frame of blood alone to open an event: about one an hour
TAIL = (0.8, 0.95)
LARGEST_MARGIN_DB = 3.0
FEWEST_QUIET = 100  # frames that tell the tail
QUIET = 4.0  # reverse power over its median, above which a frame holds an artifact
CUSUM_EBR_DB = 5.0  # the embolus that the likelihood ratio expects
CUSUM_ALARM = 14.0  # of the log-likelihood ratio
KURTOSIS_S = 0.25  # window of the fourth moment
KURTOSIS_ALARM = 12.0  # excess kurtosis
SMOOTH_S = 1.0  # of the energy in the two-pass detector
QUANTILE = 0.999  # of its noise
FILTER_BINS = 3  # width of a filter of the bank


@dataclass(frozen=True)
class Evidence:
    """Frames of one block in which something was recorded.

    Attributes
    ----------
    bins : ndarray, shape (n_freqs, n_frames)
        Power of the bins of the flow band.
    forward, reverse : ndarray, shape (n_frames,)
        Power on both sides, smoothed for the search.
    expected : ndarray, shape (n_frames,)
        Forward power expected without an event, by part of the cardiac cycle.
    first_level : float
        Forward power over the first seconds of the recording.
    frame_s : float
        Step between frames, in seconds.
    raw, filtered : ndarray, shape (n_times,), complex
        The block before and after the high-pass.
    centers : ndarray of int, shape (n_frames,)
        Sample in the middle of each frame.
    band : FlowBand
        Where the flow lies.
    """

    bins: np.ndarray
    forward: np.ndarray
    reverse: np.ndarray
    expected: np.ndarray
    first_level: float
    frame_s: float
    raw: np.ndarray
    filtered: np.ndarray
    centers: np.ndarray
    band: FlowBand


Statistic = Callable[[Evidence], np.ndarray]


def decibels(ratio: np.ndarray) -> np.ndarray:
    """10 log10 of a power ratio, never under -120 dB."""
    return 10 * np.log10(np.maximum(ratio, 1e-12))


def hits_to_blood(evidence: Evidence) -> np.ndarray:
    """Power over the background that follows the heart: HBR[k] = P[k] / B_φ[k-1].

    Slow or narrow flow fluctuates more; there the ratio is lowered by what blood alone would
    exceed `ALARM_DB` by, see `blood_margin_db`.
    """
    ratio = evidence.forward / evidence.expected
    margin = blood_level_db(ratio, evidence) - ALARM_DB
    return decibels(ratio) - np.clip(margin, 0, LARGEST_MARGIN_DB)


def blood_level_db(ratio: np.ndarray, evidence: Evidence) -> float:
    """The level that a frame of blood alone passes with `BLOOD_CHANCE`, in dB.

    A sum of exponentials, as the power of blood is, has an exponential tail. Its slope is read off
    between the quantiles `TAIL`, over the frames without an event: those whose forward power is
    under twice what is expected, and whose reverse power does not rise. A shower or speech then
    does not raise the level.

    Parameters
    ----------
    ratio : ndarray, shape (n_frames,)
        A power over what is typical of it.
    """
    forward_quiet = evidence.forward < 2 * evidence.expected
    quiet = ratio[forward_quiet & (evidence.reverse < QUIET * np.median(evidence.reverse))]
    if quiet.size < FEWEST_QUIET:
        return ALARM_DB
    low, high = np.quantile(quiet, TAIL)
    slope = (high - low) / np.log((1 - TAIL[0]) / (1 - TAIL[1]))
    return float(decibels(high + slope * np.log((1 - TAIL[1]) / BLOOD_CHANCE)))


def over_blood(ratio: np.ndarray, evidence: Evidence) -> np.ndarray:
    """A ratio in dB, moved so that the level which blood passes once an hour lies at `ALARM_DB`."""
    return decibels(ratio) - blood_level_db(ratio, evidence) + ALARM_DB


def fixed_energy(evidence: Evidence) -> np.ndarray:
    """Forward energy over that of the first seconds, as the first commercial systems did.

    References
    ----------
    .. [1] van Zuilen et al. (1996): three such systems found 44 to 70 % of carotid emboli.
    """
    return decibels(evidence.forward / evidence.first_level)


def two_pass_energy(evidence: Evidence) -> np.ndarray:
    """Forward less reverse energy, over its own running mean plus the quantile of its noise.

    Pass 1 takes the mean over a second and the 99.9 % quantile of what exceeds it, both without
    frames over twice the median; pass 2 compares every frame with their sum.

    References
    ----------
    .. [1] Ménigot, adaptive energy threshold with two passes (open MATLAB and C code); the
       windows here are ours.
    """
    difference = np.maximum(evidence.forward - evidence.reverse, 0)
    typical = np.median(difference)
    quiet = np.minimum(difference, 2 * typical)
    smooth = uniform_filter1d(quiet, max(1, round(SMOOTH_S / evidence.frame_s)), mode="nearest")
    noise = np.quantile(quiet - smooth, QUANTILE)
    return ALARM_DB + decibels(difference / np.maximum(smooth + noise, 1e-30))


def cumulative_sum(evidence: Evidence) -> np.ndarray:
    """Sequential likelihood ratio of a rise in power of a complex Gaussian signal (CUSUM).

    g ← max(0, g + P/B (1 - 1/r) - ln r), r = 1 + 10^(EBR/10); alarm at `CUSUM_ALARM`. g stops at
    twice the alarm, so that it is ready again soon after a strong event.

    References
    ----------
    .. [1] Page, E. S. (1954). Continuous inspection schemes. Biometrika 41.
    """
    rise = 1 + 10 ** (CUSUM_EBR_DB / 10)
    steps = evidence.bins.sum(axis=0) / evidence.expected * (1 - 1 / rise) - np.log(rise)
    total, sums = 0.0, np.empty(steps.size)
    for k, step in enumerate(steps.tolist()):
        total = min(max(0.0, total + step), 2 * CUSUM_ALARM)
        sums[k] = total
    return ALARM_DB + decibels(sums / CUSUM_ALARM)


def energy_kurtosis(evidence: Evidence) -> np.ndarray:
    """Excess kurtosis of the energy in a window of a quarter of a second.

    References
    ----------
    .. [1] Geryes et al. (2016). Computational and Mathematical Methods in Medicine, 3243290.
    """
    width = max(4, round(KURTOSIS_S / evidence.frame_s))

    def mean(values: np.ndarray) -> np.ndarray:
        return uniform_filter1d(values, width, mode="nearest")

    energy = evidence.bins.sum(axis=0) / evidence.expected
    first, second = mean(energy), mean(energy**2)
    third, fourth = mean(energy**3), mean(energy**4)
    variance = np.maximum(second - first**2, 1e-6 * second)
    moment = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    excess = np.maximum(moment / variance**2 - 3, 0)
    return ALARM_DB + decibels(excess / KURTOSIS_ALARM)


def filter_bank(evidence: Evidence) -> np.ndarray:
    """Strongest of a bank of overlapping narrow filters, over what blood gives.

    References
    ----------
    .. [1] Markus et al. (1999). Stroke 30:1610: an embolus lies in few filters, speckle and
       artifacts in many.
    """
    bands = uniform_filter1d(evidence.bins, FILTER_BINS, axis=0, mode="constant")
    narrow = bands.max(axis=0) / evidence.expected
    frames = max(1, round(0.026 / evidence.frame_s))
    narrow = uniform_filter1d(narrow, frames, mode="nearest")
    return over_blood(narrow, evidence)
