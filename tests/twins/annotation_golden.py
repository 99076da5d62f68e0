"""The two sets on which published propagation is known value by value."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

TOY_FEATURES = np.fromstring(
    "20 23 16  14 0 0  25 25 30  25 39 38  29 39 30  23 16 14  29 4 9"
    "  22 32 11  39 32 35  5 17 2  22 32 35  3 31 25  27 2 9  15 9 6",
    sep=" ",
).reshape(14, 3)
TOY_POINTS = np.fromstring(
    "16 18  12 6  20 19  21 28  23 38  24 21  29 8  18 31  34 28  10 15  17 33  6 26  20 7  14 8",
    sep=" ",
).reshape(14, 2)
TOY_COUNTS = [8, 8, 7, 7, 8, 6, 6, 6, 6, 7, 7, 5, 8, 9]
TOY_LABELS = np.array([0, 0, 1] + 11 * [-1])


def digits():
    """Features, map (principal plane), truth, and the first 18 labels of every digit."""
    X, truth = load_digits(return_X_y=True)
    points = PCA(2, svd_solver="full").fit_transform(X / 16)
    y = np.full(len(X), -1)
    for digit in range(10):
        y[np.flatnonzero(truth == digit)[:18]] = digit
    return X / 16, points, truth, y
