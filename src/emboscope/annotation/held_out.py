"""Labels hidden and found again, and what it costs to keep the less certain ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupKFold

from emboscope.annotation.propagation import Propagator, margins
from emboscope.annotation.situation import Situation
from emboscope.errors import DataError


@dataclass(frozen=True)
class HeldOut:
    """The labels that a propagator gives to labeled samples while their own is hidden.

    Attributes
    ----------
    samples : ndarray of int64, shape (n_judged,)
        Indices of the labels that were hidden.
    labels : ndarray, shape (n_judged,)
        -1 where no label arrived.
    distributions : ndarray, shape (n_judged, n_classes)
        Columns as in `classes`; NaN where no label arrived.
    margins : ndarray, shape (n_judged,)
    correct : ndarray of bool, shape (n_judged,)
        Whether the label that arrived is the hidden one.
    classes : ndarray, shape (n_classes,)
    """

    samples: np.ndarray
    labels: np.ndarray
    distributions: np.ndarray
    margins: np.ndarray
    correct: np.ndarray
    classes: np.ndarray


def hold_out_labels(
    situation: Situation,
    propagator: Propagator,
    folds: tuple[int, int] = (5, 0),
    judged: np.ndarray | None = None,
) -> HeldOut:
    """Hide each label once, and see what a propagator brings in its place.

    For the risk-coverage curve (`risk_coverage`) and the temperature of soft labels
    (`soft_labels.fit_temperature`); the biases are those of `calibration.calibrate`.

    Parameters
    ----------
    situation : Situation
        With groups all labels of a group are hidden at once, those not judged too.
    propagator : Propagator
        Fitted once a fold; `transduction_` and `label_distributions_` are read.
    folds : tuple of int
        How many, and the seed of the draw; at most as many as labels, or labeled groups.
    judged : ndarray of bool, shape (n_samples,), optional
        Of the labeled samples, those to hide: best drawn at random. All without it.

    Returns
    -------
    held_out : HeldOut

    Raises
    ------
    DataError
        If there are fewer labels to hide than folds, or a single group of them; or as
        `Propagator.fit`.
    """
    y, groups = np.asarray(situation.y), situation.groups
    samples = judged_samples(situation, judged)
    classes = np.unique(y[situation.labeled])
    found = np.full(len(samples), -1)
    distributions = np.full((len(samples), len(classes)), np.nan)
    units = samples if groups is None else np.asarray(groups)[samples]
    for hidden in _hidden_parts(units, folds):
        shown = y.copy()
        shown[samples[hidden] if groups is None else np.isin(groups, units[hidden])] = -1
        propagator.fit(situation.points, shown, situation.local_quality, situation.features, groups)
        found[hidden] = propagator.transduction_[samples[hidden]]
        reached = hidden[found[hidden] >= 0]
        columns = np.searchsorted(classes, propagator.classes_)
        distributions[reached] = 0
        spread = propagator.label_distributions_[samples[reached]]
        distributions[np.ix_(reached, columns)] = spread
    correct = found == y[samples]
    return HeldOut(samples, found, distributions, margins(distributions), correct, classes)


def judged_samples(situation: Situation, judged: np.ndarray | None) -> np.ndarray:
    """Indices of the labels to hide: all, or those of them that are marked."""
    if judged is None:
        return np.flatnonzero(situation.labeled)
    judged = np.asarray(judged)
    if judged.dtype != bool or judged.shape != situation.labeled.shape:
        raise DataError(
            f"judged: {judged.dtype} of shape {judged.shape}; expected one bool for each of "
            f"{len(situation.labeled)} samples. Mark the labels to hide."
        )
    return np.flatnonzero(situation.labeled & judged)


@dataclass(frozen=True)
class RiskCoverage:
    """The dial of abstention: keep the labels whose margin is at least `threshold`.

    Attributes
    ----------
    threshold : ndarray, shape (n_steps,)
        Each margin that occurs, largest first.
    coverage : ndarray, shape (n_steps,)
        Share of all samples that is then labeled; rises.
    risk : ndarray, shape (n_steps,)
        Share of those labels that is wrong.
    """

    threshold: np.ndarray
    coverage: np.ndarray
    risk: np.ndarray


def risk_coverage(correct: np.ndarray, margins: np.ndarray) -> RiskCoverage:
    """Risk against coverage as the least certain labels are dropped [1]_.

    Labels of equal margin are dropped together: nothing tells them apart.

    Parameters
    ----------
    correct : ndarray of bool, shape (n_samples,)
    margins : ndarray, shape (n_samples,)
        NaN where a sample has no label; it counts as not covered.

    Raises
    ------
    DataError
        If lengths differ, or there is no sample.

    References
    ----------
    .. [1] El-Yaniv, R., Wiener, Y. (2010). On the foundations of noise-free selective
       classification. Journal of Machine Learning Research, 11.
    """
    correct, margins = np.asarray(correct, dtype=bool), np.asarray(margins, dtype=np.float64)
    if correct.shape != margins.shape or correct.ndim != 1 or not len(correct):
        raise DataError(
            f"risk and coverage: shapes {correct.shape} and {margins.shape}; expected two equal "
            "ones, (n_samples,). Give both for the same samples."
        )
    labeled = ~np.isnan(margins)
    steps, step = np.unique(-margins[labeled], return_inverse=True)
    kept = np.bincount(step, minlength=len(steps)).cumsum()
    wrong = np.bincount(step, ~correct[labeled], len(steps)).cumsum()
    return RiskCoverage(-steps, kept / len(correct), wrong / np.maximum(kept, 1))


def _hidden_parts(units: np.ndarray, folds: tuple[int, int]) -> Iterator[np.ndarray]:
    """Places among the labels to hide that are hidden at once: whole units."""
    n_folds, seed = folds
    n_units = len(np.unique(units))
    if n_folds < 2 or n_units < 2 or len(units) < n_folds:
        raise DataError(
            f"hold-out: {len(units)} labels of {n_units} samples or groups in {n_folds} folds; "
            "expected at least 2 folds, 2 groups, and a label a fold. Label more samples."
        )
    splitter = GroupKFold(min(n_folds, n_units), shuffle=True, random_state=seed)
    yield from (part for _, part in splitter.split(units, units, units))
