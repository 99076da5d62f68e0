"""Spreading, the forests, means over maps, the border of a split, scikit-learn's own checks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.estimator_checks import check_estimator

from emboscope.annotation import forest
from emboscope.annotation.propagators import (
    LQKNN,
    PROPAGATORS,
    MapAverage,
    MinimaxForest,
    OPFSemi,
    Spreading,
    StdKNN,
)
from emboscope.errors import DataError, SettingsError
from twins import annotation as twin

EXCEPTIONS = {
    "check_classifiers_classes": "its labels are -1 and 1, and -1 means unlabeled here",
}


@pytest.mark.parametrize("name", sorted(PROPAGATORS))
def test_every_propagator_passes_the_checks_of_scikit_learn(name):
    check_estimator(PROPAGATORS[name](), expected_failed_checks=EXCEPTIONS, on_skip=None)


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 40), st.booleans(), st.integers(0, 10_000))
def test_costs_are_the_smallest_longest_steps(n, ties, seed):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 6, (n, 2)).astype(float) if ties else rng.standard_normal((n, 2))
    y = rng.integers(-3, 3, n).clip(-1)
    y[:3] = [0, 1, 2]
    model = MinimaxForest().fit(points, y)
    naive = np.stack([twin.minimax_costs(points, y == code) for code in range(3)], axis=1)
    assert_allclose(model.costs_, naive, atol=1e-12)
    taken = naive[np.arange(n), model.transduction_]
    assert_allclose(taken, naive.min(axis=1), atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(5, 60), st.booleans(), st.integers(0, 10_000))
def test_the_triangulation_finds_the_tree_that_all_pairs_give(n, ties, seed):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 5, (n, 2)).astype(float) if ties else rng.standard_normal((n, 2))
    _, squared = forest.spanning_tree(points)
    _, by_pairs = forest._prim(points)
    assert_allclose(np.sort(squared), np.sort(by_pairs), atol=1e-12)


def test_seeds_at_the_border_may_change_a_given_label():
    points = np.array([[0.0, 0], [1, 0], [2, 0], [3.1, 0], [10, 0], [20, 0]])
    y = np.array([0, 0, 0, 1, 0, -1])  # the 0 at 10 lies behind the border sample 1
    model = OPFSemi().fit(points, y)
    assert model.transduction_.tolist() == [0, 0, 0, 1, 0, 0]
    y[3:5] = [1, 1]
    y[0] = 1  # behind the border sample of 0 at 1
    assert OPFSemi().fit(points, y).transduction_[0] in {0, 1}
    assert MinimaxForest().fit(points, y).transduction_[0] == 1


def test_opf_semi_equals_the_library_that_the_paper_used(rng):
    from opfython.models import SemiSupervisedOPF

    points = np.concatenate([rng.standard_normal((60, 2)) + shift for shift in ([0, 0], [4, 1])])
    truth = np.repeat([0, 1], 60)
    labeled = rng.choice(120, 20, replace=False)
    y = np.full(120, -1)
    y[labeled] = truth[labeled]
    oracle = SemiSupervisedOPF(distance="log_squared_euclidean")
    oracle.fit(points[labeled], truth[labeled] + 1, points[y < 0])
    found = np.array(oracle.predict(points[y < 0])) - 1
    assert_array_equal(OPFSemi().fit(points, y).transduction_[y < 0], found)


@settings(max_examples=20, deadline=None)
@given(st.integers(8, 40), st.integers(2, 6), st.integers(0, 10_000))
def test_spreading_equals_its_dense_form(n, k, seed):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 9, (n, 2)).astype(float)
    y = np.full(n, -1)
    y[:2] = [0, 1]
    model = Spreading(k, 0.9, 60, "map", "equal").fit(points, y)
    with np.errstate(invalid="ignore"):
        dense = twin.spread(points, y, k, 0.9, 60)
    reached = model.transduction_ >= 0
    reached[:2] = False  # given labels are certain
    assert_allclose(model.label_distributions_[reached], dense[reached], atol=1e-9)


def test_equal_priors_let_a_rare_class_reach_farther():
    points = np.arange(12.0)[:, None] * [1, 0]
    y = np.full(12, -1)
    y[[0, 1, 2, 11]] = [0, 0, 0, 1]
    given = Spreading(2, graph="map").fit(points, y).transduction_
    equal = Spreading(2, graph="map", priors="equal").fit(points, y).transduction_
    assert (equal == 1).sum() > (given == 1).sum()


def test_blending_is_the_mean_of_map_and_latent_space(rng):
    points, features = rng.standard_normal((60, 2)), rng.standard_normal((60, 5))
    y = np.full(60, -1)
    y[:6] = [0, 1, 2, 0, 1, 2]
    parts = [
        Spreading(graph=graph).fit(points, y, features=features) for graph in ("map", "latent")
    ]
    blended = Spreading().fit(points, y, features=features)
    mean = np.mean([part.label_distributions_ for part in parts], axis=0)
    assert_allclose(blended.label_distributions_, mean)


def test_a_checked_edge_counts_less_when_the_latent_space_lacks_it(rng):
    features = np.concatenate([rng.standard_normal((40, 5)), rng.standard_normal((40, 5)) + 20])
    truth, y = np.repeat([0, 1], 40), np.full(80, -1)
    points = rng.standard_normal((80, 2)) + truth[:, None]  # a map that mixes the two clusters
    y[[0, 1, 2, 40, 41, 42]] = [0, 0, 0, 1, 1, 1]
    right = {
        graph: (
            Spreading(graph=graph).fit(points, y, features=features).transduction_ == truth
        ).mean()
        for graph in ("map", "checked", "blended")
    }
    assert right["map"] < right["checked"] < right["blended"] == 1


def test_the_mean_over_maps_outvotes_one_bad_map(rng):
    truth = np.repeat([0, 1], 40)
    good = rng.standard_normal((80, 2)) + 8 * truth[:, None]
    y = np.full(80, -1)
    y[[0, 1, 40, 41]] = [0, 0, 1, 1]
    maps = [good, good[:, ::-1].copy(), rng.standard_normal((80, 2))]
    model = MapAverage(LQKNN()).fit(maps, y)
    assert_array_equal(
        model.transduction_[model.transduction_ >= 0], truth[model.transduction_ >= 0]
    )
    assert (model.transduction_ >= 0).mean() > 0.9
    assert_allclose(np.nansum(model.label_distributions_, axis=1)[model.transduction_ >= 0], 1)
    assert np.nanmin(model.margins_[4:40]) < 0.5  # the bad map takes part


def test_a_map_that_gives_nothing_halves_the_margin():
    points, y = np.array([[0.0, 0], [1, 0], [50, 0], [51, 0]]), np.array([0, -1, 1, -1])
    lost = points[[0, 2, 1, 3]]  # on this map sample 1 is alone with an unlabeled neighbor
    lost[:, 1] = [0, 500, 90, 500]
    model = MapAverage(LQKNN(1)).fit([points, lost], y)
    assert [LQKNN(1).fit(each, y).transduction_[1] for each in (points, lost)] == [0, -1]
    assert model.transduction_.tolist()[:2] == [0, 0]
    assert model.margins_[:2].tolist() == [1, 0.5]


def test_a_given_label_stays_certain_among_others(rng):
    points, y = rng.standard_normal((30, 2)), np.zeros(30, int)
    y[4] = 1
    model = Spreading(graph="map").fit(points, y)
    assert model.transduction_[4] == 1
    assert model.label_distributions_[4].tolist() == [0, 1]


def test_points_that_differ_by_rounding_are_all_in_the_tree(rng):
    points = rng.standard_normal((12, 2))
    points = np.concatenate([points, points + 1e-15, points - 2e-15])
    edges, squared = forest.spanning_tree(points)
    assert_allclose(np.sort(squared), np.sort(forest._prim(points)[1]), atol=1e-12)
    assert set(edges.ravel()) == set(range(36))


@pytest.mark.parametrize("name", sorted(PROPAGATORS))
def test_no_label_crosses_the_border_of_a_split(name, rng):
    points, groups = rng.standard_normal((40, 2)), np.repeat(["p1", "p2", "p3", "p4"], 10)
    y = np.full(40, -1)
    y[:4] = [0, 1, 0, 1]
    PROPAGATORS[name]().fit(points, y, groups=groups, test_groups=["p9"])
    with pytest.raises(DataError, match="two sides of the test split"):
        PROPAGATORS[name]().fit(points, y, groups=groups, test_groups=["p4"])


def test_names_of_classes_may_be_text():
    points = np.array([[0.0, 0], [1, 0], [9, 0]])
    model = StdKNN(1).fit(points, np.array(["solid", "solid", "gaseous"]))
    assert model.predict([[0.4, 0], [7, 0]]).tolist() == ["solid", "gaseous"]


@pytest.mark.parametrize("name", sorted(PROPAGATORS))
def test_renaming_classes_renames_the_labels(name, rng):
    points, y = rng.standard_normal((60, 2)), np.full(60, -1)
    y[:9] = np.arange(9) % 3
    renamed = np.where(y >= 0, np.array([7, 30, 31])[y], -1)
    plain = PROPAGATORS[name]().fit(points, y).transduction_
    other = PROPAGATORS[name]().fit(points, renamed).transduction_
    assert_array_equal(other, np.where(plain >= 0, np.array([7, 30, 31])[plain], -1))


def test_refuses_what_cannot_be_spread(rng):
    points, y = rng.standard_normal((20, 2)), np.array([0, 1] + 18 * [-1])
    with pytest.raises(SettingsError, match="alpha is 1"):
        Spreading(alpha=1).fit(points, y)
    with pytest.raises(SettingsError, match="graph is 'mean'"):
        Spreading(graph="mean").fit(points, y)
    with pytest.raises(SettingsError, match="priors is 'flat'"):
        Spreading(priors="flat").fit(points, y)
    with pytest.raises(SettingsError, match="iterations is 0"):
        Spreading(iterations=0).fit(points, y)
    with pytest.raises(DataError, match="no features"):
        Spreading(graph="latent").fit(points, y)
    with pytest.raises(DataError, match="keep none of their neighbors"):
        Spreading(graph="map").fit(points, y, np.zeros(20))
    with pytest.raises(DataError, match="groups: shape"):
        LQKNN().fit(points, y, groups=np.zeros(3))
    with pytest.raises(DataError, match="at least one map"):
        MapAverage(LQKNN()).fit([], y)
