"""The plane of the two largest principal components."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA

from emboscope.annotation.maps.projection import Map, checked_features, checked_new
from emboscope.annotation.maps.settings import MapSettings
from emboscope.progress import Progress, silent

_NO_PERPLEXITY = 1.0  # a plane needs no neighbors: four samples are enough


@dataclass(frozen=True)
class PcaMap(Map):
    """A plane, which new points are projected on."""

    plane: PCA

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Points, (n_new, 2), of new samples."""
        return self.plane.transform(checked_new(features, self.plane.n_features_in_))


def fit_pca(
    features: np.ndarray, grid: Sequence[MapSettings], progress: Progress = silent
) -> list[Map]:
    """The plane of largest variance, which has no hyper-parameter.

    Parameters
    ----------
    features : ndarray, shape (n_samples, n_features)
    grid : sequence of MapSettings
        Gives the number of maps; they are all equal.
    progress : callable
        Told once.

    Returns
    -------
    maps : list of PcaMap
    """
    features = checked_features(features, _NO_PERPLEXITY)
    plane = PCA(2, svd_solver="full").fit(features)
    points = plane.transform(features)
    progress("maps", 1, 1)
    return [PcaMap(points, settings, plane) for settings in grid]
