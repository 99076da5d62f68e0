import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.distance import jensenshannon

from emboscope.annotation.soft_labels import (
    brier,
    expected_calibration_error,
    fit_temperature,
    jensen_shannon,
    keep_most_certain,
    margins,
    mean_distribution,
    tempered,
    weigh_by_prior,
)
from emboscope.errors import DataError, SettingsError

NAN = [np.nan, np.nan]


def test_margins_by_hand():
    assert_allclose(margins(np.array([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2]])), [0.5, 0])


def test_the_least_certain_labels_are_dropped_and_ties_by_index():
    labels = np.array([3, -1, 1, 2, 0])
    certainty = np.array([0.5, np.nan, 0.9, 0.5, 0.1])
    assert keep_most_certain(labels, certainty, 0.5).tolist() == [3, -1, 1, -1, -1]
    assert keep_most_certain(labels, certainty, 1).tolist() == labels.tolist()
    assert keep_most_certain(labels, certainty, 0).tolist() == [-1] * 5
    assert labels.tolist() == [3, -1, 1, 2, 0]  # not changed


def test_jensen_shannon_by_hand_and_by_scipy(rng):
    p, q = np.array([[1, 0], [0.5, 0.5], [1, 0], NAN]), np.array([[0, 1], [0.5, 0.5], NAN, [1, 0]])
    assert_allclose(jensen_shannon(p, q), [1, 0, np.nan, np.nan])
    p, q = rng.dirichlet(np.ones(4), 30), rng.dirichlet(np.ones(4), 30)
    assert_allclose(jensen_shannon(p, q), jensenshannon(p, q, base=2, axis=1) ** 2)
    assert_allclose(jensen_shannon(p, q), jensen_shannon(q, p))


def test_brier_by_hand():
    p, q = np.array([[1, 0], [0.5, 0.5], NAN]), np.array([[0, 1], [1, 0], [1, 0]])
    assert_allclose(brier(p, q), (2 + 0.5) / 2)
    assert np.isnan(brier(p[2:], q[2:]))


def test_calibration_error_by_hand():
    p = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 2 + [NAN])
    y = np.array([0, 0, 0, 1, 1, 1, 0])  # 3 of 4 right at 0.9; 2 of 2 at 0.6
    assert_allclose(expected_calibration_error(p, y), (4 * 0.15 + 2 * 0.4) / 6)
    assert np.isnan(expected_calibration_error(p[6:], y[6:]))


def test_certain_and_right_is_calibrated():
    y = np.array([0, 1, 1])
    assert expected_calibration_error(np.eye(2)[y], y) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.floats(0.2, 8), st.integers(0, 10_000))
def test_tempering_keeps_the_order_and_the_sum(n_classes, temperature, seed):
    p = np.random.default_rng(seed).dirichlet(np.ones(n_classes), 10)
    changed = tempered(p, temperature)
    assert_allclose(changed.sum(axis=1), 1)
    assert (changed.argmax(axis=1) == p.argmax(axis=1)).all()
    closer = margins(changed) < margins(tempered(p, temperature / 2)) + 1e-12
    assert closer.all()


def test_the_temperature_of_planted_doubt_is_found(rng):
    p = rng.dirichlet(np.ones(3), 4000)
    y = (rng.random((4000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    assert_allclose(fit_temperature(p, y), 1, atol=0.1)  # honest soft labels stay
    sharp = p**3 / (p**3).sum(axis=1, keepdims=True)
    assert fit_temperature(sharp, y) > 2  # 3, less what the mixed-in hundredth softens
    before = expected_calibration_error(sharp, y)
    assert expected_calibration_error(tempered(sharp, fit_temperature(sharp, y)), y) < before / 3


def test_a_few_samples_hardly_move_the_temperature():
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert 0.5 < fit_temperature(p, np.array([0, 1])) < 1  # without the penalty: the end searched


def test_the_mean_of_maps_needs_half_of_them():
    one, two, three = (np.array(rows) for rows in ([[1, 0], NAN], [[0, 1], NAN], [NAN, [1, 0]]))
    assert_allclose(mean_distribution([one, two, three]), [[0.5, 0.5], NAN])
    assert_allclose(mean_distribution([one, three]), [[1, 0], [1, 0]])


def test_a_prior_multiplies_and_speaks_where_nothing_else_does():
    p = np.array([[0.5, 0.5], NAN, [0.8, 0.2], [1, 0]])
    prior = np.array([[0.9, 0.1], [0.3, 0.7], NAN, [0, 1]])
    assert_allclose(
        weigh_by_prior(p, prior), [[0.9, 0.1], [0.3, 0.7], [0.8, 0.2], [1, 0]]
    )  # a soft label that the prior rules out stays
    assert_allclose(weigh_by_prior(p, prior, 0), [[0.5, 0.5], [0.3, 0.7], [0.8, 0.2], [1, 0]])
    assert_allclose(weigh_by_prior(p[:1], prior[:1], 2), [[81 / 82, 1 / 82]])


def test_refuses_what_are_no_soft_labels():
    half = np.full((2, 2), 0.5)
    with pytest.raises(DataError, match="row 1 sums to 0.9"):
        tempered(np.array([[0.5, 0.5], [0.5, 0.4]]), 1)
    with pytest.raises(DataError, match="row 0 sums to nan, or is negative or partly NaN"):
        tempered(np.array([[np.nan, 1]]), 1)
    with pytest.raises(DataError, match="shapes .2, 2. and .1, 2."):
        jensen_shannon(half, half[:1])
    with pytest.raises(DataError, match="expected .n_samples, n_classes."):
        brier(half[0], half[0])
    with pytest.raises(DataError, match="expected one column number a row"):
        expected_calibration_error(half, np.array([0, 2]))
    with pytest.raises(DataError, match="no sample has both"):
        fit_temperature(half, np.array([-1, -1]))
    with pytest.raises(DataError, match="none to combine"):
        mean_distribution([])
    with pytest.raises(SettingsError, match="temperature: 0; expected more than 0"):
        tempered(half, 0)
    with pytest.raises(SettingsError, match="share: 1.5"):
        keep_most_certain(np.array([0]), np.array([1.0]), 1.5)
    with pytest.raises(SettingsError, match="weight: -1"):
        weigh_by_prior(half, half, -1)
