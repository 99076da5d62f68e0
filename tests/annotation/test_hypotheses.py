import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from emboscope.annotation.hypotheses import Hypotheses, hypotheses, reached_samples
from emboscope.annotation.propagators import LQKNN
from emboscope.annotation.quality import local_quality
from emboscope.errors import DataError

LINE = np.column_stack([np.array([0.0, 1, 2, 3, 10, 11, 12]), np.zeros(7)])
FIRST_LABELED = np.array([0, -1, -1, -1, -1, -1, -1])


def islands(rng, n_labeled=5):
    """Three islands of 40 in a plane, each of one class, of which the first few are labeled."""
    points = rng.standard_normal((120, 2)) + 30 * np.repeat([[0, 0], [0, 1], [1, 0]], 40, axis=0)
    y = np.repeat([0, 1, 2], 40)
    return points, np.where(np.arange(120) % 40 < n_labeled, y, -1)


def judged(features, points, y) -> Hypotheses:
    return hypotheses(features, points, y, local_quality(features, points))


def test_labels_travel_along_neighbors_but_not_over_a_gap_or_a_bad_sample():
    everywhere = np.ones(7, bool)
    reached = reached_samples(LINE, FIRST_LABELED, everywhere, 2)
    assert_array_equal(reached, [1, 1, 1, 1, 0, 0, 0])
    bad = everywhere.copy()
    bad[2] = False
    assert_array_equal(reached_samples(LINE, FIRST_LABELED, bad, 1), [1, 1, 0, 0, 0, 0, 0])
    bad[0] = False  # a bad sample does not pass its own label on
    assert not reached_samples(LINE, FIRST_LABELED, bad, 2).any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_labels_reach_what_lq_knn_labels(seed, k):
    rng = np.random.default_rng(seed)
    points, quality = rng.standard_normal((40, 2)), rng.random(40)
    y = np.where(rng.random(40) < 0.2, rng.integers(0, 2, 40), -1)
    y[0] = 0
    reached = reached_samples(points, y, quality > 0.4, k)
    labeled = LQKNN(k=k, threshold=0.4).fit(points, y, quality).transduction_ >= 0
    assert_array_equal(reached[y < 0], labeled[y < 0])


def test_a_faithful_map_of_islands_is_good_in_all_three(rng):
    points, y = islands(rng)
    found = judged(points, points, y)
    assert [each.verdict for each in found.findings] == ["good", "good", "good"]
    assert (found.trustworthiness, found.continuity, found.reached_share) == (1, 1, 1)
    assert "silhouette 0.9" in found.findings[0].sentence
    assert "100% of the unlabeled" in found.findings[2].sentence


def test_a_random_map_is_poor_in_all_three(rng):
    features, y = islands(rng)
    found = judged(features, rng.standard_normal((120, 2)), y)
    assert [each.verdict for each in found.findings] == ["poor", "poor", "poor"]
    assert 0.4 < found.trustworthiness < 0.6
    assert found.silhouette < 0


def test_an_island_without_a_label_is_not_covered(rng):
    points, y = islands(rng)
    y[80:] = -1
    found = judged(points, points, y)
    assert found.reached_share == pytest.approx(70 / 110)
    assert found.findings[2].verdict == "poor"
    assert found.findings[1].verdict == "good"


def test_trustworthiness_sees_false_neighbors_and_continuity_torn_ones(rng):
    sheet = rng.random((300, 2))
    flat = np.column_stack([sheet[:, 0], np.zeros(300)])  # every false neighbor, few torn
    found = judged(sheet, flat, np.full(300, -1))
    assert found.trustworthiness < found.continuity
    found = judged(flat, sheet, np.full(300, -1))
    assert found.trustworthiness > found.continuity


def test_a_large_map_is_judged_by_part_of_it_alike_each_time(rng):
    points = rng.standard_normal((2500, 2))
    y, quality = np.full(2500, -1), np.ones(2500)
    assert hypotheses(points, points, y, quality).trustworthiness == 1
    noisy = points + 0.1 * rng.standard_normal(points.shape)
    once, again = (hypotheses(points, noisy, y, quality) for _ in range(2))
    assert once.continuity == again.continuity < 1


def test_what_cannot_be_told_is_doubtful_and_said(rng):
    points, _ = islands(rng)
    nothing = judged(points, points, np.full(120, -1))
    assert nothing.findings[0].verdict == "doubtful"
    assert "cannot be told from 0 labels" in nothing.findings[0].sentence
    everything = judged(points, points, np.repeat([0, 1, 2], 40))
    assert np.isnan(everything.reached_share)
    assert "labeled already" in everything.findings[2].sentence


def test_refuses_parts_of_different_maps(rng):
    points, y = islands(rng)
    with pytest.raises(DataError, match="120 points, 120 labels and 119 qualities"):
        hypotheses(points, points, y, np.ones(119))
    with pytest.raises(DataError, match="at least 4"):
        hypotheses(points[:3], points[:3], y[:3], np.ones(3))
