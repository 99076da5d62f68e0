"""Local quality and propagation, written as their definitions, in slow loops."""

from itertools import product

import numpy as np


def ranks(X):
    """R[i, j]: rank of j among the neighbors of i by (distance, index); R[i, i] = 0."""
    n = len(X)
    R = np.zeros((n, n), dtype=int)
    for i in range(n):
        others = [(float(((X[j] - X[i]) ** 2).sum()), j) for j in range(n) if j != i]
        for rank, (_, j) in enumerate(sorted(others), start=1):
            R[i, j] = rank
    return R


def kept_pairs(features, points, k_s, k_t):
    """The double sum over all pairs, self pairs included."""
    R, r = ranks(features), ranks(points)
    n = len(R)

    def counts(i, j):
        significant = R[i, j] <= k_s or r[i, j] <= k_s
        return int(significant and abs(R[i, j] - r[i, j]) <= k_t)

    return np.array([sum(counts(i, j) + counts(j, i) for j in range(n)) for i in range(n)])


def lq_knn(points, y, quality, k, threshold):
    """Naive synchronous rounds over all samples; the labels and the round of each."""
    R, labels = ranks(points), list(y)
    distance = ((points[:, None] - points) ** 2).sum(2)
    rounds = [0 if label >= 0 else -1 for label in labels]
    for current in range(1, len(y) + 1):
        offers = {}
        for s, u in product(range(len(y)), repeat=2):
            usable = s != u and R[s, u] <= k and min(quality[s], quality[u]) > threshold
            if usable and labels[s] >= 0 and labels[u] < 0:
                offers.setdefault(u, []).append((-quality[s], distance[s, u], s))
        new = {u: labels[min(found)[2]] for u, found in offers.items()}
        for u, label in new.items():
            labels[u], rounds[u] = label, current
    return np.array(labels), np.array(rounds)


def std_knn(points, y, k, listed):
    """Naive passes over the list."""
    R, labels = ranks(points), list(y)
    while True:
        before = list(labels)
        for s, u in product(listed, range(len(y))):
            if labels[s] >= 0 > labels[u] and u != s and R[s, u] <= k:
                labels[u] = labels[s]
        if labels == before:
            return np.array(labels)


def minimax_costs(points, seeds):
    """Longest step of the best path from the seeds to each sample, by relaxing until it rests."""
    distance = np.sqrt(((points[:, None] - points) ** 2).sum(2))
    cost = np.where(seeds, 0.0, np.inf)
    while True:
        better = np.minimum(cost, np.maximum(cost[:, None], distance).min(axis=0))
        if (better == cost).all():
            return cost
        cost = better


def spread(points, y, k, alpha, iterations):
    """Label spreading with dense matrices."""
    R = ranks(points)
    joined = np.isin(R, np.arange(1, k + 1))
    W = (joined | joined.T).astype(float)
    S = W / np.sqrt(np.outer(W.sum(1), W.sum(1)))
    classes = np.unique(y[y >= 0])
    Y = (y[:, None] == classes).astype(float)
    Y /= Y.sum(0)
    F = Y.copy()
    for _ in range(iterations):
        F = alpha * S @ F + (1 - alpha) * Y
    return F / F.sum(1, keepdims=True)
