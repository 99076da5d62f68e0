"""Label propagation on a map: labels travel from few labeled samples to their neighbors."""

from heapq import heapify, heappop, heappush
from typing import Literal, Protocol, Self

import numpy as np
from sklearn.base import BaseEstimator

from emboscope.annotation.neighbors import nearest_neighbors
from emboscope.errors import DataError, SettingsError
from emboscope.registry import Registry

LARGEST_LOST_SHARE = 0.3  # of samples that keep no neighbor at all; above it the map is refused


class Propagator(Protocol):
    """What an entry of `PROPAGATORS` makes: an estimator with `fit` and these attributes."""

    transduction_: np.ndarray
    label_distributions_: np.ndarray

    def fit(
        self, points: np.ndarray, y: np.ndarray, local_quality: np.ndarray | None = None
    ) -> Self: ...


PROPAGATORS: Registry[type[Propagator]] = Registry("propagator")


class LQKNN(BaseEstimator):
    """Propagation through samples of good local quality only (LQ-KNN) [1]_.

    In each round every labeled sample of good quality offers its label to those of its `k` nearest
    neighbors on the map (among all samples) that are good and unlabeled. Each of them takes the
    offer of the sample with the highest quality; at equal quality the nearer one, then the smaller
    index. A round is applied at once, labels are never revised, and the rounds end when one labels
    nothing. Samples never reached stay -1.

    Parameters
    ----------
    k : int
        Neighbors to which a sample offers its label.
    threshold : float
        A sample is good when its local quality is greater than this.
    scale : {"absolute", "max"}
        Whether the local quality is compared as it is given, or divided by its largest value.

    Attributes
    ----------
    transduction_ : ndarray of int64, shape (n_samples,)
        The labels; -1 stays unlabeled.
    label_distributions_ : ndarray, shape (n_samples, n_classes)
        Share of each class among the offers of the round that labeled the sample, weighted by local
        quality; certain for given labels, a row of NaN for an unlabeled sample.
    rounds_ : ndarray of int64, shape (n_samples,)
        The round that labeled the sample: 0 for given labels, -1 for none.
    sources_ : ndarray of int64, shape (n_samples,)
        The sample whose label was taken; itself for given labels, -1 for none.
    classes_ : ndarray, shape (n_classes,)
        The labels that were given.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2022). Semi-automatic
       data annotation based on feature-space projection and local quality metrics: An application
       to cerebral emboli characterization. Medical Image Analysis, 79.
    """

    def __init__(
        self,
        k: int = 10,
        threshold: float = 0.1,
        scale: Literal["absolute", "max"] = "absolute",
    ) -> None:
        self.k = k
        self.threshold = threshold
        self.scale = scale

    def fit(
        self, points: np.ndarray, y: np.ndarray, local_quality: np.ndarray | None = None
    ) -> Self:
        """Propagate.

        Parameters
        ----------
        points : ndarray, shape (n_samples, n_dims)
            The map.
        y : ndarray of int, shape (n_samples,)
            Given labels; -1 is unlabeled. Not changed.
        local_quality : ndarray, shape (n_samples,), or None
            From `quality.local_quality`. None opens the gate: plain synchronous propagation.

        Raises
        ------
        DataError
            If no sample is labeled, lengths differ, or, on the absolute scale, the map lost every
            neighbor of more than 30 % of the samples.
        """
        y = _given_labels(points, y, self.k)
        quality = self._quality(local_quality, len(y))
        good = quality > self.threshold if local_quality is not None else np.ones(len(y), bool)
        neighbors, squared = nearest_neighbors(points, self.k)
        self.classes_ = np.unique(y[y >= 0])
        self.transduction_ = y.copy()
        self.label_distributions_ = _certain(y, self.classes_)
        self.rounds_ = np.where(y >= 0, 0, -1)
        self.sources_ = np.where(y >= 0, np.arange(len(y)), -1)
        frontier = np.flatnonzero((y >= 0) & good)
        while frontier.size:
            takes = good[neighbors[frontier]] & (self.transduction_[neighbors[frontier]] < 0)
            source = np.repeat(frontier, takes.sum(axis=1))
            target, distance = neighbors[frontier][takes], squared[frontier][takes]
            order = np.lexsort((source, distance, -quality[source], target))
            frontier, best = np.unique(target[order], return_index=True)
            self._vote(source, target, quality)
            self.rounds_[frontier] = self.rounds_.max() + 1
            self.sources_[frontier] = source[order][best]
            self.transduction_[frontier] = self.transduction_[self.sources_[frontier]]
        return self

    def _quality(self, local_quality: np.ndarray | None, n_samples: int) -> np.ndarray:
        """The quality on the scale asked for; ones without any."""
        if self.scale not in {"absolute", "max"}:
            raise SettingsError(
                f"lq_knn: scale is '{self.scale}'; expected 'absolute' or 'max'. Leave it out for "
                "'absolute'."
            )
        if local_quality is None:
            return np.ones(n_samples)
        quality = np.asarray(local_quality, dtype=np.float64)
        if quality.shape != (n_samples,) or not np.isfinite(quality).all():
            raise DataError(
                f"local quality: shape {quality.shape}, or not finite; expected one finite number "
                f"for each of the {n_samples} points. Compute it on the same samples."
            )
        if self.scale == "max":
            return quality / max(quality.max(), np.finfo(float).tiny)
        lost = float(np.mean(quality <= 0))
        if lost > LARGEST_LOST_SHARE:
            raise DataError(
                f"map: {lost:.0%} of the samples keep none of their neighbors; expected at most "
                f"{LARGEST_LOST_SHARE:.0%}. Choose another map, or better features."
            )
        return quality

    def _vote(self, source: np.ndarray, target: np.ndarray, quality: np.ndarray) -> None:
        """Share of each class among the offers, weighted by the quality of who offers."""
        votes = np.zeros_like(self.label_distributions_)
        column = np.searchsorted(self.classes_, self.transduction_[source])
        np.add.at(votes, (target, column), np.maximum(quality[source], np.finfo(float).tiny))
        reached = np.unique(target)
        self.label_distributions_[reached] = votes[reached] / votes[reached].sum(1, keepdims=True)


class StdKNN(BaseEstimator):
    """Plain sequential propagation, the published baseline: no gate, first come, first served.

    Samples are visited in list order, again and again until a pass adds nothing: first the labeled
    ones, then the rest by index. Each that has a label gives it at once to its unlabeled neighbors,
    which may hand it on within the same pass. The result depends on the order of the list.

    Parameters
    ----------
    k : int
        Neighbors to which a sample gives its label.
    order : {"class", "index"}
        How the labeled samples are listed: grouped by class, as published, or by index alone.

    Attributes
    ----------
    transduction_ : ndarray of int64, shape (n_samples,)
        The labels; -1 stays unlabeled.
    label_distributions_ : ndarray, shape (n_samples, n_classes)
        The same, each label as certain; a row of NaN for an unlabeled sample.
    classes_ : ndarray, shape (n_classes,)
        The labels that were given.
    """

    def __init__(self, k: int = 10, order: Literal["class", "index"] = "class") -> None:
        self.k = k
        self.order = order

    def fit(
        self, points: np.ndarray, y: np.ndarray, local_quality: np.ndarray | None = None
    ) -> Self:
        """Propagate; as in `LQKNN.fit`, but `local_quality` has no say here."""
        y = _given_labels(points, y, self.k)
        neighbors, _ = nearest_neighbors(points, self.k)
        listed = self._list(y)
        place = np.argsort(listed).tolist()
        labels, offered = y.tolist(), neighbors.tolist()
        this_pass = list(range(int((y >= 0).sum())))
        while this_pass:
            next_pass: list[int] = []
            while this_pass:
                here = heappop(this_pass)
                source = listed[here]
                for target in (j for j in offered[source] if labels[j] < 0):
                    labels[target] = labels[source]
                    heappush(this_pass if place[target] > here else next_pass, place[target])
            heapify(next_pass)
            this_pass = next_pass
        self.transduction_ = np.array(labels)
        self.classes_ = np.unique(y[y >= 0])
        self.label_distributions_ = _certain(self.transduction_, self.classes_)
        return self

    def _list(self, y: np.ndarray) -> np.ndarray:
        """Sample indices in the order of the visits."""
        if self.order not in {"class", "index"}:
            raise SettingsError(
                f"std_knn: order is '{self.order}'; expected 'class' or 'index'. Leave it out for "
                "'class', the published order."
            )
        labeled = np.flatnonzero(y >= 0)
        if self.order == "class":
            labeled = labeled[np.argsort(y[labeled], kind="stable")]
        return np.concatenate([labeled, np.flatnonzero(y < 0)])


def _given_labels(points: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """The labels as int64, or a refusal."""
    y = np.asarray(y, dtype=np.int64)
    if k < 1:
        raise SettingsError(f"propagation: k is {k}; expected at least 1. The paper uses 5 and 10.")
    if y.shape != (len(points),):
        raise DataError(
            f"labels: shape {y.shape}; expected one for each of the {len(points)} points. "
            "Mark unlabeled samples by -1."
        )
    if not (y >= 0).any():
        raise DataError("labels: every sample is -1; expected some labels. Label a few samples.")
    return y


def _certain(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Rows that are 1 at the label; NaN where there is none."""
    rows = (labels[:, None] == classes).astype(np.float64)
    rows[labels < 0] = np.nan
    return rows


PROPAGATORS["lq_knn"] = LQKNN
PROPAGATORS["std_knn"] = StdKNN
