"""Heartbeats as rows of 187 samples, and where the R peaks of a recording are. Arrays only."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

N_TIMES = 187  # samples of a row
OVERLAP = 0.2  # of the next interval, that still belongs to a row

QRS_BAND_HZ = (5.0, 15.0)  # where most of the energy of a QRS complex is
SMOOTHING_S = 0.12  # about the length of a QRS complex
LEVEL_S = 2.0  # at least one beat lies in this at 30 a minute
THRESHOLD = 0.3  # of the energy of a typical beat
REFRACTORY_S = 0.25  # no two beats are closer
REACH_S = 0.08  # from the middle of the energy to the peak


def cut_beats(
    signal: np.ndarray, marks: np.ndarray, chosen: Sequence[int] | np.ndarray, step: int = 1
) -> np.ndarray:
    """Rows from a mark to the next one and a fifth of the interval after it.

    Each is brought to [0, 1] over all of its samples, then cut to 187, or filled with zeros to the
    right. A constant one is 0.

    Parameters
    ----------
    signal : ndarray, shape (n_times,)
        One channel, in any unit: a row depends neither on gain nor on offset.
    marks : ndarray of int, shape (n_marks,)
        Samples, ascending. After the last one the end of the signal counts as a mark.
    chosen : sequence of int
        Which marks a row begins at; none of them the last.
    step : int
        Every how many samples are kept.

    Returns
    -------
    rows : ndarray of float32, shape (n_chosen, 187)
    """
    limits = np.append(marks, len(signal))
    rows = np.zeros((len(chosen), N_TIMES), np.float32)
    for row, i in zip(rows, chosen, strict=True):
        stop = int(limits[i + 1] + OVERLAP * (limits[i + 2] - limits[i + 1]))
        beat = signal[limits[i] : max(stop, limits[i] + 1) : step].astype(np.float64)
        span = np.ptp(beat)
        scaled = (beat - beat.min()) / span if span > 0 else np.zeros_like(beat)
        row[: len(beat)] = scaled[:N_TIMES]
    return rows


def find_r_peaks(signal: np.ndarray, sfreq: float) -> np.ndarray:
    """Where the R peaks of an electrocardiogram are.

    A simple relative of [1]_, that sees all of the recording: from 5 to 15 Hz, without delay; the
    square of the slope, smoothed over 0.12 s; its maxima at least 0.25 s apart and above 0.3 of a
    typical one, which is the median of the largest ones in spans of 2 s. The R peak is then the
    largest deflection of the band within 0.08 s, up or down, so that a beat whose QRS complex
    points down is found at the same place every time.

    Parameters
    ----------
    signal : ndarray, shape (n_times,)
        One lead, in any unit.
    sfreq : float
        In Hz, above 30.

    Returns
    -------
    peaks : ndarray of int64, shape (n_peaks,)
        Samples, ascending; none in a signal that is a straight line, or shorter than 2 s.

    References
    ----------
    .. [1] Pan, J., Tompkins, W. J. (1985). A real-time QRS detection algorithm. IEEE Transactions
       on Biomedical Engineering, 32(3), 230-236.
    """
    width = round(LEVEL_S * sfreq)
    if len(signal) < width:
        return np.empty(0, np.int64)
    band = sosfiltfilt(butter(2, QRS_BAND_HZ, "bandpass", fs=sfreq, output="sos"), signal)
    energy = uniform_filter1d(np.gradient(band) ** 2, round(SMOOTHING_S * sfreq))
    spans = energy[: len(energy) // width * width].reshape(-1, width)
    typical = np.median(spans.max(axis=1))
    if typical <= np.finfo(float).eps * np.square(signal).max():  # rounding of the filter
        return np.empty(0, np.int64)
    found, _ = find_peaks(energy, height=THRESHOLD * typical, distance=round(REFRACTORY_S * sfreq))
    reach = round(REACH_S * sfreq)
    first = np.maximum(found - reach, 0)
    peaks = [
        start + np.abs(band[start : at + reach + 1]).argmax()
        for start, at in zip(first, found, strict=True)
    ]
    return np.unique(np.array(peaks, np.int64))
