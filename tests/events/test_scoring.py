"""Matching and figures, on lists small enough to check by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.optimize import linear_sum_assignment

from emboscope.errors import DataError
from emboscope.events.event import Event
from emboscope.events.scoring import (
    Score,
    bootstrap_interval,
    match,
    merge,
    period_kappa,
    score_events,
    score_times,
)


def test_one_hit_one_double_one_miss_one_spurious():
    score = score_times(np.array([1.0, 1.04, 9.0]), np.array([1.02, 5.0]), 0.5)
    assert (score.hits, score.false, score.misses) == (1, 2, 1)
    assert score.false_per_hour == 4
    assert score.sensitivity == 0.5
    assert score.ppv == pytest.approx(1 / 3)
    assert score.f1 == pytest.approx(0.4)


def test_detections_closer_than_thirty_milliseconds_are_one():
    assert_array_equal(merge(np.array([2.0, 1.0, 1.02, 1.2])), [1.0, 1.2, 2.0])


def test_nothing_measured_is_not_a_figure():
    score = score_times(np.array([]), np.array([]), 0.0)
    assert np.isnan([score.sensitivity, score.ppv, score.f1, score.false_per_hour]).all()


def test_sensitivity_is_counted_by_band():
    times = np.array([1.0, 2.0, 3.0])
    score = score_times(times[:1], times, 1.0, reference_ebr_db=np.array([4.0, 4.5, 12.0]))
    assert score.by_band[0] == (3, 5, 1, 2)
    assert score.by_band[3] == (10, 20, 0, 1)


def test_scores_add_up():
    one = score_times(np.array([1.0]), np.array([1.0]), 1.0, reference_ebr_db=np.array([6.0]))
    two = score_times(np.array([4.0]), np.array([8.0]), 2.0, reference_ebr_db=np.array([6.0]))
    total = one + two
    assert (total.hits, total.misses, total.false, total.evaluable_h) == (1, 1, 1, 3.0)
    assert total.by_band[1] == (5, 7, 1, 2)


def test_a_time_that_is_not_a_number_is_refused():
    with pytest.raises(DataError, match="a peak time is not a number"):
        score_times(np.array([np.nan]), np.array([1.0]), 1.0)


times = st.lists(st.integers(0, 60).map(lambda n: n / 40), max_size=12).map(np.array)


@given(times, times)
def test_matching_is_one_to_one_and_as_large_as_any(detected, reference):
    detected, reference = detected.astype(float), reference.astype(float)
    pairs = match(detected, reference, 0.05)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    far = np.abs(detected[:, None] - reference[None, :]) > 0.05
    assert not far[pairs[:, 0], pairs[:, 1]].any()
    rows, columns = linear_sum_assignment(far)
    assert len(pairs) == int((~far[rows, columns]).sum())


def test_kappa_of_the_same_seconds_is_one_and_of_others_negative():
    times = np.array([1.2, 5.5, 9.9])
    assert period_kappa(times, times + 0.05, 20.0) == pytest.approx(1.0)
    assert period_kappa(np.array([1.2]), np.array([5.5]), 20.0) < 0


def test_kappa_by_hand():
    """Four seconds: both say yes once, one alone once: agreement 3/4, chance 1/2."""
    assert period_kappa(np.array([0.5, 1.5]), np.array([0.5]), 4.0) == pytest.approx(0.5)


def test_interval_draws_whole_recordings():
    good, bad = Score(10, 0, 0, 1.0), Score(0, 10, 5, 1.0)
    low, high = bootstrap_interval([good, good, bad], lambda score: score.sensitivity)
    assert (low, high) == (0.0, 1.0)
    assert np.isnan(bootstrap_interval([good], lambda score: score.sensitivity)).all()


def test_events_are_scored_by_what_they_are():
    """A hit, a tap called an artifact, a missed artifact that is none of the emboli."""
    found = [
        Event(1, 0.02, 1.0, 9, 20, 600, None, False, False, "embolus"),
        Event(5, 0.02, 5.0, 9, 0, 600, None, False, False, "artifact"),
    ]
    score = score_events(found, [found[0], found[1]], evaluable_h=2.0)
    assert (score.hits, score.misses, score.false) == (1, 0, 0)
    assert score.false_per_hour == 0
