import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import beta

from emboscope.annotation.calibration import (
    Calibration,
    CalibrationCell,
    CalibrationSettings,
    calibrate,
)
from emboscope.annotation.held_out import hold_out_labels, risk_coverage
from emboscope.annotation.propagators import LQKNN, PROPAGATORS
from emboscope.annotation.situation import Situation
from emboscope.errors import DataError

ONE = CalibrationSettings(ks=(3,), thresholds=(0.0,))


@pytest.fixture
def islands(rng):
    """Two far groups of 40, half of each labeled."""
    points = rng.standard_normal((80, 2)) + np.repeat([[0], [50]], 40, axis=0)
    y = np.where(np.arange(80) % 2 == 0, np.repeat([4, 7], 40), -1)
    return Situation(points, points, y)


def test_on_clean_islands_nothing_is_wrong_and_doubt_remains(islands):
    cell = calibrate(islands, ONE).cells[0]
    assert cell.error == 0
    assert cell.error_interval[0] == 0
    n = 40 * cell.coverage
    assert_allclose(cell.error_interval[1], 1 - 0.025 ** (1 / n))  # where 0 of n is as rare as that
    assert cell.coverage > 0.8


def test_a_wrong_label_costs_its_share(islands):
    islands.y[0] = 7  # alone in the other island: hidden, it is found to be 4
    held = hold_out_labels(islands, LQKNN(3))
    assert held.labels[held.samples == 0] == 4
    assert not held.correct[held.samples == 0]
    cell = calibrate(islands, ONE).cells[0]
    assert cell.error >= 1 / 40
    assert cell.error_interval[0] < cell.error < cell.error_interval[1]


@pytest.mark.parametrize("name", sorted(set(PROPAGATORS) - {"opf_semi"}))
def test_any_propagator_can_be_held_out(islands, name):
    held = hold_out_labels(islands, PROPAGATORS[name]())
    assert_array_equal(held.samples, np.flatnonzero(islands.y >= 0))
    reached = held.labels >= 0
    assert reached.mean() > 0.9  # a sample that is in no list of neighbors stays unlabeled
    assert held.correct[reached].all()
    soft = held.distributions[reached]
    assert_array_equal(held.classes[soft.argmax(axis=1)], held.labels[reached])
    assert np.isnan(held.distributions[~reached]).all()


def test_a_class_that_is_hidden_whole_leaves_its_column_empty(islands):
    islands.y[0] = 2  # the only one of its class, among the 4
    held = hold_out_labels(islands, LQKNN(3))
    assert held.classes.tolist() == [2, 4, 7]
    assert_array_equal(held.distributions[held.samples == 0], [[0, 1, 0]])


def test_only_marked_labels_are_hidden(islands):
    judged = np.zeros(80, bool)
    judged[[0, 2, 4, 41, 42, 44]] = True  # 41 has no label
    held = hold_out_labels(islands, LQKNN(3), (2, 0), judged)
    assert held.samples.tolist() == [0, 2, 4, 42, 44]
    assert calibrate(islands, ONE, judged=judged).n_judged == 5


def test_all_labels_of_a_patient_are_hidden_at_once():
    points = np.array([[0.0], [0.1], [0.2], [9], [9.1], [9.2]])
    y, groups = np.array([0, 0, 1, 1, 1, 0]), np.array(list("aabbbc"))
    situation = Situation(points, points, y, groups=groups)
    held = hold_out_labels(situation, LQKNN(2))
    # hiding b leaves class 0 alone; hiding a leaves sample 2 of b as the only near one
    assert held.labels.tolist() == [1, 1, 0, 0, 0, 1]
    judged = np.array([True, False, True, False, False, False])
    assert hold_out_labels(situation, LQKNN(2), (2, 0), judged).labels.tolist() == [1, 0]


def test_the_expected_error_of_random_labels_is_the_true_one(rng):
    """Overlapping classes: the truth is known, and lies in most intervals."""
    inside = []
    for seed in range(10):
        draw = np.random.default_rng(seed)
        truth = draw.integers(0, 2, 1000)
        points = draw.standard_normal((1000, 2)) + 2.5 * truth[:, None] * [1, 0]
        y = np.where(draw.random(1000) < 0.15, truth, -1)
        cell = calibrate(Situation(points, points, y), ONE).cells[0]
        found = LQKNN(3, 0.0).fit(points, y).transduction_
        new = (y < 0) & (found >= 0)
        low, high = cell.error_interval
        inside.append(low <= np.mean(found[new] != truth[new]) <= high)
    assert np.mean(inside) >= 0.8  # 95 % wanted; 10 draws


def test_the_pair_that_labels_most_within_the_target_is_recommended():
    def cell(threshold, error, coverage):
        return CalibrationCell(10, threshold, error, (0, 1), coverage, (0, 1))

    cells = (cell(0, 0.08, 0.99), cell(0.1, 0.02, 0.9), cell(0.2, 0.01, 0.9), cell(0.3, 0.0, 0.5))
    calibration = Calibration(cells, 50, ())
    assert calibration.recommend(0.1).threshold == 0
    assert calibration.recommend(0.02).threshold == 0.2  # equal coverage, smaller error
    assert calibration.recommend(0.0).threshold == 0.3
    assert Calibration((cell(0, np.nan, 0),), 50, ()).recommend(0.5) is None
    assert cells[1].sentence.startswith(
        "K = 10, τ = 0.1: expected error 2.0% (0.0% to 100.0%), 90%"
    )
    assert "labels nothing" in cell(0.5, np.nan, 0.0).sentence


def test_it_says_what_is_doubtful(islands):
    assert calibrate(islands, ONE).doubts == ()
    y = np.where(np.arange(80) % 8 == 0, islands.y, -1)
    few = Situation(islands.points, islands.points, y)
    assert calibrate(few, ONE).doubts == (
        "Only 10 labels to judge by: the expected error is a guess.",
    )
    one = Situation(islands.points, islands.points, islands.y, groups=np.zeros(80))
    assert "All labels are of one group" in calibrate(one, ONE).doubts[0]
    by_class = Situation(islands.points, islands.points, islands.y, groups=np.repeat([0, 1], 40))
    found = calibrate(by_class, ONE)
    assert "Class 4 is labeled in one group only" in found.doubts[0]
    assert not found.cells[0].error < 1  # hidden with its patient, no class is found again


def test_patients_who_err_as_a_whole_count_as_one_each(rng):
    """Four pairs of islands, an island a patient; two pairs are of one class, two of both."""
    patient = np.repeat(np.arange(8), 10)
    points = rng.standard_normal((80, 2)) + (30 * patient + 1000 * (patient // 2))[:, None]
    y = np.where(np.arange(80) % 10 < 5, np.array([0, 0, 1, 1, 0, 1, 1, 0])[patient], -1)
    settings = CalibrationSettings(ks=(40,), thresholds=(0,), n_folds=8)
    cell = calibrate(Situation(points, points, y, groups=patient), settings).cells[0]
    assert cell.error == 0.5  # 40 labels, but as 4 of 8:
    assert_allclose(cell.error_interval, [beta.ppf(0.025, 4, 5), beta.ppf(0.975, 5, 4)])


def test_risk_and_coverage_by_hand():
    correct = np.array([True, True, False, True, False])
    curve = risk_coverage(correct, np.array([0.9, 0.5, 0.5, 0.1, np.nan]))
    assert_allclose(curve.threshold, [0.9, 0.5, 0.1])
    assert_allclose(curve.coverage, [0.2, 0.6, 0.8])
    assert_allclose(curve.risk, [0, 1 / 3, 1 / 4])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(0, 10_000))
def test_the_curve_equals_keeping_what_is_above_each_threshold(n, seed):
    rng = np.random.default_rng(seed)
    correct, certainty = rng.random(n) < 0.7, rng.integers(0, 4, n) / 3
    certainty[rng.random(n) < 0.2] = np.nan
    curve = risk_coverage(correct, certainty)
    for threshold, coverage, risk in zip(curve.threshold, curve.coverage, curve.risk, strict=True):
        kept = certainty >= threshold
        assert_allclose([coverage, risk], [kept.mean(), (~correct[kept]).mean()])


def test_refuses_what_cannot_be_calibrated(islands):
    points = islands.points
    few = Situation(points, points, np.where(np.arange(80) < 3, np.arange(80) % 2, -1))
    with pytest.raises(DataError, match="3 labels to hide, 2 classes, 5 folds"):
        calibrate(few)
    with pytest.raises(DataError, match="40 labels to hide, 1 classes"):
        calibrate(Situation(points, points, np.minimum(islands.y, 0)))
    with pytest.raises(DataError, match="3 labels of 3 samples or groups in 5 folds"):
        hold_out_labels(few, LQKNN())
    with pytest.raises(DataError, match="one bool for each of 80 samples"):
        calibrate(islands, judged=np.arange(3))
    with pytest.raises(DataError, match="arrays of 79 to 80 rows"):
        Situation(points, points, islands.y[:79])
    with pytest.raises(DataError, match="risk and coverage: shapes"):
        risk_coverage(np.ones(3, bool), np.ones(2))
