"""Propagation along the path whose longest step is shortest: minimax forest and OPF-semi."""

from heapq import heappop, heappush

import numpy as np
from scipy.spatial import Delaunay, QhullError

from emboscope.annotation.propagation import Problem, Propagator, Spread, certain

Tree = tuple[np.ndarray, np.ndarray]  # edges (n - 1, 2), squared lengths (n - 1,)


class MinimaxForest(Propagator):
    """Each sample takes the label of the seed with the shortest longest step on the way to it.

    The cost of a path is its longest step; such paths run along the minimum spanning tree of all
    samples. Every labeled sample is a seed. It labels everything; the soft label of a class is
    inversely proportional to the cost of its best path.

    Attributes
    ----------
    costs_ : ndarray, shape (n_samples, n_classes)
        Longest step to the nearest seed of each class, in the unit of the points.

    References
    ----------
    .. [1] Papa, J. P., Falcão, A. X., Suzuki, C. T. N. (2009). Supervised pattern classification
       based on optimum-path forest. International Journal of Imaging Systems and Technology, 19.
    """

    costs_: np.ndarray

    def _propagate(self, problem: Problem) -> Spread:
        problem.border.refuse_both_sides()
        tree = spanning_tree(problem.points)
        seeds = self._seeds(problem)
        codes = _conquer(tree, np.where(seeds, problem.codes, -1))
        self.costs_ = _class_costs(tree, np.where(seeds, problem.codes, -1), problem.n_classes)
        return Spread(codes, _soft(codes, self.costs_))

    def _seeds(self, problem: Problem) -> np.ndarray:
        """Which samples give labels."""
        return problem.codes >= 0


class OPFSemi(MinimaxForest):
    """The published baseline: only labeled samples at a border between classes are seeds [1]_.

    Ends of the edges that join two classes in the minimum spanning tree of the labeled samples
    conquer all others, so that a given label may be changed. With a single class all its samples
    are seeds.

    References
    ----------
    .. [1] Amorim, W. P., Falcão, A. X., Papa, J. P., Carvalho, M. H. (2016). Improving
       semi-supervised learning through optimum connectivity. Pattern Recognition, 60.
    """

    def _seeds(self, problem: Problem) -> np.ndarray:
        labeled = np.flatnonzero(problem.codes >= 0)
        if problem.n_classes == 1:
            return problem.codes >= 0
        edges, _ = spanning_tree(problem.points[labeled])
        ends = problem.codes[labeled][edges]
        seeds = np.zeros(len(problem.codes), bool)
        seeds[labeled[edges[ends[:, 0] != ends[:, 1]].ravel()]] = True
        return seeds


def spanning_tree(points: np.ndarray) -> Tree:
    """The Euclidean minimum spanning tree.

    On a plane its edges are among those of the Delaunay triangulation; otherwise, and where
    there is no triangulation, Prim's algorithm looks at all pairs, O(n²).

    Parameters
    ----------
    points : ndarray, shape (n_samples, n_dims)

    Returns
    -------
    edges : ndarray of int64, shape (n_samples - 1, 2)
    squared : ndarray, shape (n_samples - 1,)
        Squared lengths.
    """
    if points.shape[1] != 2 or len(points) < 5:
        return _prim(points)
    places, first, inverse = np.unique(points, axis=0, return_index=True, return_inverse=True)
    try:
        triangles = Delaunay(places).simplices
    except (QhullError, ValueError):  # on one line
        return _prim(points)
    if len(np.unique(triangles)) < len(places):  # nearly equal points were left out
        return _prim(points)
    edges = first[
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]])
    ]
    copies = np.flatnonzero(first[inverse] != np.arange(len(points)))
    edges = np.concatenate([np.stack([first[inverse[copies]], copies], axis=1), edges])
    return _kruskal(np.unique(np.sort(edges, axis=1), axis=0), points)


def _kruskal(edges: np.ndarray, points: np.ndarray) -> Tree:
    """The spanning tree among candidate edges, the shortest first."""
    squared = ((points[edges[:, 0]] - points[edges[:, 1]]) ** 2).sum(axis=1)
    order = np.argsort(squared, kind="stable")
    parent = list(range(len(points)))
    kept = []
    for index, (one, other) in zip(order.tolist(), edges[order].tolist(), strict=True):
        one, other = _root(parent, one), _root(parent, other)
        if one != other:
            parent[one] = other
            kept.append(index)
    return edges[kept], squared[kept]


def _root(parent: list[int], node: int) -> int:
    """The root of a node; halves the path on its way."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def _prim(points: np.ndarray) -> Tree:
    """The spanning tree by looking at all pairs."""
    n_samples = len(points)
    best, joined = np.full(n_samples, np.inf), np.zeros(n_samples, np.int64)
    outside = np.ones(n_samples, bool)
    edges, squared = np.empty((n_samples - 1, 2), np.int64), np.empty(n_samples - 1)
    here = 0
    for index in range(n_samples - 1):
        outside[here] = False
        distance = ((points - points[here]) ** 2).sum(axis=1)
        nearer = outside & (distance < best)
        best[nearer], joined[nearer] = distance[nearer], here
        here = int(np.where(outside, best, np.inf).argmin())
        edges[index], squared[index] = (joined[here], here), best[here]
    return edges, squared


def _conquer(tree: Tree, codes: np.ndarray) -> np.ndarray:
    """Codes of all samples: seeds grow along the tree, the smallest cost first."""
    edges, squared = tree
    neighbors: list[list[tuple[int, float]]] = [[] for _ in codes]
    for (one, other), length in zip(edges.tolist(), squared.tolist(), strict=True):
        neighbors[one].append((other, length))
        neighbors[other].append((one, length))
    found = np.full(len(codes), -1).tolist()
    seeds = np.flatnonzero(codes >= 0).tolist()
    queue: list[tuple[float, int, int, int]] = [(0.0, n, n, int(codes[n])) for n in seeds]
    count = len(codes)
    while queue:
        cost, _, here, code = heappop(queue)
        if found[here] >= 0:
            continue
        found[here] = code
        for there, length in neighbors[here]:
            if found[there] < 0:
                count += 1
                heappush(queue, (max(cost, length), count, there, code))
    return np.array(found)


def _class_costs(tree: Tree, codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Longest step from each sample to the nearest seed of each class, (n_samples, n_classes).

    Edges join components, the shortest first; the joins form a binary tree. A join knows its
    length for each class inside it, and hands what it knows down to members that lack a class.
    """
    edges, squared = tree
    n_samples, order = len(codes), np.argsort(squared, kind="stable")
    parent, top = list(range(n_samples)), list(range(n_samples))
    children = np.empty((len(edges), 2), np.int64)
    cost = np.full((n_samples + len(edges), n_classes), np.inf)
    cost[np.flatnonzero(codes >= 0), codes[codes >= 0]] = 0.0
    for index in order.tolist():
        one, other = (_root(parent, int(end)) for end in edges[index])
        children[index] = top[one], top[other]
        inside = np.isfinite(cost[children[index]]).any(axis=0)
        cost[n_samples + index, inside] = squared[index]
        parent[one] = other
        top[other] = n_samples + index
    for index in order[::-1].tolist():
        below = cost[children[index]]
        cost[children[index]] = np.where(np.isinf(below), cost[n_samples + index], below)
    return np.sqrt(cost[:n_samples])


def _soft(codes: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Shares inversely proportional to the cost; a cost of 0 takes all, for the conqueror."""
    costs = costs.copy()
    rows = np.arange(len(codes))
    costs[rows, codes] = costs.min(axis=1)
    free = costs.min(axis=1) <= 0
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = 1 / costs
        shares /= shares.sum(axis=1, keepdims=True)
    shares[free] = certain(codes[free], costs.shape[1])
    return shares
