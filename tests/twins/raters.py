"""Agreement and consensus of raters, written as their definitions, in slow loops."""

from itertools import permutations

import numpy as np


def ordered_pairs(votes):
    """(first vote, second vote, 1 / (votes of the sample - 1)) of all pairs on one sample."""
    for row in votes:
        given = [int(vote) for vote in row if vote >= 0]
        for first, second in permutations(range(len(given)), 2):
            yield given[first], given[second], 1 / (len(given) - 1)


def krippendorff_alpha(votes):
    """1 - observed over expected disagreement, from the matrix of coincidences."""
    n_classes = int(votes.max()) + 1
    together = np.zeros((n_classes, n_classes))
    for first, second, weight in ordered_pairs(votes):
        together[first, second] += weight
    totals, n = together.sum(1), together.sum()
    observed = sum(together[c, k] for c in range(n_classes) for k in range(n_classes) if c != k)
    expected = sum(
        totals[c] * totals[k] / (n - 1)
        for c in range(n_classes)
        for k in range(n_classes)
        if c != k
    )
    return 1 - observed / expected if expected else np.nan


def specific_agreement(votes, n_classes):
    """Of the pairs whose first vote is c, the share whose second is c."""
    pairs = list(ordered_pairs(votes))
    seconds = [[second for first, second, _ in pairs if first == c] for c in range(n_classes)]
    return [np.mean(np.equal(found, c)) if found else np.nan for c, found in enumerate(seconds)]


def dawid_skene_step(votes, posterior, smoothing):
    """One M step and one E step: posterior, confusion matrices, shares of the classes."""
    n_raters, n_classes = votes.shape[1], posterior.shape[1]
    confusions = np.full((n_raters, n_classes, n_classes), smoothing)
    for i, r in np.argwhere(votes >= 0):
        for c in range(n_classes):
            confusions[r, c, votes[i, r]] += posterior[i, c]
    confusions /= confusions.sum(2, keepdims=True)
    shares = posterior.sum(0) + smoothing
    shares /= shares.sum()
    joint = np.tile(shares, (len(votes), 1))
    for i, r in np.argwhere(votes >= 0):
        joint[i] *= confusions[r, :, votes[i, r]]
    return joint / joint.sum(1, keepdims=True), confusions, shares
