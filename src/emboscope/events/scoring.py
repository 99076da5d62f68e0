"""Detections against a reference, event by event."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Protocol

import numpy as np

from emboscope.errors import DataError
from emboscope.events.event import Event

EBR_BANDS_DB = ((3, 5), (5, 7), (7, 10), (10, 20), (20, 100))


class Reference(Protocol):
    """What a true event must tell; `ebr_db` where it is known."""

    @property
    def peak_s(self) -> float:
        """Time of the peak, in seconds."""

    @property
    def label(self) -> str:
        """What it is."""


@dataclass(frozen=True)
class Score:
    """Event-level figures of one recording or of several together.

    Attributes
    ----------
    hits, misses, false : int
        Matched reference events, unmatched ones, unmatched detections.
    evaluable_h : float
        Hours in which an event could have been found.
    by_band : tuple of (low_db, high_db, found, total)
        Reference events by their embolus-to-blood ratio.
    """

    hits: int
    misses: int
    false: int
    evaluable_h: float
    by_band: tuple[tuple[float, float, int, int], ...] = ()

    @property
    def sensitivity(self) -> float:
        """Share of the reference events that were found; NaN without any."""
        return _share(self.hits, self.hits + self.misses)

    @property
    def ppv(self) -> float:
        """Share of the detections that are right; NaN without any."""
        return _share(self.hits, self.hits + self.false)

    @property
    def f1(self) -> float:
        """Also the proportion of specific agreement of the TCD literature (Siebler 1994)."""
        return _share(2 * self.hits, 2 * self.hits + self.misses + self.false)

    @property
    def false_per_hour(self) -> float:
        """False detections an evaluable hour; NaN without evaluable time."""
        return self.false / self.evaluable_h if self.evaluable_h > 0 else float("nan")

    def __add__(self, other: "Score") -> "Score":
        bands = tuple(
            (low, high, found + more_found, total + more_total)
            for (low, high, found, total), (_, _, more_found, more_total) in zip(
                self.by_band, other.by_band, strict=True
            )
        )
        return Score(
            self.hits + other.hits,
            self.misses + other.misses,
            self.false + other.false,
            self.evaluable_h + other.evaluable_h,
            bands,
        )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def match(detected_s: np.ndarray, reference_s: np.ndarray, tolerance_s: float) -> np.ndarray:
    """Largest one-to-one matching of two lists of times.

    On a line, pairing the earliest that fit is a maximum matching.

    Parameters
    ----------
    detected_s, reference_s : ndarray, shapes (n_detected,) and (n_reference,)
        In seconds, in any order.
    tolerance_s : float
        Largest distance of a pair, in seconds.

    Returns
    -------
    pairs : ndarray of int, shape (n_pairs, 2)
        Indices into the two lists.
    """
    left, right = np.argsort(detected_s, kind="stable"), np.argsort(reference_s, kind="stable")
    pairs, i, j = [], 0, 0
    while i < left.size and j < right.size:
        distance = detected_s[left[i]] - reference_s[right[j]]
        if abs(distance) <= tolerance_s:
            pairs.append((left[i], right[j]))
            i, j = i + 1, j + 1
        elif distance < 0:
            i += 1
        else:
            j += 1
    return np.array(pairs, int).reshape(-1, 2)


def merge(times_s: np.ndarray, within_s: float = 0.03) -> np.ndarray:
    """Detections less than `within_s` after the one before are one; the first stands."""
    ordered = np.sort(times_s)
    return ordered[np.diff(ordered, prepend=-np.inf) >= within_s]


def score_times(
    detected_s: np.ndarray,
    reference_s: np.ndarray,
    evaluable_h: float,
    tolerance_s: float = 0.05,
    reference_ebr_db: np.ndarray | None = None,
) -> Score:
    """Score of one recording.

    Parameters
    ----------
    detected_s, reference_s : ndarray
        Peak times of the emboli, in seconds.
    evaluable_h : float
        Evaluable time, in hours.
    tolerance_s : float
        See `match`.
    reference_ebr_db : ndarray, shape (n_reference,), optional
        Embolus-to-blood ratios, for the sensitivity by band.

    Raises
    ------
    DataError
        If a time is not finite.
    """
    detected_s, reference_s = np.asarray(detected_s, float), np.asarray(reference_s, float)
    if not (np.isfinite(detected_s).all() and np.isfinite(reference_s).all()):
        raise DataError("events: a peak time is not a number. Correct the peak_s column.")
    detected_s = merge(detected_s)
    pairs = match(detected_s, reference_s, tolerance_s)
    found = np.zeros(reference_s.size, bool)
    found[pairs[:, 1]] = True
    ebr = np.full(reference_s.size, np.nan) if reference_ebr_db is None else reference_ebr_db
    bands = tuple(
        (low, high, int(found[inside].sum()), int(inside.sum()))
        for low, high in EBR_BANDS_DB
        for inside in [(ebr >= low) & (ebr < high)]
    )
    n = len(pairs)
    return Score(n, reference_s.size - n, detected_s.size - n, evaluable_h, bands)


def score_events(
    events: Sequence[Event],
    reference: Sequence[Event | Reference],
    tolerance_s: float = 0.05,
    evaluable_h: float = float("nan"),
) -> Score:
    """Score detected events against a reference, emboli against emboli.

    Parameters
    ----------
    events : sequence of Event
    reference : sequence
        Events, or true events of the simulator; what their label or verdict calls an embolus.
    tolerance_s : float
        See `match`.
    evaluable_h : float
        Hours in which an event could have been found; without them there is no rate.
    """
    true = [each for each in reference if _is_embolus(each)]
    return score_times(
        np.array([event.peak_s for event in events if event.is_embolus]),
        np.array([each.peak_s for each in true]),
        evaluable_h,
        tolerance_s,
        np.array([getattr(each, "ebr_db", np.nan) for each in true]),
    )


def _is_embolus(each: Event | Reference) -> bool:
    if isinstance(each, Event):
        return each.is_embolus
    return each.label not in {"artifact", "unknown"}


def period_kappa(
    detected_s: np.ndarray, reference_s: np.ndarray, duration_s: float, period_s: float = 1.0
) -> float:
    """Cohen's κ of "an embolus in this period" between detections and reference.

    The measure of the older literature (van Zuilen 1996), for comparison. NaN where neither holds
    any event.
    """
    n = max(1, int(np.ceil(duration_s / period_s)))
    both = np.zeros((2, n), bool)
    for row, times in zip(both, (detected_s, reference_s), strict=True):
        row[np.clip((np.asarray(times) // period_s).astype(int), 0, n - 1)] = True
    rates = both.mean(axis=1)
    chance = float(rates[0] * rates[1] + (1 - rates[0]) * (1 - rates[1]))
    agreed = float((both[0] == both[1]).mean())
    return (agreed - chance) / (1 - chance) if chance < 1 else float("nan")


def bootstrap_interval(
    scores: Sequence[Score], figure: Callable[[Score], float], n_draws: int = 2000
) -> tuple[float, float]:
    """95 % interval of a figure of all recordings together, by drawing recordings anew.

    NaN with fewer than two recordings. The draws are the same at every call.
    """
    if len(scores) < 2:
        return float("nan"), float("nan")
    draws = np.random.default_rng(0).integers(len(scores), size=(n_draws, len(scores)))
    values = [figure(reduce(add, (scores[k] for k in draw))) for draw in draws]
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(low), float(high)
