"""Showers: many emboli at once, which are counted but hardly apart."""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import PositiveFloat, PositiveInt

from emboscope.settings import Settings


class ShowerSettings(Settings):
    """When emboli are a shower."""

    window_s: PositiveFloat = 10.0
    minimum: PositiveInt = 5  # in any window of that length


class Shower(NamedTuple):
    """A shower: from its first peak to its last, in seconds, and how many emboli were found."""

    start_s: float
    stop_s: float
    n: int


def showers(peaks_s: Sequence[float], window_s: float, minimum: int) -> tuple[Shower, ...]:
    """Stretches in which every embolus has `minimum` of them in a window around it.

    Windows that share an embolus are one shower.

    Parameters
    ----------
    peaks_s : sequence of float
        Peaks of the emboli, in seconds, in any order.
    window_s : float
        Length of the window, in seconds, both ends included.
    minimum : int
        Emboli in it, at least.

    Examples
    --------
    >>> showers([1, 2, 3, 4, 5, 400], window_s=10, minimum=5)
    (Shower(start_s=1.0, stop_s=5.0, n=5),)
    """
    peaks = sorted(float(peak) for peak in peaks_s)
    spans: list[tuple[int, int]] = []
    for first in range(len(peaks) - minimum + 1):
        last = first + minimum - 1
        if peaks[last] - peaks[first] > window_s:
            continue
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    return tuple(Shower(peaks[first], peaks[last], last - first + 1) for first, last in spans)
