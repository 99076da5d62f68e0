import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA

from emboscope.annotation.figures import annotation_figures
from emboscope.annotation.propagators import LQKNN, PROPAGATORS, StdKNN
from emboscope.annotation.quality import local_quality
from emboscope.errors import DataError, SettingsError
from twins import annotation as twin
from twins.annotation_golden import TOY_FEATURES, TOY_LABELS, TOY_POINTS, digits


@pytest.fixture(scope="module")
def digit_set():
    features, points, truth, y = digits()
    return points, truth, y, local_quality(features, points, scale="max")


def parse(text):
    return [-1 if mark == "·" else int(mark) for mark in text.split()]


@pytest.mark.parametrize(
    ("k", "threshold", "labels"),
    [
        (2, 0.5, "1 · 1 · 1 · 0 1 · 0 0"),
        (2, 0.7, "· · · · · · 0 · · 0 0"),
        (3, 0.5, "1 1 0 0 1 · 0 1 · 0 0"),
    ],
)
def test_the_toy_set_gets_its_known_labels(k, threshold, labels):
    quality = local_quality(TOY_FEATURES, TOY_POINTS, 3, 2, scale="max")
    model = LQKNN(k, threshold, scale="max").fit(TOY_POINTS, TOY_LABELS, quality)
    assert model.transduction_[3:].tolist() == parse(labels)


def test_the_toy_set_is_labeled_in_its_known_rounds():
    quality = local_quality(TOY_FEATURES, TOY_POINTS, 3, 2, scale="max")
    model = LQKNN(2, 0.5).fit(TOY_POINTS, TOY_LABELS, quality)
    assert model.rounds_.tolist() == [0, 0, 0, *parse("2 · 1 · 3 · 1 3 · 1 1")]


@pytest.mark.parametrize(("threshold", "new", "correct"), [(0.1, 1365, 815), (0.3, 406, 315)])
def test_lq_knn_on_digits_finds_the_known_number_of_labels(digit_set, threshold, new, correct):
    points, truth, y, quality = digit_set
    model = LQKNN(10, threshold, scale="max").fit(points, y, quality)
    figures = annotation_figures(truth, y, model.transduction_)
    assert (figures.n_new, figures.n_correct) == (new, correct)


def test_std_knn_on_digits_has_the_known_accuracy(digit_set):
    points, truth, y, _ = digit_set
    figures = annotation_figures(truth, y, StdKNN(10, order="index").fit(points, y).transduction_)
    assert figures.n_new == 1615
    assert_allclose(figures.accuracy, 0.50588, atol=5e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 30), st.integers(1, 6), st.sampled_from([0.0, 0.3]), st.integers(0, 10_000))
def test_propagators_equal_their_naive_loops_also_with_ties(n, k, threshold, seed):
    rng = np.random.default_rng(seed)
    points, y = rng.integers(0, 6, (n, 2)), rng.integers(-4, 3, n).clip(-1)
    y[0] = 0
    quality = rng.integers(0, 5, n) / 4
    model = LQKNN(k, threshold, scale="max").fit(points, y, quality)
    labels, rounds = twin.lq_knn(points, y, quality / max(quality.max(), 1e-300), k, threshold)
    assert_array_equal(model.transduction_, labels)
    assert_array_equal(model.rounds_, rounds)
    listed = [*(i for c in range(3) for i in np.flatnonzero(y == c)), *np.flatnonzero(y < 0)]
    published = StdKNN(k, order="class").fit(points, y)
    assert_array_equal(published.transduction_, twin.std_knn(points, y, k, listed))
    open_gate = LQKNN(k).fit(points, y).transduction_
    assert_array_equal(StdKNN(k).fit(points, y).transduction_, open_gate)


def test_without_a_quality_the_gate_is_open(rng):
    points, y = rng.standard_normal((50, 2)), np.repeat([0, 1, -1, -1, -1], 10)
    open_gate = LQKNN(5).fit(points, y).transduction_
    assert_array_equal(open_gate, LQKNN(5, 0.0).fit(points, y, np.ones(50)).transduction_)


def test_a_threshold_of_one_labels_nothing_on_the_published_scale(digit_set):
    points, _, y, quality = digit_set
    assert_array_equal(LQKNN(10, 1.0, scale="max").fit(points, y, quality).transduction_, y)


def test_permuting_the_samples_permutes_the_labels(rng):
    points, y, quality = rng.standard_normal((80, 2)), np.full(80, -1), rng.random(80) + 0.1
    y[:8] = np.arange(8) % 2
    order = rng.permutation(80)
    straight = LQKNN(5).fit(points, y, quality).transduction_
    permuted = LQKNN(5).fit(points[order], y[order], quality[order]).transduction_
    assert_array_equal(permuted, straight[order])


def test_equal_quality_lets_the_nearer_source_win():
    points, y = np.array([[0.0, 0], [3, 0], [1, 0]]), np.array([0, 1, -1])
    assert LQKNN(2).fit(points, y, np.ones(3)).transduction_.tolist() == [0, 1, 0]
    assert LQKNN(2).fit(points, y, np.array([1.0, 2, 1])).transduction_.tolist() == [0, 1, 1]


def test_equal_quality_and_distance_let_the_smaller_index_win():
    points, y = np.array([[0.0, 0], [2, 0], [1, 0]]), np.array([1, 0, -1])
    assert LQKNN(2).fit(points, y, np.ones(3)).transduction_.tolist() == [1, 0, 1]


def test_votes_weigh_each_offer_by_its_quality():
    points, y = np.array([[0.0, 0], [3, 0], [1, 0]]), np.array([4, 7, -1])
    model = LQKNN(2).fit(points, y, np.array([1.0, 3, 1]))
    assert_allclose(model.label_distributions_, [[1, 0], [0, 1], [0.25, 0.75]])
    assert model.classes_.tolist() == [4, 7]


@pytest.mark.parametrize("name", sorted(PROPAGATORS))
def test_every_propagator_keeps_given_labels_and_tells_its_certainty(name, rng):
    points, y = rng.standard_normal((40, 2)), np.full(40, -1)
    points[25:] += 100  # an island that no label reaches
    y[:6] = [0, 1, 2, 0, 1, 2]
    before = y.copy()
    model = clone(PROPAGATORS[name]()).fit(points, y, local_quality=np.ones(40))
    assert_array_equal(y, before)
    if name != "opf_semi":  # as published, it may change given labels
        assert_array_equal(model.transduction_[:6], y[:6])
    reached = model.transduction_ >= 0
    assert reached[25:].all() == name.endswith(("forest", "semi"))  # only a tree leaves no island
    assert_array_equal(np.isnan(model.margins_), ~reached)
    assert_array_equal(model.predict(points[reached]), model.transduction_[reached])
    assert_allclose(model.label_distributions_[reached].sum(axis=1), 1)
    assert np.isnan(model.label_distributions_[~reached]).all()


def test_a_plane_that_loses_every_neighborhood_is_refused_on_the_absolute_scale_alone():
    rng = np.random.default_rng(0)
    cluster = rng.integers(0, 30, 5000)  # ten classes of three elongated clusters that overlap
    centers, widths = 1.5 * rng.standard_normal((30, 32)), 0.3 + rng.random((30, 32))
    X = centers[cluster] + widths[cluster] * rng.standard_normal((5000, 32))
    truth = cluster % 10
    points = PCA(2, svd_solver="full").fit_transform(X)
    y = np.where(rng.random(5000) < 0.1, truth, -1)
    with pytest.raises(DataError, match="keep none of their neighbors"):
        LQKNN().fit(points, y, local_quality(X, points))
    published = LQKNN(scale="max").fit(points, y, local_quality(X, points, scale="max"))
    figures = annotation_figures(truth, y, published.transduction_)
    assert figures.coverage > 0.99
    assert figures.accuracy < 0.5  # nearly all are labeled, most of them wrongly


def test_shuffled_labels_give_chance(digit_set, rng):
    points, truth, y, quality = digit_set
    shuffled = y.copy()
    shuffled[y >= 0] = rng.permutation(y[y >= 0])
    figures = annotation_figures(
        truth, y, LQKNN(scale="max").fit(points, shuffled, quality).transduction_
    )
    assert figures.accuracy < 0.2


def test_refuses_what_cannot_be_propagated():
    points, y = np.zeros((4, 2)), np.array([0, -1, -1, -1])
    with pytest.raises(DataError, match="every sample is -1"):
        LQKNN().fit(points, np.full(4, -1))
    with pytest.raises(DataError, match="inconsistent numbers of samples"):
        StdKNN().fit(points, y[:3])
    with pytest.raises(DataError, match="one finite number for each of the 4 points"):
        LQKNN().fit(points, y, np.ones(3))
    with pytest.raises(DataError, match="75% of the samples keep none of their neighbors"):
        LQKNN().fit(points, y, np.array([1.0, 0, 0, 0]))
    with pytest.raises(SettingsError, match="k is 0"):
        LQKNN(k=0).fit(points, y)
    with pytest.raises(SettingsError, match="scale is 'mean'"):
        LQKNN(scale="mean").fit(points, y)
    with pytest.raises(SettingsError, match="order is 'random'"):
        StdKNN(order="random").fit(points, y)
