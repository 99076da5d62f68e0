"""What a map and a projection are, and what features must be to be mapped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from emboscope.annotation.maps.settings import MAP_GRIDS, MapSettings
from emboscope.errors import DataError
from emboscope.progress import Progress, silent


@dataclass(frozen=True)
class Map:
    """A map that takes further points.

    Attributes
    ----------
    points : ndarray of float64, shape (n_samples, 2)
    settings : MapSettings
    """

    points: np.ndarray
    settings: MapSettings

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Points, (n_new, 2), of new samples; those of the map stay where they are.

        Parameters
        ----------
        features : ndarray, shape (n_new, n_features)
            Of the same encoder as those of the map.

        Raises
        ------
        DataError
            If they are not finite, or of another number of features.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Projection:
    """One way to draw maps. Called, it gives points; `fit` gives the maps themselves.

    Attributes
    ----------
    fit : callable
        `(features, grid, progress)` to a list of Map, one for each setting of the grid.
    grid : sequence of MapSettings
        Where none is given.
    """

    fit: Callable[[np.ndarray, Sequence[MapSettings], Progress], list[Map]]
    grid: Sequence[MapSettings] = MAP_GRIDS["small"]

    def __call__(
        self,
        features: np.ndarray,
        grid: Sequence[MapSettings] | None = None,
        progress: Progress = silent,
    ) -> list[np.ndarray]:
        """Points of each map, (n_samples, 2), in the order of the grid."""
        return [each.points for each in self.fit(features, grid or self.grid, progress)]


def checked_features(features: np.ndarray, perplexity: float) -> np.ndarray:
    """The features as float64, or a refusal; `perplexity` is the largest of the grid."""
    features = _finite(features)
    if len(features) <= 3 * perplexity:
        raise DataError(
            f"map: {len(features)} samples; expected more than {3 * perplexity:g}, three times the "
            "perplexity. Choose a smaller perplexity."
        )
    if np.ptp(features, axis=0).max() == 0:
        raise DataError("features: all samples are equal; expected some spread. Train longer.")
    return features


def checked_new(features: np.ndarray, n_features: int) -> np.ndarray:
    """Features of new samples as float64, or a refusal."""
    features = _finite(features)
    if features.ndim != 2 or features.shape[1] != n_features:
        raise DataError(
            f"features: shape {features.shape}; expected (n_samples, {n_features}), as on the map. "
            "Encode with the same model."
        )
    return features


def _finite(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, dtype=np.float64)
    if not np.isfinite(features).all():
        raise DataError("features: not finite; expected finite numbers. Remove those samples.")
    return features
