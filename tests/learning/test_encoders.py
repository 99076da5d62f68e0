"""What every encoder of the registry keeps, and the counts that the documentation gives."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pydantic import ValidationError
from torch import nn
from torch.testing import assert_close

from emboscope.compression.cost import count_macs
from emboscope.compression.finetune import inner_layers
from emboscope.errors import DataError, SettingsError
from emboscope.export.onnx import export_onnx
from emboscope.learning.architecture import (
    LstmSettings,
    MlpSettings,
    NetworkSettings,
    TransformerSettings,
    VitSettings,
)
from emboscope.learning.encoders import ENCODERS
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import build_network
from onnx_files import runtime_probabilities

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
SHAPES = {
    "hits": {"waveform": (2, 1400), "spectrogram": (1, 64, 48), "measures": (30,)},
    "esr": {"waveform": (1, 178), "spectrogram": (1, 32, 37), "measures": (12,)},
    "ptb": {"waveform": (1, 187), "spectrogram": (1, 32, 39), "measures": (12,)},
}
N_CLASSES = {"hits": 3, "esr": 2, "ptb": 2}
NARROW = NetworkSettings(
    dropout=0,
    n_filters=8,
    compact_width=8,
    resnet_width=8,
    transformer=TransformerSettings(width=16, n_layers=1, dropout=0),
    vit=VitSettings(width=16, n_layers=1, hidden=32, dropout=0),
    lstm=LstmSettings(width=8, hidden=16),
    mlp=MlpSettings(width=16, dropout=0),
)


def network_of(name, data, settings=None):
    """Encoder and head, and the shape that they read."""
    torch.manual_seed(0)
    shape = SHAPES[data][ENCODERS[name].view]
    encoder = ENCODERS[name](shape, settings)
    return nn.Sequential(encoder, encoder.head(N_CLASSES[data])), shape


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("data", list(SHAPES))
@pytest.mark.parametrize("name", list(ENCODERS))
def test_features_are_as_many_as_said_and_no_row_sees_its_neighbours(name, data):
    network, shape = network_of(name, data)
    encoder = network.eval()[0]
    views = torch.randn(3, *shape)
    with torch.no_grad():
        together = encoder(views)
        alone = torch.cat([encoder(view[None]) for view in views])
    assert together.shape == (3, encoder.n_features)
    assert network[1](together).shape == (3, N_CLASSES[data])
    assert_close(together, alone, atol=1e-4, rtol=1e-4)  # float32, other order of sums


@pytest.mark.parametrize("name", list(ENCODERS))
def test_a_step_reaches_every_parameter(name):
    network, shape = network_of(name, "esr")
    loss = nn.functional.cross_entropy(network(torch.randn(6, *shape)), torch.arange(6) % 2)
    loss.backward()
    assert loss.isfinite()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize("name", list(ENCODERS))
def test_eight_samples_are_learned_by_heart(name):
    network, shape = network_of(name, "esr", NARROW)
    views, y = torch.randn(8, *shape), torch.arange(8) % 2
    optimizer = torch.optim.AdamW(network.parameters(), lr=network[0].learning_rate)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(views), y).backward()
        optimizer.step()
    with torch.no_grad():
        assert torch.equal(network.eval()(views).argmax(1), y)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ENCODERS))
def test_onnx_runtime_gives_the_same_probabilities(name, tmp_path):
    shapes = {ENCODERS[name].view: SHAPES["esr"][ENCODERS[name].view]}
    classifier = SignalClassifier(name, network=NARROW)
    classifier.classes_, classifier.shapes_ = np.arange(2), shapes
    classifier.network_ = build_network(name, shapes, 2, NARROW)
    with torch.no_grad():  # batch statistics other than the initial ones
        classifier.network_({view: 1 + torch.randn(32, *shape) for view, shape in shapes.items()})
    classifier.network_.eval()
    export_onnx(classifier, tmp_path)
    views = {
        view: np.random.default_rng(0).normal(size=(5, *shape)) for view, shape in shapes.items()
    }
    found = runtime_probabilities(tmp_path, views)
    np.testing.assert_allclose(found, classifier.predict_proba(views), atol=1e-5)


@pytest.mark.parametrize("name", list(ENCODERS))
def test_views_that_are_too_small_or_of_another_kind_are_refused(name):
    small, other = ((1, 3), (1, 40, 40)) if ENCODERS[name].view == "waveform" else (
        (1, 40, 3), (1, 40))  # fmt: skip
    for shape in (small, other):
        text = rf"{ENCODERS[name].view}: a view of shape {re.escape(str(shape))}; expected \(n_"
        with pytest.raises(DataError, match=text):
            ENCODERS[name](shape)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("resnet", (1, 16)),
        ("resnet2d", (1, 8, 8)),
        ("lstm", (1, 16)),
        ("vit", (1, 8, 8)),
        ("vit", (2, 9, 23)),
    ],
)
def test_the_smallest_view_passes_and_whole_patches_are_not_needed(name, shape):
    encoder = ENCODERS[name](shape, NARROW).eval()
    assert encoder(torch.randn(2, *shape)).shape == (2, encoder.n_features)


def test_a_padded_image_is_one_with_zeros_below_and_on_the_right():
    torch.manual_seed(0)
    padded, whole = (ENCODERS["vit"](shape, NARROW).eval() for shape in ((1, 9, 13), (1, 16, 16)))
    whole.load_state_dict(padded.state_dict())
    image = torch.randn(1, 1, 9, 13)
    with torch.no_grad():
        assert_close(padded(image), whole(nn.functional.pad(image, (0, 3, 0, 7))))


@pytest.mark.parametrize(("n_times", "n_steps"), [(1400, 88), (178, 89), (187, 94), (16, 8)])
def test_the_lstm_reads_at_most_128_steps(n_times, n_steps):
    encoder = ENCODERS["lstm"]((1, n_times), NARROW).eval()
    assert encoder.stem(torch.zeros(1, 1, n_times)).shape[2] == n_steps


def test_what_is_compressed_of_the_new_encoders():
    chosen = {
        (name, data): inner_layers(network_of(name, data)[0])
        for name in ("resnet", "resnet2d", "lstm", "vit")
        for data in ("esr", "hits")
    }
    assert chosen["lstm", "esr"] == []  # one convolution, which is the first
    assert chosen["lstm", "hits"] == [f"0.stem.{block}.0" for block in (1, 2, 3)]
    assert chosen["vit", "esr"] == [f"0.layers.{at}.linear{n}" for at in range(3) for n in (1, 2)]
    assert [len(chosen[name, "esr"]) for name in ("resnet", "resnet2d")] == [3 * 4 - 1, 3 * 2 + 2]


def test_the_vision_transformer_stays_small():
    for shape in ((1, 64, 48), (1, 32, 37), (3, 224, 96)):
        assert count(ENCODERS["vit"](shape)) <= 150_000


def test_a_width_that_heads_do_not_divide_is_refused():
    text = "n_heads 4; expected a divisor of width, 30. Change either"
    with pytest.raises(SettingsError, match=text):
        VitSettings.parse({"width": 30})
    with pytest.raises(ValidationError, match=text):
        TransformerSettings(width=30)


@pytest.mark.parametrize(("channels", "d", "hidden", "layers", "p", "n_classes"),
                         [(1, 64, 8, 4, 4, 2), (2, 48, 20, 3, 7, 5)])  # fmt: skip
def test_parameters_of_the_transformer_have_their_closed_form(
    channels, d, hidden, layers, p, n_classes
):
    sizes = TransformerSettings(width=d, hidden=hidden, n_layers=layers, projection=p)
    encoder = ENCODERS["cnn1d_transformer"]((channels, 200), NetworkSettings(transformer=sizes))
    layer = 4 * d**2 + 4 * d + 2 * d * hidden + hidden + d + 4 * d
    stem = (3 * channels + 1) * 128 + 385 * d + (3 * d + 1) * d + d
    assert count(encoder) == stem + layers * layer
    assert count(encoder.head(n_classes)) == 2 * d + d * p + p + 2 * p + p * n_classes + n_classes


@pytest.mark.parametrize(
    ("init", "of_noise", "of_class"), [("default", 0.12, 8.0), ("he", 4.4, 0.8)]
)
def test_what_is_left_of_noise_where_the_transformer_adds_its_positions(init, of_noise, of_class):
    """Their standard deviation is 0.7; the mean of eight starts, as the documentation gives it."""
    found = []
    for seed in range(8):
        torch.manual_seed(seed)
        settings = NetworkSettings(transformer=TransformerSettings(init=init))
        encoder = ENCODERS["cnn1d_transformer"]((1, 178), settings)
        hidden = encoder.stem(torch.randn(64, 1, 178))
        for _ in range(2):
            hidden = encoder.shared(hidden)
        found.append([hidden.std(dim=0).mean().item(), encoder.class_token.std().item()])
    assert_allclose(8 * np.mean(found, axis=0), [of_noise, of_class], rtol=0.1)


@pytest.mark.parametrize(("shape", "n_filters"), [((1, 32, 37), 64), ((3, 48, 20), 10)])
def test_parameters_of_the_2d_cnn_have_their_closed_form(shape, n_filters):
    encoder = ENCODERS["cnn2d"](shape, NetworkSettings(n_filters=n_filters))
    widths = [shape[0], *(n_filters * 2**block for block in range(4))]
    blocks = ((9 * widths[at] + 1) * widths[at + 1] + 2 * widths[at + 1] for at in range(4))
    assert count(encoder) == sum(blocks)
    assert count(encoder.head(5)) == 5 * (encoder.n_features + 1)


@pytest.mark.parametrize("name", list(ENCODERS))
def test_the_documentation_gives_parameters_and_multiplications(name):
    figures = []
    for data in ("esr", "hits"):
        network, shape = network_of(name, data)
        macs = sum(count_macs(network, torch.zeros(1, *shape)).values())
        figures += [f"{count(network):,}", f"{macs / 1e6:.2f} M"]
    assert f"| `{name}` | {ENCODERS[name].view} | {' | '.join(figures)} |" in PAGE
