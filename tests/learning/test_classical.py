"""Classical models: the features they read, what they learn, and what they refuse."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from emboscope.datasets.hits import front_end
from emboscope.errors import DataError, SettingsError
from emboscope.learning.classical import CLASSICAL, FeatureClassifier, model_features
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.guepie_features import guepie_features
from emboscope.representations.handcrafted import handcrafted_features
from emboscope.representations.hits_features import hits_features

EEG = FrontEnd(sfreq=173.61, n_channels=1, n_times=178)
TIMES = (np.arange(1400) - 700) / 4385


def bursts(rng, n_each=20):
    """Flow with a forward burst (class 1), or one on both sides (class 0)."""
    y = np.repeat([0, 1], n_each)
    noise = rng.standard_normal((2 * n_each, 1400, 2)) @ (1, 1j)
    freqs = np.fft.fftfreq(1400, 1 / 4385)
    flow = np.fft.ifft(np.fft.fft(noise) * ((freqs > 200) & (freqs < 1000)))
    turn = 2 * np.pi * rng.uniform(400, 900, (2 * n_each, 1)) * TIMES
    event = np.where(y[:, None] == 1, np.exp(1j * turn), np.sqrt(2) * np.cos(turn))
    signal = flow / flow.std() + 5 * event * np.exp(-((TIMES / 0.02) ** 2)) + 0.01 * noise
    segments = 0.01 * np.stack([signal.real, signal.imag], axis=1)
    return {"waveform": segments.astype(np.float32)}, y


def waves(rng, n=60):
    """EEG of 5 Hz (class 0) or 20 Hz (class 1)."""
    y = np.arange(n) % 2
    phase = 2 * np.pi * (5 + 15 * y[:, None]) * np.arange(178) / 173.61
    signal = 50 * np.sin(phase) + 20 * rng.standard_normal((n, 178))
    return EEG.compute(signal[:, None].astype(np.float32)), y


def test_features_follow_the_signal_and_the_model(rng):
    views, _ = bursts(rng, 2)
    signal = front_end().signal_of(views["waveform"])
    assert_array_equal(model_features("svm", front_end(), views), hits_features(signal, 4385.0))
    assert_array_equal(
        model_features("guepie_chain", front_end(), views), guepie_features(signal, 4385.0)
    )
    eeg, _ = waves(rng, 4)
    assert_array_equal(
        model_features("gradient_boosting", EEG, eeg),
        handcrafted_features(EEG.signal_of(eeg["waveform"]), 173.61),
    )


def test_image_alone_is_read_as_pixels():
    assert model_features("tree", None, {"spectrogram": np.ones((3, 1, 4, 5))}).shape == (3, 20)


@pytest.mark.parametrize("model", list(CLASSICAL))
def test_every_model_tells_one_direction_from_both(model, rng):
    views, y = bursts(rng)
    fresh, truth = bursts(rng)
    classifier = FeatureClassifier(model, front_end()).fit(views, y)
    assert np.mean(classifier.predict(fresh) == truth) >= 0.9
    assert_allclose(classifier.predict_proba(fresh).sum(axis=1), 1)


@pytest.mark.parametrize("model", [name for name, each in CLASSICAL.items() if each.other])
def test_every_model_but_the_chain_reads_eeg_too(model, rng):
    views, y = waves(rng)
    assert FeatureClassifier(model, EEG).fit(views, y).score(*waves(rng)) > 0.9


@pytest.mark.parametrize("model", list(CLASSICAL))
def test_same_seed_and_rows_give_the_same_model(model, rng):
    views, y = bursts(rng)
    once, again = (FeatureClassifier(model, front_end(), 3).fit(views, y) for _ in range(2))
    assert_array_equal(once.predict_proba(views), again.predict_proba(views))


def test_unlabelled_and_validation_rows_are_not_learned_from(rng):
    """Wrong labels in the validation part change its score alone."""
    views, y = bursts(rng)
    held = np.arange(0, 40, 4)
    wrong, unlabelled = y.copy(), y.copy()
    wrong[held], unlabelled[held] = 1 - y[held], -1
    right = FeatureClassifier("svm", front_end()).fit(views, y, validation=held)
    other = FeatureClassifier("svm", front_end()).fit(views, wrong, validation=held)
    blind = FeatureClassifier("svm", front_end()).fit(views, unlabelled)
    assert right.history_[0]["validation_mcc"] == -other.history_[0]["validation_mcc"] > 0.5
    for each in (other, blind):
        assert_array_equal(right.predict_proba(views), each.predict_proba(views))
    assert blind.history_ == []


def test_classifier_can_be_cloned():
    twin = clone(FeatureClassifier("forest", EEG, 5))
    assert (twin.model, twin.random_state, twin.front_end) == ("forest", 5, EEG)


def test_impossible_requests_are_refused(rng):
    views, y = waves(rng)
    with pytest.raises(SettingsError, match="no front_end; expected one"):
        FeatureClassifier("svm").fit(views, y)
    with pytest.raises(SettingsError, match="guepie_chain: 1 channel.*expected I and Q"):
        FeatureClassifier("guepie_chain", EEG).fit(views, y)
    with pytest.raises(SettingsError, match="classical model 'svn': unknown"):
        FeatureClassifier("svn", EEG).fit(views, y)
    with pytest.raises(DataError, match="labels: 1 class in the training part"):
        FeatureClassifier("tree", EEG).fit(views, np.zeros(60, int))
    few = np.where(np.arange(60) < 56, 0, 1)
    with pytest.raises(DataError, match="labels: 4 rows of class 1.*at least 5 for 'svm'"):
        FeatureClassifier("svm", EEG).fit(views, few)
