"""What every propagator shares: labels in and out, the border of a split, new points."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from emboscope.errors import DataError, SettingsError

LARGEST_LOST_SHARE = 0.3  # of samples that keep no neighbor at all; above it the map is refused


@dataclass(frozen=True)
class Problem:
    """What a propagator is given, checked.

    Attributes
    ----------
    points : ndarray of float64, shape (n_samples, n_dims)
    codes : ndarray of int64, shape (n_samples,)
        0 … n_classes - 1; -1 is unlabeled.
    n_classes : int
    quality : ndarray, shape (n_samples,), or None
    features : ndarray, shape (n_samples, n_features), or None
    border : Border
    """

    points: np.ndarray
    codes: np.ndarray
    n_classes: int
    quality: np.ndarray | None
    features: np.ndarray | None
    border: "Border"


class Border:
    """The border between the patients to learn from and those of the test part.

    Parameters
    ----------
    groups : ndarray, shape (n_samples,), or None
        Patient of each sample.
    test_groups : collection
        Patients of the test part.
    """

    def __init__(self, groups: np.ndarray | None, test_groups: Collection) -> None:
        self.groups = groups
        self.tested = None if groups is None else np.isin(groups, list(test_groups))

    def refuse_crossing(self, neighbors: np.ndarray) -> None:
        """Refuse lists of neighbors, (n_samples, k), that lead from one side to the other.

        Raises
        ------
        DataError
            It names the two samples and their groups.
        """
        if self.tested is None or self.groups is None:
            return
        crossing = np.argwhere(self.tested[neighbors] != self.tested[:, None])
        if crossing.size:
            one = int(crossing[0, 0])
            other = int(neighbors[one, crossing[0, 1]])
            raise DataError(
                f"propagation: sample {one} of group '{self.groups[one]}' and its neighbor {other} "
                f"of group '{self.groups[other]}' stand on two sides of the test split; expected "
                "none. Map and propagate the training groups alone."
            )

    def refuse_both_sides(self) -> None:
        """Refuse samples of both sides, where any two samples are neighbors."""
        if self.tested is not None and self.tested.any() and not self.tested.all():
            sides = np.array([self.tested.argmin(), self.tested.argmax()])
            self.refuse_crossing(np.broadcast_to(sides, (len(self.tested), 2)))


@dataclass(frozen=True)
class Spread:
    """What propagation found.

    Attributes
    ----------
    codes : ndarray of int64, shape (n_samples,)
        -1 stays unlabeled.
    distributions : ndarray, shape (n_samples, n_classes)
        Rows of sum 1; NaN for an unlabeled sample.
    """

    codes: np.ndarray
    distributions: np.ndarray


class Propagator(ClassifierMixin, BaseEstimator):
    """Base of the propagators; each adds `_propagate(problem)`.

    Attributes
    ----------
    transduction_ : ndarray, shape (n_samples,)
        The labels; -1 stays unlabeled.
    label_distributions_ : ndarray, shape (n_samples, n_classes)
        Soft labels: rows of sum 1; a row of NaN for an unlabeled sample.
    margins_ : ndarray, shape (n_samples,)
        Largest less second largest probability; NaN for an unlabeled sample.
    classes_ : ndarray, shape (n_classes,)
        The labels that were given.
    """

    transduction_: np.ndarray
    label_distributions_: np.ndarray
    margins_: np.ndarray
    classes_: np.ndarray

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        local_quality: np.ndarray | None = None,
        features: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        test_groups: Collection = (),
    ) -> Self:
        """Propagate.

        Parameters
        ----------
        X : ndarray, shape (n_samples, n_dims)
            The points of the map.
        y : ndarray, shape (n_samples,)
            Given labels; -1 is unlabeled. Not changed.
        local_quality : ndarray, shape (n_samples,), optional
            From `quality.local_quality`, for the methods that heed it.
        features : ndarray, shape (n_samples, n_features), optional
            The latent space, for the methods that use it.
        groups : ndarray, shape (n_samples,), optional
            Patient of each sample.
        test_groups : collection, optional
            Patients of the test part: no label may cross to or from them.

        Raises
        ------
        DataError
            If no sample is labeled, lengths differ, the map lost the neighborhoods that the method
            relies on, or an edge leads across the border of the split.
        SettingsError
            If a parameter is out of range.
        """
        problem = self._problem(X, y, (local_quality, features, groups), test_groups)
        spread = self._propagate(problem)
        self.transduction_ = self._decoded(spread.codes)
        self.label_distributions_ = spread.distributions
        self.margins_ = margins(spread.distributions)
        self._labeled = spread.codes >= 0
        self._points = problem.points
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Classes of new points of the same map, by their nearest labeled points.

        Each of the ten nearest votes for its label, weighted by the inverse distance; a point that
        was fitted keeps its own label.

        Returns
        -------
        probabilities : ndarray, shape (n_points, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        (X,) = _validated(self, X)
        search = NearestNeighbors(n_neighbors=min(10, int(self._labeled.sum())))
        distances, near = search.fit(self._points[self._labeled]).kneighbors(X)
        with np.errstate(divide="ignore"):
            weights = 1 / distances
        at = np.isinf(weights)
        weights = np.where(at.any(axis=1, keepdims=True), at, weights)
        codes = np.searchsorted(self.classes_, self.transduction_[self._labeled])[near]
        votes = np.stack(
            [(weights * (codes == code)).sum(axis=1) for code in range(len(self.classes_))], axis=1
        )
        return votes / votes.sum(axis=1, keepdims=True)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The likeliest class of new points of the same map."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _propagate(self, problem: Problem) -> Spread:
        raise NotImplementedError

    def _problem(
        self,
        X: np.ndarray,
        y: np.ndarray,
        others: tuple[np.ndarray | None, ...],
        test_groups: Collection,
    ) -> Problem:
        """The input, checked; sets `classes_`."""
        X, y = _validated(self, X, y)
        check_classification_targets(y)
        known = y >= 0 if y.dtype.kind in "iufb" else np.ones(len(y), bool)
        if not known.any():
            raise DataError(
                "labels: every sample is -1; expected some labels. Label a few samples."
            )
        self.classes_ = np.unique(y[known])
        codes = np.full(len(y), -1)
        codes[known] = np.searchsorted(self.classes_, y[known])
        quality = _aligned("local quality", others[0], len(y))
        features = _aligned("features", others[1], len(y))
        groups = None if others[2] is None else np.asarray(others[2])
        if groups is not None and groups.shape != (len(y),):
            raise DataError(
                f"groups: shape {groups.shape}; expected one for each of the {len(y)} points. "
                "Give the patient of each sample."
            )
        border = Border(groups, test_groups)
        return Problem(X, codes, len(self.classes_), quality, features, border)

    def _decoded(self, codes: np.ndarray) -> np.ndarray:
        """Codes as the labels that were given."""
        if self.classes_.dtype.kind not in "iufb":
            return self.classes_[codes]
        return np.where(codes >= 0, self.classes_[codes], -1)


def margins(distributions: np.ndarray) -> np.ndarray:
    """Largest less second largest entry of each row, (n_samples,); 1 with a single class."""
    if distributions.shape[1] == 1:
        return distributions[:, 0].copy()
    top = np.partition(distributions, -2, axis=1)[:, -2:]
    return top[:, 1] - top[:, 0]


def certain(codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Rows that are 1 at the code; NaN where there is none."""
    rows = (codes[:, None] == np.arange(n_classes)).astype(np.float64)
    rows[codes < 0] = np.nan
    return rows


def refuse_lost_map(quality: np.ndarray | None) -> None:
    """Refuse a map on which too many samples keep none of their neighbors.

    Parameters
    ----------
    quality : ndarray, shape (n_samples,), or None
        Local quality on the absolute scale, where 0 is a sample that keeps none.
    """
    if quality is None:
        return
    lost = float(np.mean(quality <= 0))
    if lost > LARGEST_LOST_SHARE:
        raise DataError(
            f"map: {lost:.0%} of the samples keep none of their neighbors; expected at most "
            f"{LARGEST_LOST_SHARE:.0%}. Choose another map, or better features."
        )


def check_at_least(name: str, value: float, least: float, hint: str) -> None:
    """Refuse a parameter under its smallest value."""
    if value < least:
        raise SettingsError(f"propagation: {name} is {value}; expected at least {least}. {hint}")


def _validated(
    estimator: Propagator, X: np.ndarray, y: np.ndarray | str = "no_validation"
) -> tuple[np.ndarray, ...]:
    """The points as float64, and the labels where they are given; or a refusal."""
    given = not isinstance(y, str)
    least = 2 if given else 1
    try:
        checked = validate_data(
            estimator, X, y, reset=given, dtype=np.float64, ensure_min_samples=least
        )
    except ValueError as error:
        raise DataError(
            f"points and labels: {error} Give the points of the map, and a label for each, -1 for "
            "none."
        ) from error
    return checked if given else (checked,)


def _aligned(name: str, values: np.ndarray | None, n_samples: int) -> np.ndarray | None:
    """An array with one finite row a sample, or a refusal."""
    if values is None:
        return None
    values = np.asarray(values, dtype=np.float64)
    if len(values) != n_samples or not np.isfinite(values).all():
        raise DataError(
            f"{name}: shape {values.shape}, or not finite; expected one finite number "
            f"for each of the {n_samples} points. Compute it on the same samples."
        )
    return values
