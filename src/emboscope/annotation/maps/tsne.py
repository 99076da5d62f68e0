"""t-SNE maps by openTSNE: affinities once a perplexity, new points beside fixed ones."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from openTSNE import TSNEEmbedding, affinity, initialization

from emboscope.annotation.maps.projection import Map, checked_features, checked_new
from emboscope.annotation.maps.settings import MapSettings
from emboscope.progress import Progress, silent

_REPORT_EVERY = 50  # iterations
_NEW_PERPLEXITY = 5  # a new point has its nearest neighbors alone to stand by
_NEW_NEIGHBORS = 25  # at whose median it starts


@dataclass(frozen=True)
class TsneMap(Map):
    """A t-SNE map, beside whose fixed points new ones are placed [1]_.

    New points do not see each other: what one is given does not depend on the others, but for the
    rounding of the interpolated forces.

    References
    ----------
    .. [1] Poličar, P. G., Stražar, M., Zupan, B. (2023). Embedding to reference t-SNE space
       addresses batch effects in single-cell classification. Machine Learning, 112.
    """

    embedding: TSNEEmbedding
    n_features: int

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Points, (n_new, 2), of new samples."""
        new = self.embedding.transform(
            checked_new(features, self.n_features),
            perplexity=_NEW_PERPLEXITY,
            k=min(_NEW_NEIGHBORS, len(self.points) - 1),
        )
        return np.asarray(new, dtype=np.float64)


def fit_tsne(
    features: np.ndarray, grid: Sequence[MapSettings], progress: Progress = silent
) -> list[Map]:
    """One t-SNE map a setting [1]_; affinities are computed once a perplexity [2]_.

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
    maps : list of TsneMap
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
    features = checked_features(features, max(settings.perplexity for settings in grid))
    total = sum(settings.total_iterations for settings in grid)
    near: dict[float, affinity.PerplexityBasedNN] = {}
    maps: list[Map] = []
    done = 0
    for settings in grid:
        if settings.perplexity not in near:
            near[settings.perplexity] = affinity.PerplexityBasedNN(
                features,
                perplexity=settings.perplexity,
                random_state=settings.seed,
                n_jobs=_threads(),
            )
        drawn = _draw(features, near[settings.perplexity], settings, (progress, done, total))
        points = np.array(drawn, dtype=np.float64)
        maps.append(TsneMap(points, settings, drawn, features.shape[1]))
        done += settings.total_iterations
    return maps


def _draw(
    features: np.ndarray,
    near: affinity.PerplexityBasedNN,
    settings: MapSettings,
    report: tuple[Progress, int, int],
) -> TSNEEmbedding:
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
    return embedding


def _threads() -> int:
    """As many as OMP_NUM_THREADS allows, which openTSNE does not read; -1, all, without it."""
    return int(os.environ.get("OMP_NUM_THREADS", "-1").split(",")[0])
