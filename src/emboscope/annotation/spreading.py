"""Propagation over a whole graph at once, on the map, in the latent space, or on both."""

from typing import Literal

import numpy as np
from scipy.sparse import coo_array, csr_array

from emboscope.annotation.neighbors import nearest_neighbors
from emboscope.annotation.propagation import (
    Problem,
    Propagator,
    Spread,
    certain,
    check_at_least,
    refuse_lost_map,
)
from emboscope.errors import DataError, SettingsError

_LATENT_NEIGHBORS = 20  # a map edge is trusted when it is among these in the latent space
_DISTRUST = 0.15  # weight of a map edge that is not
GRAPHS = ("map", "checked", "latent", "blended")


class Spreading(Propagator):
    """Label spreading on a graph of nearest neighbors [1]_.

    `F ← α S F + (1 − α) Y` with `S = D^(−1/2) W D^(−1/2)`, where W joins each sample with its k
    nearest ones, and Y is 1 at the given labels. Rows of F, made to sum to 1, are the soft
    labels. It labels all that a path leads to; `margins_` tells which of it to trust.

    Parameters
    ----------
    k : int
        Neighbors of a sample.
    alpha : float
        Weight of the neighbors against the given labels, in (0, 1).
    iterations : int
        Rounds.
    graph : {"blended", "latent", "map", "checked"}
        "map": neighbors on the map. "checked": the same, an edge weighing 0.15 unless it is among
        the 20 nearest in the latent space too. "latent": neighbors in the latent space. "blended":
        the mean of the distributions on map and latent space, which survives a bad map; without
        `features` in `fit` it is the map alone.
    priors : {"given", "equal"}
        "given": classes weigh as often as they are given. "equal": each class weighs the same in
        all, which finds more of the rare ones and labels more samples wrongly.

    References
    ----------
    .. [1] Zhou, D., Bousquet, O., Lal, T. N., Weston, J., Schölkopf, B. (2003). Learning with local
       and global consistency. NeurIPS.
    """

    def __init__(
        self,
        k: int = 10,
        alpha: float = 0.9,
        iterations: int = 60,
        graph: Literal["blended", "latent", "map", "checked"] = "blended",
        priors: Literal["given", "equal"] = "given",
    ) -> None:
        self.k = k
        self.alpha = alpha
        self.iterations = iterations
        self.graph = graph
        self.priors = priors

    def _propagate(self, problem: Problem) -> Spread:
        self._check(problem)
        parts = []
        if self.graph != "latent":
            parts.append(self._on_map(problem))
        if self.graph in {"latent", "blended"} and problem.features is not None:
            neighbors = nearest_neighbors(problem.features, self.k)[0]
            parts.append(self._spread(neighbors, np.ones(neighbors.shape), problem))
        return _settled(parts, problem)

    def _on_map(self, problem: Problem) -> np.ndarray:
        """Distributions on the map; a lost one is refused unless the latent space helps."""
        if self.graph != "blended" or problem.features is None:
            refuse_lost_map(problem.quality)
        neighbors = nearest_neighbors(problem.points, self.k)[0]
        weights = np.ones(neighbors.shape)
        if self.graph == "checked":
            latent = nearest_neighbors(problem.features, _LATENT_NEIGHBORS)[0]  # type: ignore[arg-type]
            problem.border.refuse_crossing(latent)
            kept = (neighbors[:, :, None] == latent[:, None, :]).any(axis=2)
            weights[~kept] = _DISTRUST
        return self._spread(neighbors, weights, problem)

    def _spread(self, neighbors: np.ndarray, weights: np.ndarray, problem: Problem) -> np.ndarray:
        """The iterations; rows of sum 1, or 0 where no label leads."""
        problem.border.refuse_crossing(neighbors)
        steps = self.alpha * _normalized(neighbors, weights)
        given = np.nan_to_num(certain(problem.codes, problem.n_classes))
        if self.priors == "equal":
            given /= given.sum(axis=0)
        soft = given.copy()
        for _ in range(self.iterations):
            soft = steps @ soft + (1 - self.alpha) * given
        total = soft.sum(axis=1, keepdims=True)
        return np.divide(soft, total, out=np.zeros_like(soft), where=total > 0)

    def _check(self, problem: Problem) -> None:
        check_at_least("k", self.k, 1, "10 is usual.")
        check_at_least("iterations", self.iterations, 1, "60 is usual.")
        if not 0 < self.alpha < 1:
            raise SettingsError(
                f"spreading: alpha is {self.alpha}; expected more than 0 and less than 1. "
                "0.9 is usual."
            )
        if self.graph not in GRAPHS:
            raise SettingsError(
                f"spreading: graph is '{self.graph}'; expected {', '.join(GRAPHS)}. Leave it out "
                "for 'blended'."
            )
        if self.priors not in {"given", "equal"}:
            raise SettingsError(
                f"spreading: priors is '{self.priors}'; expected 'given' or 'equal'. Leave it out "
                "for 'given'."
            )
        if self.graph in {"latent", "checked"} and problem.features is None:
            raise DataError(
                f"spreading: no features; expected the latent space for graph '{self.graph}'. "
                "Pass features= to fit."
            )


def _normalized(neighbors: np.ndarray, weights: np.ndarray) -> csr_array:
    """D^(−1/2) W D^(−1/2) of the neighbor lists, an edge counting both ways."""
    n_samples, k = neighbors.shape
    rows = np.repeat(np.arange(n_samples), k)
    entries = (weights.ravel(), (rows, neighbors.ravel()))
    graph = coo_array(entries, shape=(n_samples, n_samples)).tocsr()
    graph = graph.maximum(graph.T)
    scale = 1 / np.sqrt(graph.sum(axis=1))
    rows = np.repeat(np.arange(n_samples), np.diff(graph.indptr))
    scaled = graph.data * scale[rows] * scale[graph.indices]
    return csr_array((scaled, graph.indices, graph.indptr), shape=graph.shape)


def _settled(parts: list[np.ndarray], problem: Problem) -> Spread:
    """Mean of the parts that reach a sample; given labels stay, unreached samples have none."""
    reached = np.stack([part.sum(axis=1) > 0 for part in parts])  # (part, sample)
    mean = np.sum(parts, axis=0) / np.maximum(reached.sum(axis=0), 1)[:, None]
    codes = np.where(reached.any(axis=0), mean.argmax(axis=1), -1)
    mean[codes < 0] = np.nan
    known = problem.codes >= 0
    codes[known] = problem.codes[known]
    mean[known] = certain(problem.codes[known], problem.n_classes)
    return Spread(codes, mean)
