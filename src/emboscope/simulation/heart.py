"""The heart: when it beats, and what shape it gives the velocity of the flow."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SYSTOLE = 0.13  # phase of the peak


@dataclass(frozen=True)
class Heart:
    """How the heart drives the flow of one patient.

    Attributes
    ----------
    mean_cm_s : float
        Mean over a beat of the largest velocity in the vessel.
    pulsatility : float
        (systole - diastole) / mean.
    rate_bpm, variation : float
        Heart rate, and standard deviation of the beats over their mean.
    """

    mean_cm_s: float
    pulsatility: float
    rate_bpm: float
    variation: float


def _raw_shape(phase: np.ndarray) -> np.ndarray:
    """Systolic peak, two later waves and a decay, of any scale."""

    def bump(mean: float, sd: float) -> np.ndarray:
        return np.exp(-((phase - mean) ** 2) / (2 * sd**2))

    decay = np.where(phase > SYSTOLE, np.exp(-(phase - SYSTOLE) / 0.5), 0.0)
    return bump(SYSTOLE, 0.045) + 0.62 * bump(0.24, 0.07) + 0.38 * bump(0.44, 0.09) + 0.45 * decay


@lru_cache(maxsize=1)
def _scale() -> tuple[float, float, float]:
    """Smallest and largest raw value of a beat, and the mean of the scaled one."""
    grid = _raw_shape(np.linspace(0, 1, 512, endpoint=False))
    low, high = float(grid.min()), float(grid.max())
    return low, high, float((grid.mean() - low) / (high - low))


def beat_shape(phase: np.ndarray) -> np.ndarray:
    """Velocity over one beat, 0 at the end of diastole and 1 at the peak of systole.

    Parameters
    ----------
    phase : ndarray
        In [0, 1).
    """
    low, high, _ = _scale()
    return (_raw_shape(np.asarray(phase)) - low) / (high - low)


def mean_shape() -> float:
    """Mean of `beat_shape` over a beat."""
    return _scale()[2]


@dataclass(frozen=True)
class Beats:
    """The beats of one session.

    Attributes
    ----------
    starts_s : ndarray, shape (n_beats,)
        Ascending; the first lies before 0.
    lengths_s : ndarray, shape (n_beats,)
    strengths : ndarray, shape (n_beats,)
        Pulsatility of the beat over the patient's.
    """

    starts_s: np.ndarray
    lengths_s: np.ndarray
    strengths: np.ndarray

    def at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Phase in [0, 1), and strength of the beat, at each time in seconds."""
        beat = np.clip(np.searchsorted(self.starts_s, times, side="right") - 1, 0, None)
        phase = (times - self.starts_s[beat]) / self.lengths_s[beat]
        return np.clip(phase, 0.0, 1 - 1e-9), self.strengths[beat]


def draw_beats(heart: Heart, duration_s: float, rng: np.random.Generator) -> Beats:
    """Beats over a session, 5 s longer at both ends; their lengths vary as the heart says."""
    mean_s = 60 / heart.rate_bpm
    n_beats = int((duration_s + 10) / mean_s * 1.2) + 20
    lengths = mean_s * np.clip(1 + heart.variation * rng.standard_normal(n_beats), 0.5, 1.8)
    starts = -5 - rng.uniform(0, mean_s) + np.concatenate([[0.0], lengths[:-1].cumsum()])
    return Beats(starts, lengths, 1 + 0.05 * rng.standard_normal(n_beats))
