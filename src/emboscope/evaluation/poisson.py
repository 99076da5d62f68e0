"""How often something happens, and how sure that is: counts over hours."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from emboscope.errors import DataError, SettingsError


class Rate(NamedTuple):
    """Events an hour with the ends of their interval; all NaN where no time was observed."""

    rate: float
    low: float
    high: float


class RateBin(NamedTuple):
    """A stretch of a recording: seconds, events in it, hours that could be judged, and the rate."""

    start_s: float
    stop_s: float
    n: int
    hours: float
    rate: Rate


def exact_interval(n: int, hours: float, level: float = 0.95) -> Rate:
    """Rate of a Poisson count with its exact interval, Garwood's.

    The ends are χ²(α/2; 2n)/2T and χ²(1 − α/2; 2n + 2)/2T; the lower end of n = 0 is 0.

    Parameters
    ----------
    n : int
        Events.
    hours : float
        Time in which they could have been seen.
    level : float
        Probability that the interval covers the true rate, at least.

    Raises
    ------
    DataError
        If the count or the time is negative.
    SettingsError
        If the level is not between 0 and 1.

    Examples
    --------
    >>> [round(end, 2) for end in exact_interval(4, 2.0)]
    [2.0, 0.54, 5.12]
    """
    if n < 0 or hours < 0:
        raise DataError(f"rate: {n} events in {hours} h; expected no negative number. Check both.")
    if not 0 < level < 1:
        raise SettingsError(f"level: {level}; expected a number between 0 and 1. 0.95 is usual.")
    if not hours > 0:
        return Rate(np.nan, np.nan, np.nan)
    tail = (1 - level) / 2
    low = chi2.ppf(tail, 2 * n) / 2 if n else 0.0
    high = chi2.ppf(1 - tail, 2 * n + 2) / 2
    return Rate(n / hours, float(low / hours), float(high / hours))


def rate_over_time(
    times_s: Sequence[float], evaluable: Sequence[tuple[float, float]], bin_s: float
) -> tuple[RateBin, ...]:
    """Rate in stretches of equal length, each over the time that could be judged in it.

    Parameters
    ----------
    times_s : sequence of float
        When the events happened, in seconds.
    evaluable : sequence of (start_s, stop_s)
        Stretches that could be judged, in order and apart. The last one ends the last bin.
    bin_s : float
        Length of a bin, in seconds.

    Raises
    ------
    SettingsError
        If the bins have no length.
    """
    if not bin_s > 0:
        raise SettingsError(f"bin_s: {bin_s}; expected a positive number of seconds.")
    end = max((stop for _, stop in evaluable), default=0.0)
    edges = np.minimum(np.arange(np.ceil(end / bin_s) + 1) * bin_s, end)
    # of the last edge too: an event at the very end belongs to the last bin
    counts, _ = np.histogram(times_s, edges) if edges.size > 1 else (np.zeros(0, int), edges)
    bins = []
    for start, stop, n in zip(edges[:-1], edges[1:], counts, strict=True):
        seconds = sum(max(0.0, min(stop, b) - max(start, a)) for a, b in evaluable)
        hours = float(seconds) / 3600
        rate = exact_interval(int(n), hours)
        bins.append(RateBin(float(start), float(stop), int(n), hours, rate))
    return tuple(bins)
