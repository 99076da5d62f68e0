"""Choosing: which map to work on, and which samples to show to the expert."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_samples

from emboscope.annotation.quality import local_quality
from emboscope.errors import DataError


@dataclass(frozen=True)
class MapChoice:
    """The chosen map, the score of each, and two others that studies compare it with.

    Attributes
    ----------
    index : int
        The map of the best score; of equal ones the first.
    scores : ndarray, shape (n_maps,)
    criterion : str
        `silhouette` or `local_quality`: what the scores are.
    """

    index: int
    scores: np.ndarray
    criterion: str

    @property
    def worst(self) -> int:
        """The map of the lowest score; of equal ones the first."""
        return int(np.argmin(self.scores))

    @property
    def middle(self) -> int:
        """The map at place n_maps // 2, from 0, of the ascending scores; equal ones in order."""
        return int(np.argsort(self.scores, kind="stable")[len(self.scores) // 2])


def labeled_silhouette(points: np.ndarray, y: np.ndarray) -> float:
    """Mean silhouette of the labeled samples, with the squared Euclidean distance.

    `s = (b - a) / max(a, b)`, where a is the mean squared distance to the other members of the own
    class and b the smallest mean to another class; 0 for the only member of a class and where
    a = b = 0.

    Parameters
    ----------
    points : ndarray, shape (n_samples, n_dims)
        The map.
    y : ndarray of int, shape (n_samples,)
        Labels; -1 is unlabeled and leaves the sample out.

    Returns
    -------
    silhouette : float
        In [-1, 1]. NaN with fewer than two labeled classes, or as many classes as labels.

    References
    ----------
    .. [1] Rousseeuw, P. J. (1987). Silhouettes: a graphical aid to the interpretation and
       validation of cluster analysis. Journal of Computational and Applied Mathematics, 20.
    """
    labeled = np.asarray(y) >= 0
    n_classes = len(np.unique(np.asarray(y)[labeled]))
    if n_classes < 2 or n_classes == labeled.sum():
        return float("nan")
    return float(silhouette_samples(points[labeled], y[labeled], metric="sqeuclidean").mean())


def choose_map(maps: Sequence[np.ndarray], y: np.ndarray, features: np.ndarray) -> MapChoice:
    """The map with the best silhouette of the labeled samples; the first of equals.

    Where the labels allow no silhouette, the mean local quality decides, which needs none.

    Parameters
    ----------
    maps : sequence of ndarray, each of shape (n_samples, n_dims)
        The candidates.
    y : ndarray of int, shape (n_samples,)
        The labels known so far; -1 is unlabeled. Hidden labels must not be here.
    features : ndarray, shape (n_samples, n_features)
        What the maps were made from.

    Raises
    ------
    DataError
        If there is no map.
    """
    if not maps:
        raise DataError("maps: none; expected at least one. Compute a map first.")
    scores = np.array([labeled_silhouette(points, y) for points in maps])
    criterion = "silhouette"
    if np.isnan(scores).all():
        scores = np.array([local_quality(features, points).mean() for points in maps])
        criterion = "local_quality"
    return MapChoice(int(np.nanargmax(scores)), scores, criterion)


def coverage_rule(points: np.ndarray, n_queries: int, random_state: int = 0) -> np.ndarray:
    """Samples to show to the expert, so that every region of the space has one.

    The space is cut into `n_queries` clusters (k-means), and the member nearest to each center is
    asked for. Needs no label, unlike a draw per class.

    Parameters
    ----------
    points : ndarray, shape (n_samples, n_dims)
        The map, or the latent space.
    n_queries : int
        How many samples the expert is to label.
    random_state : int
        Of the k-means start.

    Returns
    -------
    queries : ndarray of int64, shape (n_queries,)
        Distinct sample indices, those of the largest clusters first.

    Raises
    ------
    DataError
        If there are fewer samples than queries.
    """
    points = np.asarray(points, dtype=np.float64)
    if not 1 <= n_queries <= len(points):
        raise DataError(
            f"queries: {n_queries} of {len(points)} samples; expected between 1 and all of them. "
            "Ask for fewer."
        )
    n_clusters = min(n_queries, len(np.unique(points, axis=0)))
    clusters = KMeans(n_clusters, n_init=1, random_state=random_state).fit(points)
    to_center = ((points - clusters.cluster_centers_[clusters.labels_]) ** 2).sum(axis=1)
    order = np.lexsort((to_center, clusters.labels_))
    found, first = np.unique(clusters.labels_[order], return_index=True)
    sizes = np.bincount(clusters.labels_)[found]
    medoids = order[first][np.argsort(-sizes, kind="stable")]
    rest = np.setdiff1d(np.arange(len(points)), medoids)  # only with duplicated points
    return np.concatenate([medoids, rest[: n_queries - len(medoids)]])
