from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from emboscope.annotation.rules import (
    RULES,
    RuleSettings,
    RuleVotes,
    rule_quality,
    rule_votes,
    weak_labels,
)
from emboscope.errors import DataError

MEASURES = {
    "duration_s": np.array([0.05, 0.40, 0.05, 0.05, np.nan]),
    "hbr_db": np.array([12.0, 12.0, 2.0, 12.0, 12.0]),
    "direction_db": np.array([20.0, 20.0, 20.0, 0.5, 20.0]),
}


def of(votes, name):
    return votes.fired[:, votes.names.index(name)].tolist()


def test_each_rule_fires_on_its_own_event_and_abstains_on_unknown_measures():
    votes = rule_votes(MEASURES)
    assert of(votes, "too_long") == [False, True, False, False, False]
    assert of(votes, "too_weak") == [False, False, True, False, False]
    assert of(votes, "symmetric") == [False, False, False, True, False]
    assert of(votes, "embolic") == [True, False, False, False, False]
    assert votes.meant.tolist() == [[True, False, False]] * 3 + [[False, True, True]]


def test_limits_belong_to_the_side_that_the_criteria_name():
    edge = {"duration_s": [0.3, 0.299], "hbr_db": [3.0, 3.0], "direction_db": [3.0, 3.0]}
    votes = rule_votes({name: np.array(values) for name, values in edge.items()})
    assert of(votes, "too_long") == [True, False]  # less than 300 ms
    assert of(votes, "embolic") == [False, True]  # at least 3 dB
    assert of(rule_votes(MEASURES, settings=RuleSettings(maximum_s=0.5)), "too_long") == [False] * 5


def test_accuracy_by_hand_and_without_labels_the_expectation():
    fired = np.array([[True, False]] * 5 + [[False, False]])
    votes = RuleVotes(("a", "b"), fired, np.array([[True, False], [False, True]]))
    quality = rule_quality(votes, np.array([0, 0, 1, -1, -1, 0]))
    assert_allclose(quality.accuracy, [(2 + 0.7 * 4) / (3 + 4), 0.7])
    assert quality.n_fired.tolist() == [3, 0]
    assert_allclose(quality.coverage, [5 / 6, 0])
    bare = rule_quality(votes, np.array([0, 0, 1, -1, -1, 0]), RuleSettings(imagined_labels=0))
    assert_allclose(bare.accuracy, [2 / 3, 0.7])


def test_a_rule_alone_gives_its_classes_its_accuracy():
    soft = weak_labels(rule_votes(MEASURES), np.array([0.9, 0.8, 0.95, 0.7]))
    assert_allclose(soft[:, 0], [0.3, 0.9, 0.8, 0.95, np.nan])
    assert_allclose(soft[0], [0.3, 0.35, 0.35])
    priors = np.array([0.5, 0.4, 0.1])
    soft = weak_labels(rule_votes(MEASURES), np.array([0.9, 0.8, 0.95, 0.7]), priors)
    assert_allclose(soft[0], [0.3, 0.7 * 0.8, 0.7 * 0.2])
    assert_allclose(soft[1], [0.9, 0.1 * 0.8, 0.1 * 0.2])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(0, 10_000))
def test_weak_labels_sum_to_one_and_abstain_exactly_where_no_rule_speaks(n, seed):
    rng = np.random.default_rng(seed)
    votes = RuleVotes(("a", "b", "c"), rng.random((n, 3)) < 0.4, rng.random((3, 4)) < 0.5)
    soft = weak_labels(votes, rng.random(3), rng.random(4) + 0.1)
    speaks = votes.fired.any(axis=1)
    assert_allclose(soft[speaks].sum(axis=1), 1)
    assert np.isnan(soft[~speaks]).all()


def test_a_rule_no_better_than_the_prior_changes_nothing():
    votes = RuleVotes(("a",), np.array([[True]]), np.array([[True, False, False]]))
    assert_allclose(weak_labels(votes, np.array([1 / 3])), [[1 / 3] * 3])


def test_the_documentation_lists_every_rule():
    page = (Path(__file__).parents[2] / "docs" / "annotation.md").read_text(encoding="utf-8")
    assert [name for name in RULES if f"`{name}`" not in page] == []


def test_refuses_measures_and_labels_of_other_events():
    votes = rule_votes(MEASURES)
    with pytest.raises(DataError, match="measures: hbr_db is missing"):
        rule_votes({"duration_s": np.zeros(2)})
    with pytest.raises(DataError, match="arrays of different shapes"):
        rule_votes(MEASURES | {"hbr_db": np.zeros(2)})
    with pytest.raises(DataError, match="class 'solid' is none of artifact, gaseous"):
        rule_votes(MEASURES, ("artifact", "gaseous"))
    with pytest.raises(DataError, match="one of 3 classes for each of 5 events"):
        rule_quality(votes, np.zeros(4, int))
    with pytest.raises(DataError, match="one number for each of 4 rules"):
        weak_labels(votes, np.ones(3))
    with pytest.raises(DataError, match="expected 3 positive shares"):
        weak_labels(votes, np.ones(4), np.array([1.0, 0, 0]))
