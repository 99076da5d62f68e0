"""The cell that trains a model on spread labels: who is tested, and what is learned from."""

import math

import numpy as np
import pytest

from emboscope.datasets.hits import segments_dataset
from emboscope.errors import DataError, SettingsError
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.settings import TrainSettings
from emboscope.workflows import prepared, propagated_cells
from emboscope.workflows.propagated_cells import PropagatedSettings, propagated_model
from waves import bursts


@pytest.fixture
def stream(monkeypatch, tmp_path):
    """Twelve patients whose classes differ in level and frequency; two are held out."""
    rng = np.random.default_rng(6)
    y = np.arange(180) % 3
    segments = bursts(y, rng)
    patients = np.repeat(np.arange(12), 15)
    soft = np.eye(3)[y]
    data = segments_dataset("hits_sada", segments, y, patients, soft, np.array([3, 7]))
    monkeypatch.setattr(propagated_cells, "source", lambda name: data)
    monkeypatch.setattr(prepared, "load_dataset", lambda name, progress=None: data)
    monkeypatch.setenv("EMBOSCOPE_CACHE", str(tmp_path))
    prepared.load_images.cache_clear()
    yield data
    prepared.load_images.cache_clear()


QUICK = {
    "network": NetworkSettings(compact_width=4),
    "training": TrainSettings(epochs=3, batch=16),
    "model": "cnn2d_compact",
}


def test_spread_labels_teach_more_rows_than_the_given_ones(stream):
    few = propagated_model(PropagatedSettings(targets="given", **QUICK), 0)
    more = propagated_model(PropagatedSettings(**QUICK), 0)
    assert few["learned_from"] == 15  # a tenth of 150, and none of the 30 that are held out
    assert more["learned_from"] > 60
    assert more["coverage"] == pytest.approx(more["learned_from"] / 150)
    assert {"mcc", "recall_2", "jsd_raters"} <= set(more)


def test_features_by_hand_learn_from_the_same_labels_and_have_no_size(stream):
    settings = PropagatedSettings(model="gradient_boosting")
    numbers = propagated_model(settings, 0)
    network = propagated_model(PropagatedSettings(**QUICK), 0)
    assert numbers["learned_from"] == network["learned_from"]
    assert numbers["mcc"] > 0.8
    assert math.isnan(numbers["parameters"])
    assert network["parameters"] > 100


def test_features_by_hand_do_not_learn_from_soft_labels(stream):
    settings = PropagatedSettings(model="svm", targets="soft")
    with pytest.raises(SettingsError, match="targets 'soft': 'svm' .* Use targets = 'propagated'"):
        propagated_model(settings, 0)


def test_data_without_fixed_test_patients_is_refused(monkeypatch, stream):
    free = segments_dataset("mine", stream.views["waveform"], stream.y, stream.groups, None, None)
    monkeypatch.setattr(propagated_cells, "source", lambda name: free)
    with pytest.raises(DataError, match="'mine.h5' has no fixed test patients; expected some"):
        propagated_model(PropagatedSettings(data="mine.h5"), 0)
