import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.cluster import KMeans

from emboscope.annotation.figures import annotation_figures
from emboscope.annotation.selection import (
    MapChoice,
    choose_map,
    coverage_rule,
    labeled_silhouette,
)
from emboscope.errors import DataError

POINTS = np.array([[16.0, 18], [12, 6], [20, 19], [21, 28], [23, 38]])


def test_silhouette_with_squared_distances_has_its_known_value():
    assert_allclose(labeled_silhouette(POINTS, np.array([0, 0, 1, 1, 2])), 0.1196572, atol=5e-8)


def test_unlabeled_samples_do_not_move_the_silhouette(rng):
    points = np.vstack([POINTS, rng.standard_normal((20, 2))])
    y = np.array([0, 0, 1, 1, 2] + 20 * [-1])
    assert_allclose(labeled_silhouette(points, y), 0.1196572, atol=5e-8)


def test_silhouette_is_undefined_with_one_class_or_only_single_members():
    assert np.isnan(labeled_silhouette(POINTS, np.array([0, 0, 0, -1, -1])))
    assert np.isnan(labeled_silhouette(POINTS, np.array([0, 1, 2, -1, -1])))


def test_points_that_all_coincide_have_silhouette_zero():
    assert labeled_silhouette(np.zeros((4, 2)), np.array([0, 0, 1, 1])) == 0


def test_the_map_that_separates_the_labels_is_chosen_and_the_first_of_equals(rng):
    y = np.repeat([0, 1, -1], 20)
    apart = rng.standard_normal((60, 2)) + 10 * np.repeat([0, 1, 2], 20)[:, None]
    mixed = rng.standard_normal((60, 2))
    choice = choose_map([mixed, apart, apart], y, apart)
    assert (choice.index, choice.criterion) == (1, "silhouette")
    assert choice.scores[1] == choice.scores[2] > choice.scores[0]


@pytest.mark.parametrize(
    ("scores", "best", "middle", "worst"),
    [
        ([0.1, 0.4, 0.2], 1, 2, 0),
        ([0.3, 0.1, 0.4, 0.2], 2, 0, 1),
        ([0.5, 0.5], 0, 1, 0),
        ([2], 0, 0, 0),
    ],
)
def test_worst_and_middle_of_the_maps_are_told(scores, best, middle, worst):
    choice = MapChoice(int(np.argmax(scores)), np.array(scores), "silhouette")
    assert (choice.index, choice.middle, choice.worst) == (best, middle, worst)


def test_without_a_silhouette_the_map_that_keeps_neighbors_is_chosen(rng):
    features = rng.standard_normal((60, 2))
    choice = choose_map([rng.standard_normal((60, 2)), features], np.full(60, -1), features)
    assert (choice.index, choice.criterion) == (1, "local_quality")
    with pytest.raises(DataError, match="maps: none"):
        choose_map([], np.zeros(3), features)


def test_coverage_asks_once_in_each_island_and_for_its_middle(rng):
    centers = 50.0 * np.arange(6)[:, None]
    points = np.repeat(centers, 21, axis=0) + np.tile(np.arange(-10, 11), 6)[:, None]
    points = np.hstack([points, np.zeros_like(points)])
    queries = coverage_rule(points, 6)
    assert sorted(points[queries, 0]) == centers.ravel().tolist()


def test_coverage_asks_about_the_largest_region_first(rng):
    points = rng.standard_normal((60, 2)) + 100 * np.repeat([0, 1, 2], [10, 35, 15])[:, None]
    assert [round(x / 100) for x in points[coverage_rule(points, 3), 0]] == [1, 2, 0]


def test_coverage_never_asks_twice_also_with_duplicates(rng):
    points = rng.integers(0, 3, (50, 2))
    for n_queries in (1, 9, 30, 50):
        queries = coverage_rule(points, n_queries)
        assert len(set(queries.tolist())) == n_queries
    assert len(np.unique(points[coverage_rule(points, 9)], axis=0)) == 9


def test_coverage_leaves_smaller_gaps_than_a_random_draw(rng):
    points = rng.standard_normal((400, 2))

    def inertia(queries):
        return KMeans(30, init=points[queries], n_init=1, max_iter=1).fit(points).inertia_

    assert inertia(coverage_rule(points, 30)) < inertia(rng.choice(400, 30, replace=False))


def test_coverage_refuses_more_queries_than_samples():
    with pytest.raises(DataError, match="9 of 5 samples"):
        coverage_rule(POINTS, 9)


def test_figures_of_a_worked_example():
    truth, given = np.array([0, 0, 1, 1, 2, 2]), np.array([0, -1, -1, -1, -1, -1])
    figures = annotation_figures(truth, given, np.array([0, 0, 1, 0, -1, -1]))
    assert (figures.n_given, figures.n_unlabeled, figures.n_new, figures.n_correct) == (1, 5, 3, 2)
    assert_allclose([figures.accuracy, figures.coverage, figures.net_yield], [2 / 3, 0.6, 0.4])
    assert_allclose(figures.class_accuracy, [1, 0.5, np.nan])


def test_accuracy_of_no_new_label_is_undefined():
    y = np.array([0, -1])
    figures = annotation_figures(np.array([0, 1]), y, y)
    assert np.isnan(figures.accuracy)
    assert figures.coverage == 0
    with pytest.raises(DataError, match="expected three equal ones"):
        annotation_figures(y, y, y[:1])
