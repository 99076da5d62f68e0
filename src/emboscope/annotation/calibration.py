"""What to expect of a propagation before it is accepted: hidden labels, found again."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt
from scipy.stats import beta

from emboscope.annotation.held_out import HeldOut, hold_out_labels, judged_samples
from emboscope.annotation.nearest import LQKNN
from emboscope.annotation.propagation import Propagator
from emboscope.annotation.situation import Situation
from emboscope.errors import DataError
from emboscope.settings import Settings

FEW_LABELS = 30  # below this many, an expected error is a guess


class CalibrationSettings(Settings):
    """Which settings are tried, and how. Every default stands here and nowhere else."""

    ks: tuple[PositiveInt, ...] = (5, 10, 20)
    thresholds: tuple[NonNegativeFloat, ...] = (0.0, 0.1, 0.2, 0.3, 0.5)
    n_folds: PositiveInt = 5  # a fifth of the labels is hidden at a time
    n_repeats: PositiveInt = 1
    seed: int = 0


DEFAULTS = CalibrationSettings()


@dataclass(frozen=True)
class CalibrationCell:
    """What one pair of K and τ is expected to do. Shares are in [0, 1], intervals at 95 %."""

    k: int
    threshold: float
    error: float  # wrong new labels / new labels; NaN without any
    error_interval: tuple[float, float]
    coverage: float  # new labels / samples without a label
    coverage_interval: tuple[float, float]

    @property
    def sentence(self) -> str:
        """One line for a person."""
        if np.isnan(self.error):
            return f"K = {self.k}, τ = {self.threshold:g}: labels nothing"
        low, high = self.error_interval
        return (
            f"K = {self.k}, τ = {self.threshold:g}: expected error {self.error:.1%} "
            f"({low:.1%} to {high:.1%}), {self.coverage:.0%} labeled"
        )


@dataclass(frozen=True)
class Calibration:
    """Expected error and coverage of every pair, and what makes them doubtful.

    Attributes
    ----------
    cells : tuple of CalibrationCell
        By K, then τ.
    n_judged : int
        Labels that it rests on.
    doubts : tuple of str
        One sentence each; empty when there is none.
    """

    cells: tuple[CalibrationCell, ...]
    n_judged: int
    doubts: tuple[str, ...]

    def recommend(self, target_error: float) -> CalibrationCell | None:
        """The pair that labels most with an expected error of at most `target_error`.

        Of equal coverage the smaller error, then the first. None when no pair is good enough; the
        interval of the pair tells how sure that is.
        """
        good = [cell for cell in self.cells if cell.error <= target_error]
        return max(good, key=lambda cell: (cell.coverage, -cell.error), default=None)


def calibrate(
    situation: Situation,
    settings: CalibrationSettings = DEFAULTS,
    make: Callable[[int, float], Propagator] = LQKNN,
    judged: np.ndarray | None = None,
) -> Calibration:
    """Expected error and coverage of each K and τ, from labeled samples alone.

    A part of the labels is hidden, the rest spreads over the whole map, and what arrives at the
    hidden samples is compared. The figures are biased:

    - Each propagation starts from fewer labels than the real one (four fifths of them with five
      folds): error too high, coverage too low.
    - Labels chosen by coverage stand far from each other, so that a hidden sample is far from the
      others; labels chosen for being uncertain are hard: error much too high, coverage too low.
      `judged` mends both: label some more samples drawn at random, and hide only those.
    - With groups all labels of a patient are hidden at once: the figures are those of a patient
      with no label, and too bad for patients that have some.
    - Without groups, labels of the same patient lead to the hidden ones: for patients with no
      label the error is too low. This is the one bias to the better.

    Parameters
    ----------
    situation : Situation
        Its groups, patients, are hidden whole.
    settings : CalibrationSettings
    make : callable
        A propagator of K and τ; LQ-KNN.
    judged : ndarray of bool, shape (n_samples,), optional
        Of the labeled samples, those to hide; all without it.

    Returns
    -------
    calibration : Calibration
        Intervals are exact binomial ones, which are not empty when no error was seen. Labels of one
        patient err together: they count as that number of independent ones which would vary as much
        as the share does from patient to patient [1]_, never fewer than patients.

    Raises
    ------
    DataError
        If there are fewer labels to hide than folds, or one class; or as `Propagator.fit`.

    References
    ----------
    .. [1] Korn, E. L., Graubard, B. I. (1998). Confidence intervals for proportions with small
       expected number of positive counts estimated from survey data. Survey Methodology, 24.
    """
    hidden = _hidden(situation, judged, settings)
    situation, doubts = _without_doubtful_groups(situation, hidden)
    groups = hidden if situation.groups is None else np.asarray(situation.groups)[hidden]
    units = _codes(groups)
    cells = []
    for k, threshold in product(settings.ks, settings.thresholds):
        propagator = make(k, threshold)
        held = [
            hold_out_labels(situation, propagator, (settings.n_folds, settings.seed + r), judged)
            for r in range(settings.n_repeats)
        ]
        cells.append(_cell((k, threshold), held, units))
    return Calibration(tuple(cells), len(hidden), doubts)


def _cell(pair: tuple[int, float], held: list[HeldOut], units: np.ndarray) -> CalibrationCell:
    """Error and coverage over all repeats, with their intervals."""
    reached = np.mean([one.labels >= 0 for one in held], axis=0)
    wrong = np.mean([(one.labels >= 0) & ~one.correct for one in held], axis=0)
    wrong, reached, all_ = (np.bincount(units, each) for each in (wrong, reached, units >= 0))
    error, error_interval = _share(wrong, reached)
    coverage, coverage_interval = _share(reached, all_)
    return CalibrationCell(*pair, error, error_interval, coverage, coverage_interval)


def _share(part: np.ndarray, whole: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Sum of `part` over sum of `whole`, both by unit, and its interval."""
    n = float(whole.sum())
    if n == 0:
        return float("nan"), (float("nan"), float("nan"))
    share = float(part.sum()) / n
    variance = float(((part - share * whole) ** 2).sum()) / n**2  # of the share, unit to unit
    independent = share * (1 - share) / max(variance, np.finfo(float).tiny)
    n = min(n, max(independent, int(np.count_nonzero(whole))))
    low = beta.ppf(0.025, share * n, (1 - share) * n + 1) if share > 0 else 0.0
    high = beta.ppf(0.975, share * n + 1, (1 - share) * n) if share < 1 else 1.0
    return share, (float(low), float(high))


def _hidden(
    situation: Situation, judged: np.ndarray | None, settings: CalibrationSettings
) -> np.ndarray:
    """Indices of the labels to hide, or a refusal."""
    hidden = judged_samples(situation, judged)
    n_classes = len(np.unique(np.asarray(situation.y)[situation.labeled]))
    if settings.n_folds < 2 or len(hidden) < settings.n_folds or n_classes < 2:
        raise DataError(
            f"calibration: {len(hidden)} labels to hide, {n_classes} classes, {settings.n_folds} "
            "folds; expected 2 classes, 2 folds, and a label a fold. Label more samples."
        )
    return hidden


def _without_doubtful_groups(
    situation: Situation, hidden: np.ndarray
) -> tuple[Situation, tuple[str, ...]]:
    """The situation, its groups left out when they are of no use; and what to doubt."""
    doubts = []
    if len(hidden) < FEW_LABELS:
        doubts.append(f"Only {len(hidden)} labels to judge by: the expected error is a guess.")
    if situation.groups is None:
        return situation, tuple(doubts)
    groups, labeled = np.asarray(situation.groups), situation.labeled
    if len(np.unique(groups[hidden])) < 2:
        doubts.append("All labels are of one group: nothing tells the error on other groups.")
        return replace(situation, groups=None), tuple(doubts)
    pairs = np.unique(np.stack([np.asarray(situation.y)[labeled], _codes(groups)[labeled]]), axis=1)
    classes, n_groups = np.unique(pairs[0], return_counts=True)
    if n_groups.min() < 2:
        doubts.append(
            f"Class {classes[n_groups.argmin()]} is labeled in one group only: hidden, it cannot "
            "be found again."
        )
    return situation, tuple(doubts)


def _codes(groups: np.ndarray) -> np.ndarray:
    """Groups as numbers from 0."""
    return np.unique(groups, return_inverse=True)[1]
