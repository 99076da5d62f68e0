"""The small CNN: published counts, other image sizes, dropout, and the optimizer of the papers."""

import numpy as np
import pytest
import torch

from emboscope.compression.cost import ternary_weights
from emboscope.compression.finetune import CompressSettings, FineTuningSettings, compress
from emboscope.errors import DataError
from emboscope.export.onnx import export_onnx
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import build_network
from emboscope.learning.schedules import OPTIMIZERS, SCHEDULES
from emboscope.learning.settings import TrainSettings


def count(network):
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


@pytest.mark.parametrize(
    ("shape", "n_classes", "published"), [((1, 20, 20), 10, 9840), ((1, 28, 28), 11, 21_891)]
)
def test_published_parameter_counts(shape, n_classes, published):
    assert count(build_network("cnn2d_small", {"spectrogram": shape}, n_classes)) == published


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 8, 8), (1, 16, 20), (1, 64, 48), (3, 224, 96)])
def test_any_image_passes_and_none_needs_more_than_the_published_features(shape):
    network = build_network("cnn2d_small", {"spectrogram": shape}, 3).eval()
    assert network({"spectrogram": torch.randn(2, *shape)}).shape == (2, 3)
    assert network.branch.encoder.hidden.in_features <= 320


def test_image_that_is_too_small_is_refused():
    with pytest.raises(DataError, match=r"shape \(1, 3, 9\); expected .*sides of at least 4"):
        build_network("cnn2d_small", {"spectrogram": (1, 3, 9)}, 2)


def test_dropout_acts_while_training_only():
    network = build_network("cnn2d_small", {"spectrogram": (1, 20, 20)}, 10)
    view = {"spectrogram": torch.randn(4, 1, 20, 20)}
    assert not torch.equal(network(view), network(view))
    network.eval()
    assert torch.equal(network(view), network(view))


def test_it_is_compressed_and_exported_as_any_other(rng, tmp_path):
    y = np.arange(48) % 2
    views = {"spectrogram": rng.standard_normal((48, 1, 20, 20)).astype(np.float32)}
    settings = TrainSettings(epochs=1, batch=16)
    model = SignalClassifier("cnn2d_small", training=settings, device="cpu").fit(views, y)
    quick = CompressSettings(training=FineTuningSettings(epochs=1, batch=16))
    small = compress(model, views=views, y=y, settings=quick)
    assert set(ternary_weights(small.network_)) == {
        "branch.encoder.blocks.3",
        "branch.encoder.hidden",
    }
    assert export_onnx(small, tmp_path, views).target == "onnx"  # refused where they differ


@pytest.mark.parametrize("schedule", list(SCHEDULES))
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_every_optimizer_and_schedule_goes_on_where_it_was_stopped(
    optimizer, schedule, rng, tmp_path
):
    settings = TrainSettings(epochs=3, batch=16, optimizer=optimizer, schedule=schedule)
    y = np.arange(48) % 2
    views = {"spectrogram": rng.standard_normal((48, 1, 16, 16)).astype(np.float32)}

    def stop(_what, done, _total):
        if done == 2:
            raise KeyboardInterrupt

    def fit(**options):
        classifier = SignalClassifier("cnn2d_small", training=settings, device="cpu")
        return classifier.fit(views, y, **options)

    with pytest.raises(KeyboardInterrupt):
        fit(checkpoint=tmp_path, progress=stop)
    resumed, whole = fit(checkpoint=tmp_path), fit()
    for name, value in whole.network_.state_dict().items():
        assert torch.equal(value, resumed.network_.state_dict()[name])
    assert resumed.history_ == whole.history_
