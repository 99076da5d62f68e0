"""The whole way on real images: map, choice of samples, local quality, propagation."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA

from emboscope.annotation.figures import annotation_figures
from emboscope.annotation.maps import MapSettings, tsne_maps
from emboscope.annotation.propagators import LQKNN, StdKNN
from emboscope.annotation.quality import local_quality
from emboscope.annotation.selection import coverage_rule
from emboscope.errors import DataError


@pytest.fixture(scope="module")
def digits_map():
    X, truth = load_digits(return_X_y=True)
    points = tsne_maps(X / 16, (MapSettings(),))[0]
    return truth, points, local_quality(X / 16, points)


def labeled(truth, rows):
    y = np.full(len(truth), -1)
    y[rows] = truth[rows]
    return y


def test_a_tenth_of_the_labels_is_enough_for_digits(digits_map, rng):
    truth, points, quality = digits_map
    gated, plain = [], []
    for _ in range(10):
        y = labeled(truth, rng.choice(len(truth), 180, replace=False))
        found = LQKNN().fit(points, y, quality).transduction_
        gated.append(annotation_figures(truth, y, found))
        plain.append(annotation_figures(truth, y, StdKNN().fit(points, y).transduction_))
    assert np.mean([figures.accuracy for figures in gated]) >= 0.975
    assert np.mean([figures.coverage for figures in gated]) >= 0.97
    gains = [g.accuracy - p.accuracy for g, p in zip(gated, plain, strict=True)]
    assert np.mean(gains) > 0


def test_thirty_well_chosen_labels_do_nearly_as_well(digits_map):
    truth, points, quality = digits_map
    y = labeled(truth, coverage_rule(points, 30))
    figures = annotation_figures(truth, y, LQKNN().fit(points, y, quality).transduction_)
    assert figures.accuracy >= 0.97
    assert figures.coverage >= 0.93


def test_a_map_that_keeps_no_neighbors_is_refused_by_the_absolute_scale_alone(rng):
    X, truth = make_blobs(2000, 32, centers=30, cluster_std=6.0, random_state=0)
    points = PCA(2, svd_solver="full").fit_transform(X)
    y = labeled(truth % 10, rng.choice(2000, 200, replace=False))
    with pytest.raises(DataError, match="of the samples keep none of their neighbors"):
        LQKNN().fit(points, y, local_quality(X, points))
    published = local_quality(X, points, scale="max")
    found = LQKNN(scale="max").fit(points, y, published).transduction_
    figures = annotation_figures(truth % 10, y, found)
    assert figures.coverage > 0.9  # it labels nearly everything,
    assert figures.accuracy < 0.5  # and most of it wrong
