"""Published counts, losses by hand, fusion, and a classifier that learns."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from torch.testing import assert_close

import emboscope.learning
from emboscope.errors import DataError, SettingsError
from emboscope.learning.architecture import PTB, NetworkSettings
from emboscope.learning.encoders import ENCODERS
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.losses import LOSSES, balanced_weights, gce
from emboscope.learning.models import MODELS, build_network
from emboscope.learning.settings import TrainSettings

ESR = {"waveform": (1, 178), "spectrogram": (1, 32, 37), "measures": (12,)}
HITS = {"waveform": (2, 1220), "spectrogram": (3, 224, 96)}
BEATS = {"waveform": (1, 187), "spectrogram": (1, 32, 39)}


def count(network):
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


@pytest.mark.parametrize(
    ("model", "shapes", "n_classes", "settings", "published"),
    [
        ("cnn2d", HITS, 3, NetworkSettings(), 1_681_923),
        ("cnn2d", ESR, 2, NetworkSettings(), 1_555_842),
        ("cnn2d", BEATS, 2, NetworkSettings(), 1_555_842),
        ("cnn1d_transformer", ESR, 2, NetworkSettings(), 109_942),
        ("cnn1d_transformer", BEATS, 2, NetworkSettings(transformer=PTB), 765_876),
        ("cnn1d_transformer", HITS, 3, NetworkSettings(transformer=PTB), 766_271),
    ],
)
def test_published_parameter_counts(model, shapes, n_classes, settings, published):
    assert count(build_network(model, shapes, n_classes, settings)) == published


@pytest.mark.parametrize(
    "shapes", [ESR, BEATS, {"waveform": (2, 1400), "spectrogram": (1, 64, 48)}]
)
def test_compact_encoders_are_compact(shapes):
    assert count(build_network("cnn2d_compact", shapes, 3)) <= 100_000
    assert count(build_network("cnn1d_compact", shapes, 3)) <= 150_000


@pytest.mark.parametrize("model", list(MODELS))
def test_every_model_gives_one_row_a_sample_and_ignores_its_neighbours(model):
    network = build_network(model, ESR, 2, NetworkSettings(n_filters=8)).eval()
    views = {name: torch.randn(5, *shape) for name, shape in ESR.items()}
    with torch.no_grad():
        together = network(views)
        alone = torch.cat([network({k: v[n : n + 1] for k, v in views.items()}) for n in range(5)])
    assert together.shape == (5, 2)
    assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_every_encoder_reads_a_view_that_is_registered():
    assert {kind.view for kind in ENCODERS.values()} == {"waveform", "spectrogram", "measures"}


def test_unknown_model_is_refused():
    with pytest.raises(SettingsError, match="model 'cnn2': unknown; expected .*cnn2d"):
        build_network("cnn2", ESR, 2)


def test_gce_of_the_worked_example():
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1]]))
    assert gce(logits, torch.tensor([0])).item() == pytest.approx(0.315634, abs=1e-6)


@pytest.mark.parametrize("name", list(LOSSES))
def test_losses_are_finite_with_finite_gradients_at_certainty(name):
    logits = torch.tensor([[2000.0, -2000.0], [2000.0, -2000.0]], requires_grad=True)
    LOSSES[name](logits, torch.tensor([0, 1]), None).backward()
    assert logits.grad.isfinite().all()
    assert gce(logits.detach()[1:], torch.tensor([1])).item() == pytest.approx(1 / 0.7)


def test_weighted_cross_entropy_is_the_weighted_mean():
    logits, y = torch.zeros(3, 2), torch.tensor([0, 1, 1])
    weights = balanced_weights(y, 2)
    assert_close(weights, torch.tensor([1.5, 0.75]))
    assert LOSSES["ce"](logits, y, weights).item() == pytest.approx(np.log(2))


def test_late_fusion_trusts_the_member_that_knows():
    fusion = build_network("hybrid_late", ESR, 2)
    y = torch.arange(200) % 2
    right = 4.0 * torch.nn.functional.one_hot(y, 2).float()
    noise = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    fusion.fit_weights(torch.stack([right, noise], dim=1), y)
    assert_close(fusion.weights.sum(dim=0), torch.ones(2))
    assert (fusion.weights[0] > 0.8).all()


def toy(rng, n=96):
    """Two classes that differ in frequency."""
    y = np.arange(n) % 2
    times = np.arange(178) / 173.61
    waves = np.sin(2 * np.pi * (5 + 15 * y[:, None]) * times + rng.uniform(0, 6, (n, 1)))
    waveform = (waves + 0.3 * rng.standard_normal((n, 178)))[:, None].astype(np.float32)
    return {"waveform": waveform}, y


SHORT = TrainSettings(epochs=6, batch=16)


def test_classifier_learns_and_survives_the_disk(rng, tmp_path):
    views, y = toy(rng)
    groups = np.arange(96) // 4
    classifier = SignalClassifier("cnn1d_compact", training=SHORT, device="cpu")
    classifier.fit(views, y, groups)
    assert np.mean(classifier.predict(views) == y) > 0.95
    probabilities = classifier.predict_proba(views)
    assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    classifier.save(tmp_path)
    assert_array_equal(SignalClassifier.load(tmp_path).predict_proba(views), probabilities)


def test_same_seed_same_weights_and_clone_keeps_parameters(rng):
    views, y = toy(rng, 48)
    first = SignalClassifier("cnn1d_compact", training=TrainSettings(epochs=1, batch=16),
                             device="cpu")  # fmt: skip
    again = clone(first)
    assert again.get_params() == first.get_params()
    one, two = first.fit(views, y), again.fit(views, y)
    for name, value in one.network_.state_dict().items():
        assert torch.equal(value, two.network_.state_dict()[name])


def test_unlabelled_rows_are_left_out(rng):
    views, y = toy(rng, 48)
    y[10:40] = -1
    classifier = SignalClassifier("cnn1d_compact", training=TrainSettings(epochs=1, batch=8),
                                  device="cpu").fit(views, y)  # fmt: skip
    assert classifier.classes_.tolist() == [0, 1]


def test_one_class_is_refused(rng):
    views, _ = toy(rng, 20)
    with pytest.raises(DataError, match="1 class in the training part; expected at least 2"):
        SignalClassifier("cnn1d_compact").fit(views, np.zeros(20, int))


def test_values_that_are_not_finite_are_refused(rng):
    views, y = toy(rng, 20)
    views["waveform"][3, 0, 5] = np.nan
    with pytest.raises(DataError, match="view 'waveform': not finite"):
        SignalClassifier("cnn1d_compact").fit(views, y)


def test_no_pickle_is_read_or_written():
    source = Path(emboscope.learning.__file__).parents[1]
    text = "".join(path.read_text() for path in source.rglob("*.py"))
    assert not re.search(r"(?<!safetensors\.)torch\.(load|save)\(|import pickle|fabric\.save", text)
