"""The terms on embeddings, written with loops over samples."""

import math

import numpy as np


def link_constraints(embeddings, y):
    """½‖e_i − s_ij·e_j‖ over unit embeddings, the mean of the pairs."""
    unit = [row / np.linalg.norm(row) for row in embeddings]
    values = []
    for i in range(len(unit)):
        for j in range(i + 1, len(unit)):
            sign = 1 if y[i] == y[j] else -1
            values.append(np.linalg.norm(unit[i] - sign * unit[j]) / 2)
    return float(np.mean(values))


def supervised_contrastive(embeddings, y, temperature):
    """Khosla et al. 2020, equation 2, sample by sample."""
    unit = [row / np.linalg.norm(row) for row in embeddings]
    values = []
    for i in range(len(unit)):
        others = [a for a in range(len(unit)) if a != i]
        total = sum(math.exp(unit[i] @ unit[a] / temperature) for a in others)
        friends = [p for p in others if y[p] == y[i]]
        if friends:
            logs = [unit[i] @ unit[p] / temperature - math.log(total) for p in friends]
            values.append(-sum(logs) / len(friends))
    return float(np.mean(values))


def clustering(embeddings, centers, frequencies=None):
    """KL(P ‖ Q) of the Student assignments and their sharpened target."""
    q = np.array([[1 / (1 + np.sum((h - m) ** 2)) for m in centers] for h in embeddings])
    q /= q.sum(axis=1, keepdims=True)
    f = q.sum(axis=0) if frequencies is None else frequencies
    p = q**2 / f
    p /= p.sum(axis=1, keepdims=True)
    return q, p, float(np.sum(p * np.log(p / q)) / len(q))
