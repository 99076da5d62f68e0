"""Segments of a recording around its events, as a front end cuts them."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

from emboscope.representations.front_end import FrontEnd
from emboscope.signal.source import Source

RUN_IN_S = 1.0  # of signal before a segment, in which the high-pass settles
AFTER_S = 0.05  # after it, for the filter of another sampling rate


def cut_segments(source: Source, peaks_s: Sequence[float], chain: FrontEnd) -> np.ndarray:
    """The segments around the peaks of events, as the front end cuts them from the whole recording.

    Only the signal around each event is read; gate 1 where there are several. Another sampling
    rate is brought to that of the front end.

    Returns
    -------
    segments : ndarray of float32, shape (n_events, n_channels, n_times)
    """
    segments = np.empty((len(peaks_s), chain.n_channels, chain.n_times), np.float32)
    ratio = Fraction(chain.sfreq / source.sfreq).limit_denominator(1000)
    before = RUN_IN_S + chain.peak_sample / chain.sfreq
    after = AFTER_S + (chain.n_times - chain.peak_sample) / chain.sfreq
    for row, peak_s in enumerate(peaks_s):
        first = max(0, round((peak_s - before) * source.sfreq))
        last = min(source.n_times, round((peak_s + after) * source.sfreq))
        line = source.read(first, last)[:1]
        if ratio != 1:
            line = resample_poly(line, ratio.numerator, ratio.denominator, axis=1)
        peak = round((peak_s - first / source.sfreq) * chain.sfreq)
        segments[row] = chain.cut(line, [peak])[0]
    return segments
