"""When emboli and artifacts come."""

import numpy as np

MARGIN_S = 1.0  # no event lies nearer to an end of the recording
SHOWER_SIZE = (3, 300)  # bubbles, logarithmically uniform
SHOWER_SPAN_S = (1.0, 20.0)
WAKING_HOURS = (7.0, 23.0)
ASLEEP = 0.2  # artifacts of a sleeping patient over those of one who is awake


def bursts(
    rate_h: float, burst: tuple[float, float], duration_s: float, rng: np.random.Generator
) -> np.ndarray:
    """Times of a Poisson process of bursts, ascending.

    Parameters
    ----------
    rate_h : float
        Events an hour, all bursts together.
    burst : tuple of float
        Mean number in a burst (one and a Poisson number), and seconds within which they lie.
    """
    mean, span_s = burst
    starts = rng.uniform(0, duration_s, rng.poisson(rate_h / mean * duration_s / 3600))
    sizes = 1 + rng.poisson(mean - 1, starts.size)
    times = np.repeat(starts, sizes)
    late = np.arange(times.size) != np.repeat(np.cumsum(sizes) - sizes, sizes)
    return _inside(times + late * rng.uniform(0, span_s, times.size), duration_s)


def showers(rate_h: float, duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """Times of bubbles that come in showers, `rate_h` in all, ascending."""
    low, high = SHOWER_SIZE
    mean = (high - low) / np.log(high / low)
    times = [np.zeros(0)]
    for start in rng.uniform(0, duration_s, rng.poisson(rate_h / mean * duration_s / 3600)):
        size = round(np.exp(rng.uniform(np.log(low), np.log(high))))
        times.append(start + rng.uniform(0, rng.uniform(*SHOWER_SPAN_S), size))
    return _inside(np.concatenate(times), duration_s)


def _inside(times: np.ndarray, duration_s: float) -> np.ndarray:
    return np.sort(times[(times >= MARGIN_S) & (times <= duration_s - MARGIN_S)])


def awake(times: np.ndarray, start_hour: float, rng: np.random.Generator) -> np.ndarray:
    """Those of the times that remain when a patient is calmer at night."""
    hour = (start_hour + times / 3600) % 24
    day = (hour >= WAKING_HOURS[0]) & (hour < WAKING_HOURS[1])
    return times[day | (rng.random(times.size) < ASLEEP)]
