import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.annotation import neighbors as neighbors_module
from emboscope.annotation.neighbors import nearest_neighbors
from emboscope.annotation.quality import kept_pairs, local_quality
from emboscope.errors import DataError, SettingsError
from twins import annotation as twin
from twins.annotation_golden import TOY_COUNTS, TOY_FEATURES, TOY_POINTS, digits


def test_the_toy_set_has_its_known_counts():
    assert kept_pairs(TOY_FEATURES, TOY_POINTS, k_s=3, k_t=2).tolist() == TOY_COUNTS


def test_digits_on_their_principal_plane_have_the_known_histogram():
    features, points, _, _ = digits()
    counts = kept_pairs(features, points)
    assert counts.sum() == 11126
    known = "282 195 269 183 188 160 114 92 78 57 46 34 26 18 23 11 9 6 1 1 2 1 1"
    assert np.bincount(counts)[2:].tolist() == [int(n) for n in known.split()]


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 40), st.integers(1, 6), st.integers(0, 6), st.integers(0, 10_000))
def test_sparse_counts_equal_the_double_sum_also_with_duplicates(n, k_s, k_t, seed):
    rng = np.random.default_rng(seed)
    features, points = rng.integers(0, 4, (n, 3)), rng.integers(0, 6, (n, 2))
    assert_array_equal(
        kept_pairs(features, points, k_s, k_t), twin.kept_pairs(features, points, k_s, k_t)
    )


def test_the_published_scale_divides_by_the_best_sample_with_self_terms():
    quality = local_quality(TOY_FEATURES, TOY_POINTS, 3, 2, scale="max")
    assert_allclose(quality, np.array(TOY_COUNTS) / 9)


def test_on_the_absolute_scale_a_perfect_map_averages_one(rng):
    X = rng.standard_normal((200, 2))
    assert_allclose(local_quality(X, X).mean(), 1.0)


def test_on_the_absolute_scale_a_random_map_is_near_zero(rng):
    X, points = rng.standard_normal((600, 8)), rng.standard_normal((600, 2))
    assert local_quality(X, points).mean() < 0.05


def test_permuting_samples_permutes_the_quality(rng):
    X, points = rng.standard_normal((60, 5)), rng.standard_normal((60, 2))
    order = rng.permutation(60)
    assert_array_equal(local_quality(X[order], points[order]), local_quality(X, points)[order])


@pytest.mark.parametrize("n_samples", [8, 40, 200])
def test_neighbors_are_ordered_by_distance_then_index(rng, n_samples):
    X = rng.integers(0, 3, (n_samples, 2))
    neighbors, squared = nearest_neighbors(X, 5)
    R = twin.ranks(X)
    for row in range(n_samples):
        assert R[row, neighbors[row]].tolist() == [1, 2, 3, 4, 5]
    assert_array_equal(squared, ((X[neighbors] - X[:, None]) ** 2).sum(2))


def test_one_sample_many_times_is_its_own_neighbor_never():
    neighbors, _ = nearest_neighbors(np.zeros((50, 2)), 4)
    assert neighbors[:3].tolist() == [[1, 2, 3, 4], [0, 2, 3, 4], [0, 1, 3, 4]]


def test_a_sample_that_descent_did_not_find_loses_the_farthest(rng, monkeypatch):
    class Descent:
        """Finds itself first, but for sample 3."""

        def __init__(self, X, n_neighbors, random_state):
            order = np.argsort(((X[:, None] - X) ** 2).sum(2), axis=1, kind="stable")
            order[3, :-1] = order[3, 1:]
            self.neighbor_graph = (order[:, :n_neighbors], None)

    X = rng.standard_normal((60, 5))
    exact, squared = nearest_neighbors(X, 4)
    monkeypatch.setattr(neighbors_module, "LARGEST_EXACT", 50)
    monkeypatch.setattr("pynndescent.NNDescent", Descent)
    found, distances = nearest_neighbors(X, 4)
    assert_array_equal(found, exact)
    assert_array_equal(distances, squared)


@pytest.mark.slow
def test_descent_finds_nearly_all_neighbors(rng, monkeypatch):
    X = rng.standard_normal((3000, 8))
    exact, _ = nearest_neighbors(X, 20)
    monkeypatch.setattr(neighbors_module, "LARGEST_EXACT", 1000)
    found, _ = nearest_neighbors(X, 20)
    recall = np.mean([len(set(a) & set(b)) / 20 for a, b in zip(exact, found, strict=True)])
    assert recall > 0.98
    assert not (found == np.arange(3000)[:, None]).any()


def test_without_pynndescent_many_samples_are_refused(rng, monkeypatch):
    monkeypatch.setattr(neighbors_module, "LARGEST_EXACT", 50)
    monkeypatch.setitem(sys.modules, "pynndescent", None)
    with pytest.raises(SettingsError, match=r"at most 50 without pynndescent. Install"):
        nearest_neighbors(rng.standard_normal((60, 5)), 4)
    nearest_neighbors(rng.standard_normal((60, 2)), 4)  # on a map the search is always exact


def test_refuses_what_cannot_be_ranked():
    X = np.zeros((5, 2))
    with pytest.raises(DataError, match="5 feature rows and 4 points"):
        local_quality(X, X[:4])
    with pytest.raises(DataError, match="row 1 is not finite"):
        local_quality(np.array([[0.0], [np.nan]]), np.zeros((2, 2)))
    with pytest.raises(DataError, match="at least 2 samples"):
        nearest_neighbors(np.zeros((1, 2)), 1)
    with pytest.raises(SettingsError, match="scale is 'min'"):
        local_quality(X, X, scale="min")
    with pytest.raises(SettingsError, match="k_s is 0"):
        local_quality(X, X, k_s=0)
