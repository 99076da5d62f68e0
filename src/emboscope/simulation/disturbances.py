"""What interrupts the flow for a while: loss of contact, a cough, a new position of the probe."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

RAMP_S = 0.05  # within which a disturbance comes and goes


@dataclass(frozen=True)
class Disturbances:
    """Spans in which the signal is weaker or the flow faster or slower.

    Attributes
    ----------
    onsets_s, lengths_s : ndarray, shape (n,)
        Ascending onsets.
    losses_db : ndarray, shape (n,)
        By how much blood and wall are weaker, ≥ 0.
    changes : ndarray, shape (n,)
        Relative change of the velocity.
    """

    onsets_s: np.ndarray
    lengths_s: np.ndarray
    losses_db: np.ndarray
    changes: np.ndarray

    def at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Factor on the amplitude, and factor on the velocity, at ascending times."""
        loss, change = np.zeros(times.size), np.zeros(times.size)
        longest = self.lengths_s.max(initial=0.0)
        first = np.searchsorted(self.onsets_s, times[0] - longest)
        last = np.searchsorted(self.onsets_s, times[-1])
        for place in range(first, last):
            onset, length = self.onsets_s[place], self.lengths_s[place]
            inside = slice(*np.searchsorted(times, [onset, onset + length]))
            since = times[inside] - onset
            ramp = min(RAMP_S, length / 3)
            shape = np.clip(np.minimum(since, length - since) / ramp, 0, 1)
            loss[inside] += shape * self.losses_db[place]
            change[inside] += shape * self.changes[place]
        return 10 ** (-loss / 20), np.maximum(1 + change, 0.2)


def disturbances(spans: list[tuple[float, float, float, float]]) -> Disturbances:
    """From (onset_s, length_s, loss_db, change) in any order."""
    table = np.array(sorted(spans), dtype=float).reshape(-1, 4)
    return Disturbances(*table.T)


@dataclass(frozen=True)
class Steps:
    """Changes that stay, or fade as an automatic gain makes up for them.

    Attributes
    ----------
    times_s : ndarray, shape (n,)
        Ascending.
    sizes : ndarray, shape (n,)
    fade_s : float
        Time constant; infinite where the changes stay.
    """

    times_s: np.ndarray
    sizes: np.ndarray
    fade_s: float = np.inf

    @cached_property
    def _after(self) -> np.ndarray:
        """Sum of the changes before the first step, and just after each."""
        sums = np.zeros(self.times_s.size + 1)
        gaps = np.diff(self.times_s, prepend=0.0)
        for place, (gap, size) in enumerate(zip(gaps, self.sizes, strict=True)):
            sums[place + 1] = sums[place] * np.exp(-gap / self.fade_s) + size
        return sums

    def at(self, times: np.ndarray) -> np.ndarray:
        """Sum of the changes so far, at each time."""
        last = np.searchsorted(self.times_s, times, side="right")
        since = times - np.concatenate([[0.0], self.times_s])[last]
        return self._after[last] * np.exp(-since / self.fade_s)
