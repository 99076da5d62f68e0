"""Maps: the latent space drawn in two dimensions, over a grid of hyper-parameters."""

import os
from collections.abc import Sequence
from itertools import product
from typing import Literal, Protocol

import numpy as np
from openTSNE import TSNEEmbedding, affinity, initialization
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from sklearn.decomposition import PCA

from emboscope.errors import DataError
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.settings import Settings

_REPORT_EVERY = 50  # iterations


class MapSettings(Settings):
    """How one map is drawn. Every default stands here and nowhere else."""

    perplexity: PositiveFloat = 30.0
    early_exaggeration: PositiveFloat = 12.0
    learning_rate: PositiveFloat | Literal["auto"] = "auto"  # auto: n_samples / exaggeration
    early_iterations: NonNegativeInt = 250
    iterations: PositiveInt = 750
    seed: int = 0

    @property
    def total_iterations(self) -> int:
        """Iterations really run."""
        return self.early_iterations + self.iterations


def _grid(
    perplexities: Sequence[float], exaggerations: Sequence[float], rates: Sequence[float]
) -> tuple[MapSettings, ...]:
    """Every combination, perplexity first so that equal ones stand together."""
    return tuple(
        MapSettings(perplexity=perplexity, early_exaggeration=exaggeration, learning_rate=rate)
        for perplexity, exaggeration, rate in product(perplexities, exaggerations, rates)
    )


MAP_GRIDS: Registry[tuple[MapSettings, ...]] = Registry("map grid")
MAP_GRIDS["small"] = (
    MapSettings(perplexity=10),
    MapSettings(perplexity=30),
    MapSettings(perplexity=30, early_exaggeration=50, learning_rate=100),
)
MAP_GRIDS["one"] = (MapSettings(learning_rate=200),)
MAP_GRIDS["mnist"] = _grid((10, 30, 50), (50, 250, 500), (10, 100, 1000))
MAP_GRIDS["organ"] = _grid(
    tuple(range(5, 55, 5)), (5, 10, 25, 50, 75, 100, 200, 500), (10, 50, 100, 500, 1000)
)


class Projection(Protocol):
    """What an entry of `PROJECTIONS` is: one map, shape (n_samples, 2), for each setting."""

    def __call__(
        self,
        features: np.ndarray,
        grid: Sequence[MapSettings] = ...,
        progress: Progress = ...,
    ) -> list[np.ndarray]: ...


PROJECTIONS: Registry[Projection] = Registry("projection")


def tsne_maps(
    features: np.ndarray,
    grid: Sequence[MapSettings] = MAP_GRIDS["small"],
    progress: Progress = silent,
) -> list[np.ndarray]:
    """One t-SNE map a setting; affinities are computed once a perplexity.

    Parameters
    ----------
    features : ndarray, shape (n_samples, n_features)
        The latent space, as it is: no scaling.
    grid : sequence of MapSettings
        Perplexity, early exaggeration and learning rate of each map.
    progress : callable
        Told the iterations done.

    Returns
    -------
    maps : list of ndarray of float64, each of shape (n_samples, 2)
        In the order of the grid. The start is the first two principal components, and the seed is
        fixed: the same input and thread count give the same maps.

    Raises
    ------
    DataError
        If there are too few samples for a perplexity, or none may be told apart.

    References
    ----------
    .. [1] van der Maaten, L., Hinton, G. (2008). Visualizing data using t-SNE. JMLR, 9.
    .. [2] Poličar, P. G., Stražar, M., Zupan, B. (2024). openTSNE: a modular Python library for
       t-SNE dimensionality reduction and embedding. Journal of Statistical Software, 109.
    """
    features = _checked(features, max(settings.perplexity for settings in grid))
    total = sum(settings.total_iterations for settings in grid)
    near: dict[float, affinity.PerplexityBasedNN] = {}
    maps, done = [], 0
    for settings in grid:
        if settings.perplexity not in near:
            near[settings.perplexity] = affinity.PerplexityBasedNN(
                features,
                perplexity=settings.perplexity,
                random_state=settings.seed,
                n_jobs=_threads(),
            )
        maps.append(_draw(features, near[settings.perplexity], settings, (progress, done, total)))
        done += settings.total_iterations
    return maps


def _draw(
    features: np.ndarray,
    near: affinity.PerplexityBasedNN,
    settings: MapSettings,
    report: tuple[Progress, int, int],
) -> np.ndarray:
    """One map: early exaggeration, then the descent proper."""
    progress, done, total = report
    start = initialization.pca(features, random_state=settings.seed)
    embedding = TSNEEmbedding(
        start,
        near,
        learning_rate=settings.learning_rate,
        random_state=settings.seed,
        n_jobs=_threads(),
    )
    phases = (
        (settings.early_iterations, settings.early_exaggeration, 0.5, 0),
        (settings.iterations, 1.0, 0.8, settings.early_iterations),
    )
    for n_iterations, exaggeration, momentum, before in phases:

        def tell(iteration: int, _error: float, _map: np.ndarray, before: int = before) -> None:
            progress("maps", done + before + iteration, total)

        embedding = embedding.optimize(
            n_iterations,
            exaggeration=exaggeration,
            momentum=momentum,
            callbacks=tell,
            callbacks_every_iters=_REPORT_EVERY,
        )
    return np.asarray(embedding, dtype=np.float64)


def pca_maps(
    features: np.ndarray,
    grid: Sequence[MapSettings] = MAP_GRIDS["one"],
    progress: Progress = silent,
) -> list[np.ndarray]:
    """The plane of the two largest principal components, which has no hyper-parameter.

    Parameters
    ----------
    features : ndarray, shape (n_samples, n_features)
        The latent space.
    grid : sequence of MapSettings
        Gives the number of maps; they are all equal.
    progress : callable
        Told once.

    Returns
    -------
    maps : list of ndarray, each of shape (n_samples, 2)
    """
    points = PCA(2, svd_solver="full").fit_transform(_checked(features, 1))
    progress("maps", 1, 1)
    return [points] * len(grid)


def _threads() -> int:
    """As many as OMP_NUM_THREADS allows, which openTSNE does not read; -1, all, without it."""
    return int(os.environ.get("OMP_NUM_THREADS", "-1").split(",")[0])


def _checked(features: np.ndarray, perplexity: float) -> np.ndarray:
    """The features as float64, or a refusal."""
    features = np.asarray(features, dtype=np.float64)
    if not np.isfinite(features).all():
        raise DataError("features: not finite; expected finite numbers. Remove those samples.")
    if len(features) <= 3 * perplexity:
        raise DataError(
            f"map: {len(features)} samples; expected more than {3 * perplexity:g}, three times the "
            "perplexity. Choose a smaller perplexity."
        )
    if np.ptp(features, axis=0).max() == 0:
        raise DataError("features: all samples are equal; expected some spread. Train longer.")
    return features


PROJECTIONS["tsne"] = tsne_maps
PROJECTIONS["pca"] = pca_maps
