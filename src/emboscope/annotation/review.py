"""Which propagated labels a person should look at first."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import KNeighborsClassifier

from emboscope.errors import DataError, SettingsError


@dataclass(frozen=True)
class ReviewQueue:
    """Propagated labels, the most doubtful first. A queue, never a filter: nothing is dropped.

    Attributes
    ----------
    samples : ndarray of int64, shape (n_propagated,)
        Sample indices; of equal confidence the smaller index first.
    self_confidence : ndarray, shape (n_samples,)
        Probability that the neighbors give to the label a sample has; NaN without a label.
    suggested : ndarray of int64, shape (n_samples,)
        What the neighbors say instead; -1 without a label.
    """

    samples: np.ndarray
    self_confidence: np.ndarray
    suggested: np.ndarray


def review_queue(
    features: np.ndarray,
    labels: np.ndarray,
    given: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    k: int = 15,
    n_folds: int = 5,
    random_state: int = 0,
) -> ReviewQueue:
    """Rank propagated labels by what the neighbors in the latent space say of them [1]_.

    Each label is judged by a k-nearest-neighbor classifier that has not seen it: it was trained on
    the labels of the other folds.

    Parameters
    ----------
    features : ndarray, shape (n_samples, n_features)
        The latent space, not the map on which labels traveled: its errors are others.
    labels : ndarray of int, shape (n_samples,)
        Propagated and given labels; -1 is unlabeled.
    given : ndarray of bool, shape (n_samples,), optional
        Labels by a person: they vote, and do not stand in the queue.
    groups : ndarray, shape (n_samples,), optional
        Patients: then a label is judged by other patients alone.
    k : int
        Neighbors.
    n_folds : int
        Of the cross-validation; at most as many as groups.
    random_state : int
        Of the folds.

    Raises
    ------
    DataError
        If there are fewer than 2 classes, or fewer labels than folds, or a single group.
    SettingsError
        If a parameter is out of range, or cleanlab is not installed.

    References
    ----------
    .. [1] Northcutt, C. G., Jiang, L., Chuang, I. L. (2021). Confident learning: estimating
       uncertainty in dataset labels. Journal of Artificial Intelligence Research, 70.
    """
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError as error:
        raise SettingsError(
            "review: cleanlab is missing; expected it for confident learning. Install "
            "emboscope[active]."
        ) from error
    labels = np.asarray(labels)
    given = np.zeros(len(labels), bool) if given is None else np.asarray(given, dtype=bool)
    rows = _labeled_rows(features, labels, given, (k, n_folds))
    classes, codes = np.unique(labels[rows], return_inverse=True)
    folds = _folds(
        codes, None if groups is None else np.asarray(groups)[rows], n_folds, random_state
    )
    probabilities = _judged(np.asarray(features)[rows], codes, folds, k)
    confidence, suggested = np.full(len(labels), np.nan), np.full(len(labels), -1)
    confidence[rows] = get_label_quality_scores(codes, probabilities, method="self_confidence")
    suggested[rows] = classes[probabilities.argmax(axis=1)]
    propagated = rows[~given[rows]]
    order = propagated[np.argsort(confidence[propagated], kind="stable")]
    return ReviewQueue(order, confidence, suggested)


def _judged(
    features: np.ndarray, codes: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]], k: int
) -> np.ndarray:
    """Probability of each class by the other folds, (n_labels, n_classes)."""
    probabilities = np.zeros((len(codes), codes.max() + 1))
    for others, judged in folds:
        near = KNeighborsClassifier(min(k, len(others))).fit(features[others], codes[others])
        probabilities[np.ix_(judged, near.classes_)] = near.predict_proba(features[judged])
    return probabilities


def _folds(
    codes: np.ndarray, groups: np.ndarray | None, n_folds: int, random_state: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(others, judged) of each fold."""
    if groups is None:
        return list(KFold(n_folds, shuffle=True, random_state=random_state).split(codes))
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise DataError(
            "review: 1 group; expected at least 2, so that other patients judge a label. Label "
            "more patients, or leave groups out."
        )
    splitter = GroupKFold(min(n_folds, n_groups), shuffle=True, random_state=random_state)
    return list(splitter.split(codes, codes, groups))


def _labeled_rows(
    features: np.ndarray, labels: np.ndarray, given: np.ndarray, sizes: tuple[int, int]
) -> np.ndarray:
    """Indices of the labeled samples, or a refusal."""
    k, n_folds = sizes
    if k < 1 or n_folds < 2:
        raise SettingsError(
            f"review: k is {k} and n_folds {n_folds}; expected at least 1 and at least 2. 15 and 5 "
            "are usual."
        )
    if not len(features) == len(labels) == len(given):
        raise DataError(
            f"review: {len(features)} feature rows, {len(labels)} labels and {len(given)} marks of "
            "given labels; expected as many of each. Give those of the same samples."
        )
    rows = np.flatnonzero(labels >= 0)
    n_classes = len(np.unique(labels[rows]))
    if len(rows) < n_folds or n_classes < 2:
        raise DataError(
            f"review: {len(rows)} labels of {n_classes} classes; expected at least {n_folds} of 2. "
            "Propagate labels first."
        )
    return rows
