"""The cell that trains a model on spread labels: who is tested, and what is learned from."""

import math

import numpy as np
import pytest

from emboscope.datasets.hits import segments_dataset
from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.protocol import folds
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.classical import FeatureClassifier
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


@pytest.mark.parametrize("test_patients", [None, np.array([3, 7])])
def test_rows_of_ones_own_file_keep_their_labels_and_its_test_patients_apart(
    test_patients, monkeypatch, stream, tmp_path
):
    y = stream.y.copy()
    y[[4, 50, 59]] = -1  # nobody knows; the last of a test patient
    waveform = stream.front_end.signal_of(stream.views["waveform"])
    own = segments_dataset("own hits", waveform, y, stream.groups, np.eye(3)[y], test_patients)
    monkeypatch.setattr(propagated_cells, "source", lambda name: own)
    monkeypatch.setattr(prepared, "hits_from", lambda path, progress: own)
    taught, asked = [], []

    class Watched(FeatureClassifier):
        def fit(self, views, y, **options):
            taught.append((views["waveform"], y))
            return super().fit(views, y, **options)

        def predict_proba(self, views):
            asked.append(views["waveform"])
            return super().predict_proba(views)

    monkeypatch.setattr(propagated_cells, "unfitted", lambda *_: Watched("tree", own.front_end))
    numbers = propagated_model(PropagatedSettings(data=str(tmp_path), targets="true"), 2)
    ((learned, labels),) = taught
    tested = np.isin(own.groups, [3, 7])
    if test_patients is None:
        part = folds(y, own.groups, "patient", 5, seed=0)[2]
        tested = np.isin(np.arange(180), part.test)
    assert np.array_equal(learned, own.views["waveform"][~tested & (y >= 0)])
    assert np.array_equal(labels, y[~tested & (y >= 0)])
    assert np.array_equal(asked[0], own.views["waveform"][tested & (y >= 0)])
    assert numbers["learned_from"] == len(labels)


def test_data_without_patients_is_refused(monkeypatch, stream):
    monkeypatch.setattr(prepared, "IMAGE_SETS", {"digits": prepared.digit_images})
    with pytest.raises(DataError, match="'digits' has no patients; expected HITS"):
        propagated_model(PropagatedSettings(data="digits", features="pixels"), 0)


def test_a_label_for_each_row_is_asked_for(stream):
    with pytest.raises(DataError, match=r"of shape \(3,\) for 180 rows"):
        FeatureClassifier("tree", stream.front_end).fit(stream.views, np.zeros(3, int))
