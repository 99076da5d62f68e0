"""A data set as every stage sees it, and the registry of those that are known."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.progress import Progress
from emboscope.registry import Registry
from emboscope.representations.front_end import FrontEnd


@dataclass(frozen=True)
class Dataset:
    """Views of segments, their classes, and who they come from.

    Attributes
    ----------
    name : str
    views : dict of ndarray of float32
        waveform (n, C, T) and spectrogram (n, C, F, M).
    y : ndarray of int64, shape (n,)
        Classes; -1 is unlabelled.
    groups : ndarray, shape (n,)
        Patient or recording of each row.
    sfreq : float
        In Hz.
    classes : tuple of str
    front_end : FrontEnd
        How the views were made.
    group_kind : str
        What a group is: `patient`, `recording`, or `row` where nothing is known.
    soft_labels : ndarray, shape (n, n_classes), optional
        Rows of sum 1; NaN rows are unlabelled.
    strata : ndarray, shape (n,), optional
        A finer class, for balanced splits.
    test_groups : ndarray, optional
        The groups of a fixed test part, where the data set has one.
    """

    name: str
    views: dict[str, np.ndarray]
    y: np.ndarray
    groups: np.ndarray
    sfreq: float
    classes: tuple[str, ...]
    front_end: FrontEnd
    group_kind: str
    soft_labels: np.ndarray | None = None
    strata: np.ndarray | None = None
    test_groups: np.ndarray | None = None

    @property
    def is_test(self) -> np.ndarray:
        """Whether each row belongs to the fixed test part, shape (n,); all False without one."""
        groups = () if self.test_groups is None else self.test_groups
        return np.isin(self.groups, groups)

    def rows(self, chosen: np.ndarray) -> dict[str, np.ndarray]:
        """The views of some rows, by index or mask."""
        return {name: view[chosen] for name, view in self.views.items()}


Loader = Callable[[Progress], Dataset]

DATASETS: Registry[Loader] = Registry("data set")


def own_name(path: Path) -> str:
    """Name of a data set of the user's own: that of its file or folder, never a registered one.

    Examples
    --------
    >>> own_name(Path("ward.h5")), own_name(Path("hits.h5"))
    ('ward', 'own hits')
    """
    name = path.resolve().name if path.is_dir() else path.stem
    return f"own {name}" if name in DATASETS else name
