"""What a classifier is to learn of each row: a class, a distribution, or nothing."""

from dataclasses import dataclass

import numpy as np

from emboscope.errors import DataError

_TOLERANCE = 1e-3  # of the sum of a row


@dataclass(frozen=True)
class Targets:
    """Checked labels of all rows.

    Attributes
    ----------
    hard : ndarray of int, shape (n_samples,)
        The class, of a distribution the likeliest, the lowest of several; -1 is unlabeled.
    soft : ndarray of float, shape (n_samples, n_classes), or None
        Distributions, where they were given.
    weight : ndarray of float, shape (n_samples,), or None
        How much each row counts.
    """

    hard: np.ndarray
    soft: np.ndarray | None
    weight: np.ndarray | None

    def classes_of(self, rows: np.ndarray) -> np.ndarray:
        """The classes that some rows have, or give some mass to; ascending."""
        if self.soft is None:
            return np.unique(self.hard[rows])
        return np.flatnonzero(self.soft[rows].sum(axis=0) > 0)

    def of(self, rows: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Positions in `classes` (n,), or distributions over them (n, len(classes))."""
        if self.soft is None:
            return np.searchsorted(classes, self.hard[rows]).astype(np.int64)
        return self.soft[rows][:, classes].astype(np.float32)

    def weights_of(self, rows: np.ndarray) -> np.ndarray | None:
        """Weights of some rows, scaled to a mean of 1."""
        if self.weight is None:
            return None
        weight = self.weight[rows]
        if not weight.any():
            raise DataError(
                "sample_weight: 0 in all training rows; expected some that count. Raise them."
            )
        return (weight / weight.mean()).astype(np.float32)


def read_targets(y: np.ndarray, sample_weight: np.ndarray | None, n_samples: int) -> Targets:
    """Check labels and weights.

    Parameters
    ----------
    y : ndarray, shape (n_samples,) or (n_samples, n_classes)
        Classes, -1 unlabeled; or rows of sum 1, a NaN row unlabeled.
    sample_weight : ndarray, shape (n_samples,), optional
        Not negative.

    Raises
    ------
    DataError
        With the first row that cannot be used.
    """
    y = np.asarray(y)
    if y.ndim not in {1, 2} or len(y) != n_samples:
        raise DataError(
            f"labels: shape {y.shape}; expected one label or one distribution for each of the "
            f"{n_samples} rows. Label every row, −1 or NaN where nothing is known."
        )
    weight = None if sample_weight is None else _weights(sample_weight, n_samples)
    if y.ndim == 1:
        return Targets(y, None, weight)
    soft = y.astype(float)
    known = ~np.isnan(soft).all(axis=1)
    _check_rows(soft, known)
    hard = np.full(n_samples, -1)
    hard[known] = soft[known].argmax(axis=1)
    return Targets(hard, soft, weight)


def _check_rows(soft: np.ndarray, known: np.ndarray) -> None:
    """Each row is all NaN, or a distribution."""
    with np.errstate(invalid="ignore"):
        right = (soft >= 0).all(axis=1) & (np.abs(soft.sum(axis=1) - 1) <= _TOLERANCE)
    wrong = np.flatnonzero(known & ~right)
    if wrong.size:
        shown = ", ".join(f"{share:g}" for share in soft[wrong[0]])
        raise DataError(
            f"labels: row {wrong[0]} is ({shown}); expected shares of at least 0 that sum to 1, or "
            "NaN throughout. Divide each row by its sum."
        )


def _weights(sample_weight: np.ndarray, n_samples: int) -> np.ndarray:
    weight = np.asarray(sample_weight, dtype=float)
    if weight.shape != (n_samples,) or not np.isfinite(weight).all() or (weight < 0).any():
        raise DataError(
            f"sample_weight: shape {weight.shape}, or a value that is negative or not finite; "
            f"expected {n_samples} numbers of at least 0. Give one a row."
        )
    return weight
