"""What is known of a set of samples in the middle of its annotation."""

from dataclasses import dataclass

import numpy as np

from emboscope.errors import DataError


@dataclass(frozen=True)
class Situation:
    """Samples, a map of them, and the labels so far.

    Attributes
    ----------
    features : ndarray, shape (n_samples, n_features)
        The latent space.
    points : ndarray, shape (n_samples, n_dims)
        The map.
    y : ndarray of int, shape (n_samples,)
        Labels so far; -1 is unlabeled.
    local_quality : ndarray, shape (n_samples,), optional
        Without it every sample can be reached that a neighbor leads to.
    distributions : ndarray, shape (n_samples, n_classes), optional
        Soft labels that tell what is uncertain.
    groups : ndarray, shape (n_samples,), optional
        Patients.
    askable : ndarray of bool, shape (n_samples,), optional
        False for samples not to be shown: of the test part, or set aside as unsure.

    Raises
    ------
    DataError
        If lengths differ.
    """

    features: np.ndarray
    points: np.ndarray
    y: np.ndarray
    local_quality: np.ndarray | None = None
    distributions: np.ndarray | None = None
    groups: np.ndarray | None = None
    askable: np.ndarray | None = None

    def __post_init__(self) -> None:
        arrays = (getattr(self, name) for name in self.__dataclass_fields__)
        lengths = [len(each) for each in arrays if each is not None]
        if min(lengths) < max(lengths):
            raise DataError(
                f"situation: arrays of {min(lengths)} to {max(lengths)} rows; expected as many of "
                "each. Give those of the same samples."
            )

    @property
    def labeled(self) -> np.ndarray:
        """Whether each sample has a label, shape (n_samples,)."""
        return np.asarray(self.y) >= 0

    @property
    def open(self) -> np.ndarray:
        """Which samples may be asked for, shape (n_samples,): unlabeled, not set aside."""
        return ~self.labeled if self.askable is None else ~self.labeled & np.asarray(self.askable)
