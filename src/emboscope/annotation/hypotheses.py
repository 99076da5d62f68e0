"""Does this map bear semi-automatic annotation? The three hypotheses of the method, measured."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order
from sklearn.manifold import trustworthiness

from emboscope.annotation.neighbors import nearest_neighbors
from emboscope.annotation.selection import labeled_silhouette
from emboscope.errors import DataError

Verdict = Literal["good", "doubtful", "poor"]
_WORST_FIRST: tuple[Verdict, ...] = ("poor", "doubtful", "good")

# (doubtful from, good from)
# "No substantial structure" up to 0.25, "reasonable" above 0.5: Kaufman and Rousseeuw (1990),
# Finding groups in data, for plain distances. With squared ones, which are taken here, values are a
# little larger: 0.61 instead of 0.56 on a good map of digits, 0.09 instead of 0.08 on a bad one.
SILHOUETTE_BOUNDS = (0.25, 0.5)
# Propagation refuses a map on which more than 30 % of the samples keep no neighbor. t-SNE maps of
# digits have 98 to 99 % of good samples (threshold 0.1), their principal planes 25 to 58 %.
GOOD_SHARE_BOUNDS = (0.7, 0.9)
# The same t-SNE maps are at 0.97 to 0.99 in both, the planes at 0.77 to 0.83 in trustworthiness.
RANK_BOUNDS = (0.85, 0.95)
# LQ-KNN is published with 94 to 98.5 % of coverage on MNIST and HITS, 86 to 96 % on OrganCMNIST.
REACH_BOUNDS = (0.7, 0.9)

LARGEST_SAMPLE = 2000  # samples for the ranks, whose memory grows with the square
_RANKS = 10  # neighbors whose ranks are compared


@dataclass(frozen=True)
class Finding:
    """One hypothesis, judged."""

    name: str
    verdict: Verdict
    sentence: str


@dataclass(frozen=True)
class Hypotheses:
    """The three hypotheses on a map: what was measured, and what it says.

    Attributes
    ----------
    silhouette : float
        Of the labeled samples; NaN where it is undefined.
    good_share : float
        Share of the samples whose local quality exceeds the threshold.
    trustworthiness, continuity : float
        1 where neighbors on the map are neighbors in the features, and the other way round.
    reached_share : float
        Share of the unlabeled samples that a label can reach; NaN where all are labeled.
    findings : tuple of Finding
        Cluster structure, local structures, space covered.
    """

    silhouette: float
    good_share: float
    trustworthiness: float
    continuity: float
    reached_share: float
    findings: tuple[Finding, Finding, Finding]


def hypotheses(
    features: np.ndarray,
    points: np.ndarray,
    y: np.ndarray,
    quality: np.ndarray,
    k: int = 10,
    threshold: float = 0.1,
) -> Hypotheses:
    """Measure what semi-automatic annotation supposes of a map, each with a verdict.

    1. Cluster structure: samples of a class lie together (silhouette of the labeled ones).
    2. Local structures are kept: neighbors on the map are neighbors in the features. Share of
       samples above the threshold; trustworthiness and continuity [1]_ of 10 neighbors, on at most
       2000 samples drawn with a fixed seed, whose neighborhoods are wider than those of all.
    3. The space is covered: labels can travel to the unlabeled samples, from good sample to good
       sample along the k nearest neighbors on the map, as in LQ-KNN.

    Parameters
    ----------
    features : ndarray, shape (n_samples, n_features)
        What the map was made from.
    points : ndarray, shape (n_samples, 2)
        The map.
    y : ndarray of int, shape (n_samples,)
        Labels known so far; -1 is unlabeled.
    quality : ndarray, shape (n_samples,)
        Local quality on that map.
    k : int
        Neighbors that a label travels to.
    threshold : float
        A sample of a quality above it is good.

    Raises
    ------
    DataError
        If lengths differ, or there are fewer than four samples.

    References
    ----------
    .. [1] Venna, J., Kaski, S. (2001). Neighborhood preservation in nonlinear projection methods:
       an experimental study. ICANN.
    """
    features, points, y, quality = map(np.asarray, (features, points, y, quality))
    lengths = {len(features), len(points), len(y), len(quality)}
    if len(lengths) > 1 or len(y) < 4:
        raise DataError(
            f"hypotheses: {len(features)} feature rows, {len(points)} points, {len(y)} labels and "
            f"{len(quality)} qualities; expected as many of each, at least 4. Give those of one "
            "map."
        )
    good = quality > threshold
    silhouette = labeled_silhouette(points, y)
    trust, continuity = _ranks_kept(features, points)
    reached = reached_samples(points, y, good, k)
    unlabeled = y < 0
    reached_share = float(reached[unlabeled].mean()) if unlabeled.any() else float("nan")
    good_share = float(good.mean())
    findings = (
        _clusters(silhouette, int((~unlabeled).sum())),
        _local_structures(good_share, trust, continuity),
        _coverage(reached_share),
    )
    return Hypotheses(silhouette, good_share, trust, continuity, reached_share, findings)


def reached_samples(points: np.ndarray, y: np.ndarray, good: np.ndarray, k: int) -> np.ndarray:
    """Samples to which some label can travel, from good to good along k nearest neighbors.

    Parameters
    ----------
    points : ndarray, shape (n_samples, 2)
    y : ndarray of int, shape (n_samples,)
        Labels; -1 is unlabeled.
    good : ndarray of bool, shape (n_samples,)
        Samples that pass labels on, and take them.
    k : int
        A sample passes its label to its k nearest ones.

    Returns
    -------
    reached : ndarray of bool, shape (n_samples,)
        Labeled samples that are good included.
    """
    neighbors, _ = nearest_neighbors(points, k)
    n_samples = len(points)
    source, target = np.repeat(np.arange(n_samples), neighbors.shape[1]), neighbors.ravel()
    open_ = good[source] & good[target]
    starts = np.flatnonzero(good & (y >= 0))  # all are entered from one node beside the samples
    rows = np.concatenate([source[open_], np.full(len(starts), n_samples)])
    columns = np.concatenate([target[open_], starts])
    graph = csr_array((np.ones(len(rows)), (rows, columns)), shape=(n_samples + 1, n_samples + 1))
    found = breadth_first_order(graph, n_samples, return_predecessors=False)
    reached = np.zeros(n_samples + 1, bool)
    reached[found] = True
    return reached[:n_samples]


def _ranks_kept(features: np.ndarray, points: np.ndarray) -> tuple[float, float]:
    """Trustworthiness and continuity, which is the same with the spaces exchanged."""
    if len(points) > LARGEST_SAMPLE:
        rows = np.random.default_rng(0).choice(len(points), LARGEST_SAMPLE, replace=False)
        features, points = features[rows], points[rows]
    k = min(_RANKS, (len(points) - 1) // 2)
    return (
        float(trustworthiness(features, points, n_neighbors=k)),
        float(trustworthiness(points, features, n_neighbors=k)),
    )


def _verdict(value: float, bounds: tuple[float, float]) -> Verdict:
    return _WORST_FIRST[sum(value >= bound for bound in bounds)]


def _clusters(silhouette: float, n_labeled: int) -> Finding:
    if np.isnan(silhouette):
        sentence = (
            f"Whether classes lie apart cannot be told from {n_labeled} labels: two classes with "
            "two labels in one of them are needed."
        )
        return Finding("cluster structure", "doubtful", sentence)
    verdict = _verdict(silhouette, SILHOUETTE_BOUNDS)
    how = {"good": "lie apart", "doubtful": "touch", "poor": "lie mixed"}[verdict]
    sentence = f"Classes {how}: silhouette {silhouette:.2f} of {n_labeled} labels."
    return Finding("cluster structure", verdict, sentence)


def _local_structures(good_share: float, trust: float, continuity: float) -> Finding:
    verdicts = (
        _verdict(good_share, GOOD_SHARE_BOUNDS),
        _verdict(trust, RANK_BOUNDS),
        _verdict(continuity, RANK_BOUNDS),
    )
    verdict = min(verdicts, key=_WORST_FIRST.index)
    how = {"good": "keeps", "doubtful": "changes some", "poor": "loses many"}[verdict]
    sentence = (
        f"The map {how} neighborhoods: {good_share:.0%} of the samples are good, trustworthiness "
        f"{trust:.2f}, continuity {continuity:.2f}."
    )
    return Finding("local structures", verdict, sentence)


def _coverage(reached_share: float) -> Finding:
    if np.isnan(reached_share):
        return Finding("space covered", "good", "Every sample is labeled already.")
    verdict = _verdict(reached_share, REACH_BOUNDS)
    sentence = f"Labels can reach {reached_share:.0%} of the unlabeled samples through good ones."
    return Finding("space covered", verdict, sentence)
