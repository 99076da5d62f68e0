"""Exact nearest neighbors with a stated order: by distance, then by sample index."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from emboscope.errors import DataError

_SPARE = 8  # candidates beyond the k asked for, so that rounding cannot cost a true neighbor
_ROUNDING = 1e-12  # of the largest squared coordinate: what the search may err, and more


def nearest_neighbors(X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other samples of every sample, without ambiguity at equal distances.

    Parameters
    ----------
    X : ndarray, shape (n_samples, n_features)
        Coordinates, in any unit.
    k : int
        Neighbors per sample; cut to n_samples - 1.

    Returns
    -------
    neighbors : ndarray of int64, shape (n_samples, k)
        Sample indices, ordered by (Euclidean distance, index). A sample is never its own
        neighbor, also when it has duplicates.
    squared : ndarray, shape (n_samples, k)
        Squared distances, computed from coordinate differences in float64.

    Raises
    ------
    DataError
        If `X` is not a finite table of at least two samples.
    """
    X = _table(X)
    n_samples = len(X)
    k = min(k, n_samples - 1)
    n_candidates = min(k + _SPARE, n_samples - 1)
    search = NearestNeighbors(n_neighbors=n_candidates).fit(X)
    candidates = search.kneighbors(return_distance=False).astype(np.int64)
    squared = np.zeros(candidates.shape)
    for column in X.T:
        squared += (column[candidates] - column[:, None]) ** 2
    order = np.lexsort((candidates, squared))
    candidates = np.take_along_axis(candidates, order, axis=1)
    squared = np.take_along_axis(squared, order, axis=1)
    if n_candidates < n_samples - 1:
        _settle_long_ties(X, candidates, squared, k)
    return candidates[:, :k], squared[:, :k]


def _settle_long_ties(X: np.ndarray, candidates: np.ndarray, squared: np.ndarray, k: int) -> None:
    """Search those rows whole, in place, where equal distances reach past the candidates."""
    reach = squared[:, k - 1] + _ROUNDING * X.shape[1] * np.abs(X).max() ** 2
    others = np.arange(len(X))
    for row in np.flatnonzero(squared[:, -1] <= reach):
        distances = np.zeros(len(X))
        for column in X.T:
            distances += (column - column[row]) ** 2
        distances[row] = np.inf
        best = np.lexsort((others, distances))[: candidates.shape[1]]
        candidates[row], squared[row] = best, distances[best]


def _table(X: np.ndarray) -> np.ndarray:
    """The coordinates as float64, or a refusal."""
    X = np.asarray(X, dtype=np.float64)
    if X.ndim != 2 or len(X) < 2:
        raise DataError(
            f"coordinates: an array of shape {X.shape}; expected (n_samples, n_features) with at "
            "least 2 samples. Flatten each sample to one row."
        )
    if not np.isfinite(X).all():
        row = int(np.flatnonzero(~np.isfinite(X).all(axis=1))[0])
        raise DataError(
            f"coordinates: row {row} is not finite; expected finite numbers. Remove that sample."
        )
    return X
