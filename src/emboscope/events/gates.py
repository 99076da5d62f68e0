"""Two gates: an embolus passes one after the other, an artifact is in both at once."""

from dataclasses import replace

import numpy as np
from scipy.fft import fft, fftfreq, ifft
from scipy.ndimage import uniform_filter1d

from emboscope.events.block import Acquisition, Block
from emboscope.events.event import Event

REACH_S = 0.06  # on each side of the peak
LONGEST_S = 0.034  # delay between gates at least 5 mm apart
TOGETHER_S = 0.001  # under it the gates saw it at once
DELAY_S = (0.001, 0.020)  # of an embolus
SMOOTH_S = 0.005
RISE = 2.0  # of the power in the second gate, else it is not seen there


def gate_delay(first: np.ndarray, second: np.ndarray, sfreq: float) -> float | None:
    """Delay of a transient from one gate to the other, in seconds, by cross-correlation.

    Parameters
    ----------
    first, second : ndarray, shape (n_times,)
        Power of the two gates around the event.

    Returns
    -------
    delay_s : float or None
        Positive when the second gate sees it later; None where the second gate sees nothing.
    """
    if second.max() < RISE * np.median(second):
        return None
    a, b = first - np.median(first), second - np.median(second)
    correlation = np.correlate(b, a, "full")
    lags = np.arange(-a.size + 1, a.size)
    near = np.abs(lags) <= LONGEST_S * sfreq
    correlation, lags = correlation[near], lags[near]
    k = int(np.argmax(correlation))
    if not 0 < k < lags.size - 1:
        return float(lags[k] / sfreq)
    left, middle, right = correlation[k - 1 : k + 2]
    shift = 0.5 * (left - right) / (left - 2 * middle + right)
    return float((lags[k] + shift) / sfreq)


def _flow_power(samples: np.ndarray, frequency_hz: float, sfreq: float) -> np.ndarray:
    """Power on the side of the event's frequency above 150 Hz, smoothed over `SMOOTH_S`."""
    freqs = fftfreq(samples.size, 1 / sfreq)
    along = freqs if frequency_hz > 0 else -freqs
    part = ifft(np.where(along > 150, fft(samples), 0))
    return uniform_filter1d(np.abs(part) ** 2, max(1, round(SMOOTH_S * sfreq)))


def judge_by_delay(event: Event, block: Block, acquisition: Acquisition) -> Event:
    """Revise the verdict of an event by its delay between two gates.

    At once in both (`TOGETHER_S`): artifact. Within `DELAY_S`: embolus, even where the criteria
    doubted. Else, or unseen in the second gate, the verdict stays.

    Parameters
    ----------
    event : Event
    block : Block
        Two gates or more, high-passed: clutter is in all at once.
    acquisition : Acquisition

    References
    ----------
    .. [1] Lindner et al. (1997). Eur J Med Res 2:299: 1-20 ms kept 89.6 % of the emboli and
       rejected 97 % of the artifacts.
    """
    sfreq = acquisition.sfreq
    center = round((event.peak_s - block.start_s) * sfreq)
    reach = round(REACH_S * sfreq)
    around = block.gates[:, max(0, center - reach) : center + reach]
    first, second = (_flow_power(gate, event.frequency_hz, sfreq) for gate in around[:2])
    delay = gate_delay(first, second, sfreq)
    if delay is None:
        return event
    if abs(delay) < TOGETHER_S:
        return replace(event, verdict="artifact")
    if event.verdict == "doubtful" and DELAY_S[0] <= abs(delay) <= DELAY_S[1]:
        return replace(event, verdict="embolus")
    return event
