"""Nearest neighbors with a stated order: by distance, then by sample index."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from emboscope.errors import DataError, SettingsError

LARGEST_EXACT = 100_000  # samples of a space of many dimensions; above it the search approximates
_FEW_DIMENSIONS = 3  # up to here a tree is exact and fast at any size
_SPARE = 8  # candidates beyond the k asked for, so that rounding cannot cost a true neighbor
_ROUNDING = 1e-12  # of the largest squared coordinate: what the search may err, and more
_ROWS = 20_000  # sorted at once, which bounds the memory


def nearest_neighbors(X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other samples of every sample, without ambiguity at equal distances.

    Exact, but for more than 100,000 samples of more than 3 dimensions: there the candidates are
    those of nearest neighbor descent [1]_ (extra `neighbours`), of which about 0.2 % are missed.

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

    References
    ----------
    .. [1] Dong, W., Moses, C., Li, K. (2011). Efficient k-nearest neighbor graph construction for
       generic similarity measures. WWW.
    """
    X = _table(X)
    n_samples = len(X)
    k = min(k, n_samples - 1)
    n_candidates = min(k + _SPARE, n_samples - 1)
    exact = n_samples <= LARGEST_EXACT or X.shape[1] <= _FEW_DIMENSIONS
    candidates = _search(X, n_candidates) if exact else _descent(X, n_candidates)
    neighbors, squared = np.empty((n_samples, k), np.int64), np.empty((n_samples, k))
    for start in range(0, n_samples, _ROWS):
        rows = np.arange(start, min(start + _ROWS, n_samples))
        found, distances = _ordered(X, rows, candidates[rows])
        if exact and n_candidates < n_samples - 1:
            _settle_long_ties(X, rows, found, distances, k)
        neighbors[rows], squared[rows] = found[:, :k], distances[:, :k]
    return neighbors, squared


def _search(X: np.ndarray, n_candidates: int) -> np.ndarray:
    """Exact candidates, itself left out, (n_samples, n_candidates)."""
    search = NearestNeighbors(n_neighbors=n_candidates).fit(X)
    return search.kneighbors(return_distance=False)


def _descent(X: np.ndarray, n_candidates: int) -> np.ndarray:
    """Approximate candidates; a sample that does not find itself loses its farthest instead."""
    try:
        from pynndescent import NNDescent
    except ImportError as error:
        raise SettingsError(
            f"neighbors: {len(X)} samples; expected at most {LARGEST_EXACT} without pynndescent. "
            'Install "emboscope[neighbours]".'
        ) from error
    index = NNDescent(X.astype(np.float32), n_neighbors=n_candidates + 1, random_state=0)
    found = index.neighbor_graph[0]
    itself = found == np.arange(len(X))[:, None]
    itself[~itself.any(axis=1), -1] = True
    return found[~itself].reshape(len(X), n_candidates)


def _ordered(
    X: np.ndarray, rows: np.ndarray, candidates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of some rows by (distance, index), and the squared distances."""
    candidates = candidates.astype(np.int64)
    squared = np.zeros(candidates.shape)
    for column in X.T:
        squared += (column[candidates] - column[rows, None]) ** 2
    order = np.lexsort((candidates, squared))
    return (
        np.take_along_axis(candidates, order, axis=1),
        np.take_along_axis(squared, order, axis=1),
    )


def _settle_long_ties(
    X: np.ndarray, rows: np.ndarray, candidates: np.ndarray, squared: np.ndarray, k: int
) -> None:
    """Search those rows whole, in place, where equal distances reach past the candidates."""
    reach = squared[:, k - 1] + _ROUNDING * X.shape[1] * np.abs(X).max() ** 2
    others = np.arange(len(X))
    for place in np.flatnonzero(squared[:, -1] <= reach):
        distances = np.zeros(len(X))
        for column in X.T:
            distances += (column - column[rows[place]]) ** 2
        distances[rows[place]] = np.inf
        best = np.lexsort((others, distances))[: candidates.shape[1]]
        candidates[place], squared[place] = best, distances[best]


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
