"""Where a network looks, how sure it is, and what it weighs."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from emboscope.errors import SettingsError
from emboscope.learning.architecture import NetworkSettings, TransformerSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.explanation import nearest_known, saliency
from emboscope.learning.settings import TrainSettings
from emboscope.learning.uncertainty import (
    abstain,
    by_dropout,
    by_ensemble,
    threshold_for,
    uncertainty_of,
)

COMPACT = NetworkSettings(compact_width=8)


def planted(rng, n=128):
    """Noise, with a burst in samples 40 to 60 of class 1, beside an image that knows nothing."""
    y = np.arange(n) % 2
    waveform = rng.standard_normal((n, 1, 128)).astype(np.float32)
    waveform[:, 0, 40:60] += 3 * y[:, None] * np.sin(np.arange(20))
    return {
        "waveform": waveform,
        "spectrogram": rng.standard_normal((n, 1, 16, 16)).astype(np.float32),
    }, y


def fitted(rng, model, seed=0):
    views, y = planted(rng)
    training = TrainSettings(epochs=8, batch=16)
    classifier = SignalClassifier(model, None, COMPACT, training, seed, "cpu")
    return classifier.fit(views, y), views, y


def test_saliency_of_features_by_hand_does_not_depend_on_their_units(rng):
    """The second feature tells the class, in a unit in which it is a millionth of the first."""
    y = np.arange(120) % 2
    measures = rng.standard_normal((120, 2)) * [1e3, 1e-3]
    measures[:, 1] += 3e-3 * y
    training = TrainSettings(epochs=10, batch=16, mixup=0.0)
    classifier = SignalClassifier("mlp", None, COMPACT, training, 0, "cpu")
    views = {"measures": measures.astype(np.float32)}
    classifier.fit(views, y, validation=np.arange(0))
    found = saliency(classifier, {"measures": views["measures"][:60]})["measures"].mean(axis=0)
    assert found[1] > 2 * found[0]


def test_saliency_lies_on_the_planted_burst(rng):
    classifier, views, y = fitted(rng, "cnn1d_compact")
    found = saliency(classifier, {name: view[y == 1][:20] for name, view in views.items()})
    mean = found["waveform"].mean(axis=(0, 1))
    assert mean[36:64].mean() > 2 * np.delete(mean, np.s_[36:64]).mean()
    assert (found["waveform"] >= 0).all()
    again = saliency(classifier, {name: view[y == 1][:20] for name, view in views.items()})
    assert_array_equal(found["waveform"], again["waveform"])


def test_late_weights_prefer_the_view_that_knows_and_sum_to_one(rng):
    classifier, views, _ = fitted(rng, "hybrid_late")
    weights = classifier.fusion_weights(views)
    assert weights.shape == (128, 2, 2)
    assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert (weights[:, 0] > weights[:, 1]).all()
    alone = classifier.fusion_weights({"spectrogram": views["spectrogram"]})
    assert_allclose(alone[:, 1], 1)


def test_gated_weights_are_those_of_each_row_and_a_sum_has_none(rng):
    classifier, views, _ = fitted(rng, "hybrid_gated")
    weights = classifier.fusion_weights(views)
    assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert weights[:, 0, 0].std() > 0
    assert_array_equal(weights[:, :, 0], weights[:, :, 1])
    assert fitted(rng, "hybrid_sum")[0].fusion_weights(views) is None


def test_nearest_known_are_by_direction():
    known = np.array([[1.0, 0], [0, 1], [-1, 0], [0, 0]])
    rows = nearest_known(known, np.array([[10.0, 1.0], [0.0, -5.0]]), k=2)
    assert rows.tolist() == [[0, 1], [0, 2]]
    assert nearest_known(known, np.ones((1, 2)), k=9).shape == (1, 4)


def test_uncertainty_splits_overlap_from_disagreement():
    sure = np.array([[[1.0, 0]], [[1, 0]]])
    overlap = np.array([[[0.5, 0.5]], [[0.5, 0.5]]])
    differ = np.array([[[1.0, 0]], [[0, 1]]])
    assert uncertainty_of(sure).total == pytest.approx(0)
    assert uncertainty_of(overlap).total == pytest.approx(np.log(2))
    assert uncertainty_of(overlap).disagreement == pytest.approx(0)
    assert uncertainty_of(differ).disagreement == pytest.approx(np.log(2))


def test_dropout_and_ensembles_disagree_more_far_from_what_was_learned(rng):
    first, views, _ = fitted(rng, "cnn1d_compact")
    second = fitted(rng, "cnn1d_compact", seed=1)[0]
    few = {name: view[:40] for name, view in views.items()}
    passes = by_dropout(first, few)
    assert_allclose(passes.mean.sum(axis=1), 1, atol=1e-5)
    assert passes.disagreement.max() > 0
    assert not first.network_.training
    assert_array_equal(by_dropout(first, few).mean, passes.mean)
    together = by_ensemble([first, second], few)
    assert_allclose(
        together.mean, (first.predict_proba(few) + second.predict_proba(few)) / 2, atol=1e-6
    )


def test_dropout_within_the_layers_of_a_transformer_is_left_on(rng):
    views, y = planted(rng, 32)
    settings = NetworkSettings(
        transformer=TransformerSettings(width=16, hidden=8, n_layers=1, dropout=0.5)
    )
    classifier = SignalClassifier(
        "cnn1d_transformer", None, settings, TrainSettings(epochs=1, batch=8), device="cpu"
    ).fit(views, y)
    classifier.network_.branch.encoder.dropout.p = 0.0  # that of the tokens, before the layers
    assert by_dropout(classifier, views).disagreement.max() > 1e-4
    assert torch.backends.mha.get_fastpath_enabled()


def test_networks_of_other_classes_are_no_ensemble(rng):
    views, y = planted(rng, 48)
    training = TrainSettings(epochs=1, batch=8)
    two = SignalClassifier("cnn1d_compact", None, COMPACT, training, device="cpu").fit(views, y)
    other = SignalClassifier("cnn1d_compact", None, COMPACT, training, device="cpu")
    with pytest.raises(SettingsError, match="networks that know different classes"):
        by_ensemble([two, other.fit(views, y + 1)], views)


def test_one_network_is_no_ensemble_and_no_dropout_is_refused(rng):
    views, y = planted(rng, 32)
    bare = NetworkSettings(compact_width=4, dropout=0.0)
    classifier = SignalClassifier("cnn1d_compact", None, bare, TrainSettings(epochs=1, batch=8))
    classifier.fit(views, y)
    with pytest.raises(SettingsError, match="has no dropout; expected some"):
        by_dropout(classifier, views)
    with pytest.raises(SettingsError, match="1 network; expected at least 2"):
        by_ensemble([classifier], views)


def test_what_is_answered_is_right_as_often_as_was_asked():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.55, 0.45]])
    y = np.array([0, 0, 1, 0, 1])
    assert threshold_for(p, y, 1.0) == pytest.approx(0.8)
    assert threshold_for(p, y, 0.75) == pytest.approx(0.6)
    assert threshold_for(p, 1 - y, 1.0) > 1
    answered = abstain(p, np.array([3, 7]), threshold_for(p, y, 1.0))
    assert answered.tolist() == [3, 3, -1, -1, -1]


def test_equal_probabilities_are_answered_together_or_not_at_all():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2]])
    assert threshold_for(p, np.array([0, 0, 1]), 1.0) == pytest.approx(0.9)
