"""UMAP maps by umap-learn (extra `umap`)."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from emboscope.annotation.maps.projection import Map, checked_features, checked_new
from emboscope.annotation.maps.settings import MapSettings
from emboscope.errors import SettingsError
from emboscope.progress import Progress, silent

_FEWEST_NEIGHBORS = 2  # below which umap-learn refuses


class _Fitted(Protocol):
    """What is used of `umap.UMAP`."""

    embedding_: np.ndarray

    def fit(self, X: np.ndarray) -> "_Fitted": ...

    def transform(self, X: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class UmapMap(Map):
    """A UMAP map, beside whose fixed points new ones are placed."""

    model: _Fitted
    n_features: int

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Points, (n_new, 2), of new samples."""
        new = self.model.transform(checked_new(features, self.n_features))
        return np.asarray(new, dtype=np.float64)


def fit_umap(
    features: np.ndarray, grid: Sequence[MapSettings], progress: Progress = silent
) -> list[Map]:
    """One UMAP map a setting [1]_, by one thread, without which the seed would not hold.

    Parameters
    ----------
    features : ndarray, shape (n_samples, n_features)
        The latent space, as it is: no scaling.
    grid : sequence of MapSettings
        The perplexity is taken for the number of neighbors; of the others only the seed counts.
    progress : callable
        Told each map.

    Returns
    -------
    maps : list of UmapMap
        In the order of the grid. The start is the first two principal components.

    Raises
    ------
    DataError
        If there are too few samples, or none may be told apart.
    SettingsError
        If umap-learn is not installed.

    References
    ----------
    .. [1] McInnes, L., Healy, J., Melville, J. (2018). UMAP: uniform manifold approximation and
       projection for dimension reduction. arXiv:1802.03426.
    """
    features = checked_features(features, max(settings.perplexity for settings in grid))
    maps: list[Map] = []
    for settings in grid:
        model = _new_model(settings).fit(features)
        points = np.asarray(model.embedding_, dtype=np.float64)
        maps.append(UmapMap(points, settings, model, features.shape[1]))
        progress("maps", len(maps), len(grid))
    return maps


def load_umap() -> Callable[..., _Fitted]:
    """The class `umap.UMAP`; importing it says that Tensorflow is missing, which nothing here uses.

    Raises
    ------
    SettingsError
        If umap-learn is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)
            from umap import UMAP
    except ImportError as error:
        raise SettingsError(
            "projection 'umap': umap-learn is not installed; expected it for this projection. "
            'Install "emboscope[umap]".'
        ) from error
    return UMAP


def _new_model(settings: MapSettings) -> _Fitted:
    """An unfitted model."""
    return load_umap()(
        n_neighbors=max(_FEWEST_NEIGHBORS, round(settings.perplexity)),
        init="pca",
        random_state=settings.seed,
        transform_seed=settings.seed,
        n_jobs=1,
    )
