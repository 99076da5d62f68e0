"""Rates with exact intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import poisson

from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.poisson import exact_interval, rate_over_time


@pytest.mark.parametrize(
    ("n", "hours", "expected"),
    [(0, 1.0, (0, 0, 3.69)), (4, 2.0, (2.0, 0.54, 5.12)), (0, 2.0, (0, 0, 1.84))],
)
def test_worked_examples(n, hours, expected):
    assert_allclose(exact_interval(n, hours), expected, atol=0.005)  # two decimals are printed


def test_one_sided_bound_of_no_event_is_three_over_the_hours():
    assert_allclose(exact_interval(0, 1.0, level=0.90).high, 3.00, atol=0.005)


def test_without_observed_time_there_is_no_rate():
    assert np.isnan(exact_interval(3, 0.0)).all()


@given(st.integers(1, 300), st.floats(0.1, 48))
def test_ends_are_the_rates_at_which_the_count_is_just_likely(n, hours):
    _, low, high = exact_interval(n, hours)
    assert_allclose(poisson.sf(n - 1, low * hours), 0.025, rtol=1e-6)  # P(N >= n)
    assert_allclose(poisson.cdf(n, high * hours), 0.025, rtol=1e-6)  # P(N <= n)


@pytest.mark.parametrize(("n", "hours"), [(-1, 1.0), (1, -1.0)])
def test_negative_numbers_are_refused(n, hours):
    with pytest.raises(DataError, match="expected no negative number. Check both"):
        exact_interval(n, hours)


def test_impossible_level_is_refused():
    with pytest.raises(SettingsError, match="level: 95; expected a number between 0 and 1"):
        exact_interval(1, 1.0, level=95)


def test_rate_over_time_leaves_out_what_could_not_be_judged():
    bins = rate_over_time([10, 20, 130, 300], [(0, 60), (90, 150), (240, 300)], bin_s=120)
    assert [(each.start_s, each.stop_s, each.n) for each in bins] == [
        (0, 120, 2), (120, 240, 1), (240, 300, 1),
    ]  # fmt: skip
    assert_allclose([3600 * each.hours for each in bins], [90, 30, 60])
    assert_allclose([each.rate.rate for each in bins], [80, 120, 60])


def test_bin_without_evaluable_time_has_no_rate():
    (_, empty, _) = rate_over_time([], [(0, 60), (120, 180)], bin_s=60)
    assert empty.hours == 0
    assert np.isnan(empty.rate.rate)


def test_nothing_evaluable_gives_no_bins_and_no_bin_length_is_refused():
    assert rate_over_time([1.0], [], 60) == ()
    with pytest.raises(SettingsError, match="bin_s: 0; expected a positive number"):
        rate_over_time([], [(0, 1)], 0)
