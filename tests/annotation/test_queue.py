import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from emboscope.annotation.calibration import CalibrationCell
from emboscope.annotation.queue import QueueSettings, next_queries
from emboscope.annotation.situation import Situation
from emboscope.annotation.stopping import StoppingSettings, changed_share, stopping_advice
from emboscope.errors import DataError, SettingsError


@pytest.fixture
def islands(rng):
    """Three far islands of 50, 30 and 20 samples."""
    island = np.repeat([0, 1, 2], [50, 30, 20])
    points = rng.standard_normal((100, 2)) + np.array([[0, 0], [60, 0], [0, 60]])[island]
    return points, island


def situation(points, y, **more):
    return Situation(points, points, np.asarray(y), **more)


def test_every_region_is_asked_for_once_the_largest_first(islands):
    points, island = islands
    asked = next_queries(situation(points, np.full(100, -1)), 3, QueueSettings(regions=0.3))
    assert asked.reasons == ("coverage",) * 3
    assert island[asked.samples[0]] == 0
    assert sorted(island[asked.samples]) == [0, 1, 2]


def test_a_region_that_has_a_label_is_not_asked_again(islands):
    points, island = islands
    y = np.where(np.arange(100) == 7, 0, -1)  # in the first island
    asked = next_queries(situation(points, y), 2, QueueSettings(regions=0.3))
    assert sorted(island[asked.samples]) == [1, 2]


@pytest.mark.parametrize(("far", "first"), [(60, 1), (600, 2)])
def test_large_and_far_regions_are_asked_first(islands, far, first):
    """Beside a labeled island stand one of 30 at distance 60 and one of 20, there or far off."""
    points, island = islands
    points[island == 2] *= [1, far / 60]
    y = np.where(np.arange(100) == 7, 0, -1)
    asked = next_queries(situation(points, y), 1, QueueSettings(regions=0.3))
    assert island[asked.samples] == first


def test_batches_ask_what_one_batch_asks(islands):
    points, _ = islands
    y = np.full(100, -1)
    whole = next_queries(situation(points, y), 6)
    y[whole.samples[:3]] = 0
    later = next_queries(situation(points, y), 3)
    assert set(later.samples.tolist()) == set(whole.samples[3:].tolist())


def test_a_covered_map_asks_in_turn_for_doubt_and_for_islands(rng):
    points = np.concatenate([np.linspace(0, 10, 60), np.linspace(90, 91, 12)])[:, None]
    y = np.full(72, -1)
    y[[0, 59]] = [0, 1]
    settings = QueueSettings(regions=0.1, k=3, apart=5)  # one region: it has a label
    asked = next_queries(situation(points, y), 4, settings)
    assert asked.reasons[:2] == ("unreachable", "uncertain")
    why = dict(zip(asked.samples.tolist(), asked.reasons, strict=True))
    assert all((sample >= 60) == (reason == "unreachable") for sample, reason in why.items())
    first_doubt = asked.samples[1]
    assert 25 <= first_doubt <= 34  # half way between the two labels


def test_doubt_is_read_from_the_soft_labels_that_are_given(rng):
    points, y = np.linspace(0, 1, 40)[:, None], np.full(40, -1)
    y[[0, 39]] = [0, 1]
    soft = np.tile([1.0, 0.0], (40, 1))
    soft[12], soft[30] = [0.5, 0.5], [0.6, 0.4]
    settings = QueueSettings(regions=0.1, apart=4)
    asked = next_queries(situation(points, y, distributions=soft), 2, settings)
    assert asked.samples.tolist() == [12, 30]
    assert asked.reasons == ("uncertain",) * 2
    soft[14] = [0.55, 0.45]  # more doubtful than 30, but beside 12
    asked = next_queries(situation(points, y, distributions=soft), 2, settings)
    assert asked.samples.tolist() == [12, 30]
    quality = np.ones(40)
    quality[[12, 14]] = 0.2  # a label there would not travel
    asked = next_queries(
        situation(points, y, distributions=soft, local_quality=quality), 1, settings
    )
    assert asked.samples.tolist() == [30]


def test_samples_that_the_quality_shuts_out_come_last(rng):
    points, y = np.linspace(0, 1, 40)[:, None], np.full(40, -1)
    y[[0, 39]] = 0
    quality = np.ones(40)
    quality[20] = 0.05
    asked = next_queries(situation(points, y, local_quality=quality), 2, QueueSettings(regions=0.1))
    assert asked.samples[0] == 20
    assert asked.reasons == ("unreachable", "coverage")  # then nothing is left but to fill up


@settings(max_examples=25, deadline=None)
@given(st.integers(30, 60), st.integers(1, 40), st.floats(0, 0.9), st.integers(0, 10_000))
def test_queries_are_new_distinct_and_the_same_twice(n_samples, n, share, seed):
    rng = np.random.default_rng(seed)
    points, y = rng.standard_normal((n_samples, 2)), np.full(n_samples, -1)
    known = rng.random(n_samples) < share
    y[known] = rng.integers(0, 3, known.sum())
    askable = rng.random(n_samples) < 0.8
    given_ = situation(points, y, askable=askable, groups=rng.integers(0, 4, n_samples))
    asked = next_queries(given_, n, random_state=seed)
    assert len(set(asked.samples.tolist())) == len(asked.samples) == len(asked.reasons)
    assert len(asked.samples) == min(n, (askable & (y < 0)).sum())
    assert (y[asked.samples] < 0).all()
    assert askable[asked.samples].all()
    assert_array_equal(asked.samples, next_queries(given_, n, random_state=seed).samples)


def test_patients_are_asked_in_turn(rng):
    points, groups = rng.standard_normal((200, 2)), rng.integers(0, 10, 200)
    free = next_queries(situation(points, np.full(200, -1)), 10).samples
    spread = next_queries(situation(points, np.full(200, -1), groups=groups), 10).samples
    assert len(set(groups[spread])) > len(set(groups[free]))


def test_a_batch_larger_than_the_regions_is_filled_up(islands):
    asked = next_queries(situation(islands[0], np.full(100, -1)), 20, QueueSettings(regions=0.3))
    assert len(asked.samples) == 20
    assert set(asked.reasons) == {"coverage"}


def test_the_advice_follows_error_and_gain():
    def expected(error, low, high):
        return CalibrationCell(10, 0.1, error, (low, high), 0.9, (0.8, 1))

    sure, likely, poor = expected(0.02, 0, 0.04), expected(0.02, 0, 0.08), expected(0.1, 0.05, 0.2)
    assert stopping_advice(sure, []).sentence == (
        "Enough: the error is at most 4.0%, the target 5.0%."
    )
    going = stopping_advice(likely, [0.3, 0.02])
    assert not going.enough
    assert "as high as 8.0%" in going.sentence
    assert "the last batch changed 2.0%" in going.sentence
    assert stopping_advice(likely, [0.3, 0.01, 0.0]).enough
    assert not stopping_advice(likely, [0.3, 0.02, 0.0]).enough
    map_ = stopping_advice(poor, [0.0, 0.0])
    assert map_.enough
    assert "raise the threshold, or choose another map" in map_.sentence
    assert not stopping_advice(poor, [0.0]).enough  # one batch at rest is not two
    assert stopping_advice(poor, [0.0], StoppingSettings(target_error=0.2)).enough
    assert "no error is known" in stopping_advice(expected(*[np.nan] * 3), []).sentence


def test_the_gain_of_a_batch_by_hand():
    assert changed_share(np.array([0, 1, -1, -1]), np.array([0, 2, 1, -1])) == 0.5


def test_refuses_what_cannot_be_asked(islands, monkeypatch):
    points = islands[0]
    with pytest.raises(SettingsError, match="queries: 0; expected at least 1"):
        next_queries(situation(points, np.full(100, -1)), 0)
    with pytest.raises(DataError, match="arrays of 100 to 101 rows"):
        situation(points, np.full(101, -1))
    with pytest.raises(DataError, match="shapes .3,. and .2,."):
        changed_share(np.zeros(3), np.zeros(2))
    monkeypatch.setitem(sys.modules, "skactiveml.pool", None)
    with pytest.raises(SettingsError, match="scikit-activeml is missing.*emboscope.active."):
        next_queries(situation(points, np.arange(100) % 20 - 18), 5, QueueSettings(regions=0.1))
