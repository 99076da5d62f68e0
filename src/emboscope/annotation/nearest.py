"""Propagation from neighbor to neighbor: LQ-KNN, and the plain form that it is compared with."""

from heapq import heapify, heappop, heappush
from typing import Literal

import numpy as np

from emboscope.annotation.neighbors import nearest_neighbors
from emboscope.annotation.propagation import (
    Problem,
    Propagator,
    Spread,
    certain,
    check_at_least,
    refuse_lost_map,
)
from emboscope.errors import SettingsError

_K_HINT = "The paper uses 5 and 10."


class LQKNN(Propagator):
    """Propagation through samples of good local quality only (LQ-KNN) [1]_.

    In each round every labeled sample of good quality offers its label to those of its `k` nearest
    neighbors on the map (among all samples) that are good and unlabeled. Each of them takes the
    offer of the sample with the highest quality; at equal quality the nearer one, then the smaller
    index. A round is applied at once, labels are never revised, and the rounds end when one labels
    nothing. Samples never reached stay -1. Without a local quality the gate is open.

    Parameters
    ----------
    k : int
        Neighbors to which a sample offers its label.
    threshold : float
        A sample is good when its local quality is greater than this.
    scale : {"absolute", "max"}
        Whether the local quality is compared as it is given, or divided by its largest value. On
        the absolute scale a map that lost the neighbors of more than 30 % is refused.

    Attributes
    ----------
    label_distributions_ : ndarray, shape (n_samples, n_classes)
        Share of each class among the offers of the round that labeled the sample, weighted by local
        quality; certain for given labels, a row of NaN for an unlabeled sample.
    rounds_ : ndarray of int64, shape (n_samples,)
        The round that labeled the sample: 0 for given labels, -1 for none.
    sources_ : ndarray of int64, shape (n_samples,)
        The sample whose label was taken; itself for given labels, -1 for none.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2022). Semi-automatic
       data annotation based on feature-space projection and local quality metrics: An application
       to cerebral emboli characterization. Medical Image Analysis, 79.
    """

    rounds_: np.ndarray
    sources_: np.ndarray

    def __init__(
        self,
        k: int = 10,
        threshold: float = 0.1,
        scale: Literal["absolute", "max"] = "absolute",
    ) -> None:
        self.k = k
        self.threshold = threshold
        self.scale = scale

    def _propagate(self, problem: Problem) -> Spread:
        check_at_least("k", self.k, 1, _K_HINT)
        quality, good = self._gate(problem)
        spread, self.rounds_, self.sources_ = _rounds(problem, self.k, quality, good)
        return spread

    def _gate(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Quality on the scale asked for, and which samples are good."""
        if self.scale not in {"absolute", "max"}:
            raise SettingsError(
                f"lq_knn: scale is '{self.scale}'; expected 'absolute' or 'max'. Leave it out for "
                "'absolute'."
            )
        quality = problem.quality
        if quality is None:
            return np.ones(len(problem.codes)), np.ones(len(problem.codes), bool)
        if self.scale == "max":
            quality = quality / max(quality.max(), np.finfo(float).tiny)
        else:
            refuse_lost_map(quality)
        return quality, quality > self.threshold


def _rounds(
    problem: Problem, k: int, quality: np.ndarray, good: np.ndarray
) -> tuple[Spread, np.ndarray, np.ndarray]:
    """Synchronous rounds from the frontier: labels, the round of each, the source of each."""
    neighbors, squared = nearest_neighbors(problem.points, k)
    problem.border.refuse_crossing(neighbors)
    codes = problem.codes.copy()
    distributions = certain(codes, problem.n_classes)
    rounds = np.where(codes >= 0, 0, -1)
    sources = np.where(codes >= 0, np.arange(len(codes)), -1)
    frontier = np.flatnonzero((codes >= 0) & good)
    while frontier.size:
        takes = good[neighbors[frontier]] & (codes[neighbors[frontier]] < 0)
        source = np.repeat(frontier, takes.sum(axis=1))
        target, distance = neighbors[frontier][takes], squared[frontier][takes]
        order = np.lexsort((source, distance, -quality[source], target))
        frontier, best, place = np.unique(target[order], return_index=True, return_inverse=True)
        offered = source[order]
        distributions[frontier] = _shares(place, codes[offered], quality[offered], problem)
        rounds[frontier] = rounds.max() + 1
        sources[frontier] = offered[best]
        codes[frontier] = codes[offered[best]]
    return Spread(codes, distributions), rounds, sources


def _shares(
    place: np.ndarray, codes: np.ndarray, quality: np.ndarray, problem: Problem
) -> np.ndarray:
    """Share of each class among the offers to each place, weighted by the quality of who offers."""
    weights = np.maximum(quality, np.finfo(float).tiny)
    cell = place * problem.n_classes + codes
    n_places = int(place.max(initial=-1)) + 1
    votes = np.bincount(cell, weights, n_places * problem.n_classes)
    votes = votes.reshape(n_places, problem.n_classes)
    return votes / votes.sum(axis=1, keepdims=True)


class StdKNN(Propagator):
    """Plain propagation to the nearest neighbors, without a gate: the baseline.

    Synchronous by default: rounds as in `LQKNN`, where the nearest source wins. The published
    baseline is order="class": samples are visited in list order, again and again until a pass adds
    nothing: first the labeled ones grouped by class, then the rest by index. Each that has a label
    gives it at once to its unlabeled neighbors, which may hand it on within the same pass, so that
    the result depends on the order of the list.

    Parameters
    ----------
    k : int
        Neighbors to which a sample gives its label.
    order : {"synchronous", "class", "index"}
        Rounds, or how the labeled samples are listed: grouped by class, or by index alone.
    """

    def __init__(
        self, k: int = 10, order: Literal["synchronous", "class", "index"] = "synchronous"
    ) -> None:
        self.k = k
        self.order = order

    def _propagate(self, problem: Problem) -> Spread:
        check_at_least("k", self.k, 1, _K_HINT)
        if self.order == "synchronous":
            n_samples = len(problem.codes)
            return _rounds(problem, self.k, np.ones(n_samples), np.ones(n_samples, bool))[0]
        neighbors, _ = nearest_neighbors(problem.points, self.k)
        problem.border.refuse_crossing(neighbors)
        codes = _passes(problem.codes, neighbors, self._list(problem.codes))
        return Spread(codes, certain(codes, problem.n_classes))

    def _list(self, codes: np.ndarray) -> np.ndarray:
        """Sample indices in the order of the visits."""
        if self.order not in {"class", "index"}:
            raise SettingsError(
                f"std_knn: order is '{self.order}'; expected 'synchronous', 'class' or 'index'. "
                "Leave it out for 'synchronous'."
            )
        labeled = np.flatnonzero(codes >= 0)
        if self.order == "class":
            labeled = labeled[np.argsort(codes[labeled], kind="stable")]
        return np.concatenate([labeled, np.flatnonzero(codes < 0)])


def _passes(codes: np.ndarray, neighbors: np.ndarray, listed: np.ndarray) -> np.ndarray:
    """Passes over the list; only samples whose turn is still to come are kept in a heap."""
    place = np.argsort(listed).tolist()
    labels, offered = codes.tolist(), neighbors.tolist()
    this_pass = list(range(int((codes >= 0).sum())))
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
    return np.array(labels)
