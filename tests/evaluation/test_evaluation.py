"""Metrics by hand, splits without leakage, intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.metrics import balanced_accuracy_score, f1_score, matthews_corrcoef

from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.metrics import confusion_matrix, mcc, scores
from emboscope.evaluation.protocol import Fold, check_disjoint, folds, hold_out
from emboscope.evaluation.statistics import bootstrap_groups, corrected_t, paired_difference


@pytest.mark.parametrize("n_classes", [2, 4])
def test_metrics_equal_those_of_scikit_learn(rng, n_classes):
    truth, predicted = rng.integers(0, n_classes, (2, 300))
    found = scores(truth, predicted)
    assert found["mcc"] == pytest.approx(matthews_corrcoef(truth, predicted))
    assert found["f1_macro"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert found["accuracy"] == pytest.approx(np.mean(truth == predicted))


def test_predictor_that_never_varies_is_at_chance_and_one_true_class_is_no_figure():
    assert mcc(np.array([0, 1, 1]), np.array([1, 1, 1])) == 0
    assert np.isnan(mcc(np.array([1, 1, 1]), np.array([0, 1, 1])))


def test_confusion_by_hand():
    found = confusion_matrix(np.array([0, 0, 1, 2]), np.array([0, 2, 1, 2]), 3)
    assert_array_equal(found, [[1, 0, 1], [0, 1, 0], [0, 0, 1]])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["patient", "recording"]))
def test_no_group_stands_in_two_parts_and_each_row_is_tested_once(seed, kind):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(40), rng.integers(2, 6, 40))
    y = (groups % 2).astype(int)
    parts = folds(y, groups, kind, 4, seed)
    assert_array_equal(np.sort(np.concatenate([fold.test for fold in parts])), np.arange(y.size))
    for fold in parts:
        sides = [set(groups[rows]) for rows in (fold.train, fold.validation, fold.test)]
        assert not sides[0] & sides[1]
        assert not sides[0] & sides[2]
        assert not sides[1] & sides[2]
        assert fold.validation.size
        check_disjoint(fold, groups)


def test_row_split_covers_each_row_once():
    y = np.arange(200) % 2
    parts = folds(y, np.arange(200) // 4, "row", 5)
    assert_array_equal(np.sort(np.concatenate([fold.test for fold in parts])), np.arange(200))
    share = parts[0].validation.size / (parts[0].validation.size + parts[0].train.size)
    assert share == pytest.approx(0.15, abs=0.02)


def test_leak_between_parts_is_refused():
    fold = Fold(np.array([0, 1]), np.array([2]), np.array([3]))
    with pytest.raises(DataError):
        check_disjoint(fold, np.array([0, 1, 2, 0]))


def test_held_out_groups_are_whole():
    groups = np.repeat(np.arange(20), 5)
    train, validation = hold_out(groups % 2, groups, 0)
    assert not set(groups[train]) & set(groups[validation])


@pytest.mark.parametrize(
    ("kind", "n_folds", "error", "text"),
    [
        ("subject", 3, SettingsError, "split 'subject': unknown"),
        ("row", 1, SettingsError, "expected at least 2"),
        ("patient", 30, DataError, "30"),
    ],
)
def test_impossible_splits_are_refused(kind, n_folds, error, text):
    with pytest.raises(error, match=text):
        folds(np.arange(20) % 2, np.arange(20) // 2, kind, n_folds)


def test_corrected_interval_of_the_worked_example():
    """s² = 0.01, J = 2, share 1: half width t(1, 0.975) · sqrt(1.5 · 0.005)."""
    found = corrected_t(np.array([0.8, 0.9]), 1.0)
    assert found.mean == pytest.approx(0.85)
    assert found.interval[1] - found.mean == pytest.approx(12.7062 * np.sqrt(1.5 * 0.005), rel=1e-4)


def test_difference_of_equal_scores_is_zero():
    found = paired_difference(np.array([0.8, 0.9]), np.array([0.8, 0.9]), 0.1)
    assert found.mean == 0
    assert found.interval == (0, 0)


def test_bootstrap_draws_groups(rng):
    values = np.repeat([0.0, 1.0], 50)
    found = bootstrap_groups(lambda rows: values[rows].mean(), np.repeat([0, 1], 50), rng)
    assert found.mean == 0.5
    assert found.interval == (0.0, 1.0)
    with pytest.raises(DataError, match="expected at least 2"):
        bootstrap_groups(lambda rows: 0.0, np.zeros(5), rng)
