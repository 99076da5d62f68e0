"""A series as images, point by point."""

import math
from itertools import pairwise


def shortened(line, size):
    """Means of pieces whose ends are spread evenly and cut to whole samples."""
    edges = [len(line) * piece // size for piece in range(size + 1)]
    return [sum(line[low:high]) / (high - low) for low, high in pairwise(edges)]


def gramian(series, method):
    """Angles of the series between -1 and 1, added or subtracted."""
    low, high = min(series), max(series)
    angles = [math.acos(max(-1, min(1, 2 * (x - low) / (high - low) - 1))) for x in series]
    if method == "summation":
        return [[math.cos(one + other) for other in angles] for one in angles]
    return [[math.sin(one - other) for other in angles] for one in angles]


def transitions(series, n_bins):
    """Share of the steps out of the bin of one point which lead to that of another."""
    ranked = sorted(series)
    edges = []
    for part in range(1, n_bins):
        place = (len(series) - 1) * part / n_bins
        before = int(place)
        edges.append(ranked[before] + (place - before) * (ranked[before + 1] - ranked[before]))
    bins = [sum(x > edge for edge in edges) for x in series]
    steps = list(pairwise(bins))

    def share(one, other):
        leaving = sum(first == one for first, _ in steps)
        return steps.count((one, other)) / leaving if leaving else 0.0

    return [[share(one, other) for other in bins] for one in bins]
