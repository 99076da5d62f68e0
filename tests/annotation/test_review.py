import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.annotation.review import review_queue
from emboscope.errors import DataError, SettingsError


@pytest.fixture
def islands(rng):
    """Two far groups of 40; the labels of samples 3 and 50 are planted wrong."""
    features = rng.standard_normal((80, 3)) + np.repeat([[0], [50]], 40, axis=0)
    labels = np.repeat([2, 5], 40)
    labels[[3, 50]] = [5, 2]
    return features, labels


def test_planted_errors_stand_first_and_the_right_class_is_suggested(islands):
    features, labels = islands
    found = review_queue(features, labels)
    assert set(found.samples[:2].tolist()) == {3, 50}
    assert_allclose(found.self_confidence[[3, 50]], 0, atol=0.1)  # the other error may be near
    assert found.suggested[[3, 50]].tolist() == [2, 5]
    assert sorted(found.samples.tolist()) == list(range(80))  # nothing is dropped


def test_given_labels_vote_and_unlabeled_samples_do_not_stand_in_the_queue(islands):
    features, labels = islands
    labels[[7, 60]] = -1
    given = np.zeros(80, bool)
    given[[3, 10]] = True
    found = review_queue(features, labels, given=given)
    assert set(range(80)) - set(found.samples.tolist()) == {3, 7, 10, 60}
    assert found.samples[0] == 50
    assert_array_equal(np.isnan(found.self_confidence), labels < 0)
    assert_array_equal(found.suggested < 0, labels < 0)


def test_other_patients_alone_judge_a_label(rng):
    features, groups = rng.standard_normal((60, 2)), np.repeat([0, 1, 2], 20)
    labels = np.where(groups == 2, 1, 0)  # class 1 in one patient: no other can confirm it
    found = review_queue(features, labels, groups=groups)
    assert (found.self_confidence[groups == 2] == 0).all()
    assert (found.suggested[groups == 2] == 0).all()


def test_the_queue_is_the_same_twice(islands):
    assert_array_equal(review_queue(*islands).samples, review_queue(*islands).samples)


def test_refuses_what_cannot_be_judged(islands, monkeypatch):
    features, labels = islands
    with pytest.raises(DataError, match="80 labels of 1 classes"):
        review_queue(features, np.zeros(80, int))
    with pytest.raises(DataError, match="1 group; expected at least 2"):
        review_queue(features, labels, groups=np.zeros(80))
    with pytest.raises(DataError, match="80 feature rows, 79 labels"):
        review_queue(features, labels[:79])
    with pytest.raises(SettingsError, match="k is 0"):
        review_queue(features, labels, k=0)
    monkeypatch.setitem(sys.modules, "cleanlab.rank", None)
    with pytest.raises(SettingsError, match="cleanlab is missing.*emboscope.active."):
        review_queue(features, labels)
