import numpy as np
import pytest
import torch
from torch import nn

from emboscope.compression.cost import cost, ternary_weights
from emboscope.compression.finetune import (
    LAYER_RULES,
    CompressSettings,
    FineTuningSettings,
    compress,
    inner_layers,
)
from emboscope.compression.mixed_precision import MixedSettings
from emboscope.compression.quantizers import QuantizerSettings, quantize, weight_of
from emboscope.errors import DataError, SettingsError
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import build_network
from emboscope.learning.settings import TrainSettings

SHAPES = {"waveform": (1, 178), "spectrogram": (1, 32, 37)}
NARROW = NetworkSettings(compact_width=8)
QUICK = CompressSettings(training=FineTuningSettings(epochs=3, batch=32, learning_rate=3e-3))


def planted(rng, n=160):
    """Two classes: a slow or a fast sine, with noise, as waveform and as a crude image."""
    y = np.arange(n) % 2
    time = np.arange(178) / 178
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    signal = np.sin(2 * np.pi * np.where(y, 20, 5)[:, None] * time + phase)
    signal += 0.3 * rng.standard_normal(signal.shape)
    image = np.abs(np.fft.fft(signal, 64))[:, :32, None] + 0.1 * rng.random((n, 32, 37))
    return {"waveform": signal[:, None], "spectrogram": image[:, None]}, y


@pytest.fixture(scope="module")
def fitted():
    views, y = planted(np.random.default_rng(5))
    training = TrainSettings(epochs=6, batch=32, mixup=0)
    return SignalClassifier(network=NARROW, training=training).fit(views, y), views, y


def test_of_each_encoder_all_but_the_first_layer_are_chosen():
    names = inner_layers(build_network("hybrid_late", SHAPES, 2, NARROW))
    assert names[:3] == [
        "members.0.branch.encoder.blocks.0.main.0",
        "members.0.branch.encoder.blocks.0.main.3",
        "members.0.branch.encoder.blocks.0.shortcut.1",
    ]
    assert names[-3:] == [f"members.1.branch.encoder.blocks.{block}.0" for block in (1, 2, 3)]
    assert not any("stem" in name or "head" in name for name in names)


def test_the_published_cnn_has_the_published_number_of_quantized_weights():
    network = build_network("cnn2d", SHAPES, 2)
    chosen = [network.get_submodule(name) for name in inner_layers(network)]
    assert sum(layer.weight.numel() for layer in chosen) == 1_548_288


def test_attention_and_head_of_the_transformer_stay_in_full_precision():
    network = build_network("cnn1d_transformer", SHAPES, 2)
    names = inner_layers(network)
    assert "branch.encoder.stem.2" in names
    assert "branch.encoder.layers.3.linear2" in names
    assert not any("attn" in name or "head" in name or "stem.0" in name for name in names)


def test_the_whole_of_a_network_is_what_has_weights():
    network = build_network("cnn1d_transformer", SHAPES, 2)
    names = LAYER_RULES["whole"](network)
    assert set(LAYER_RULES["all"](network)) < set(names)
    assert "branch.encoder.layers.0.self_attn" in names
    weights = [weight_of(network.get_submodule(name)) for name in names]
    assert sum(weight.numel() for weight in weights) == 107_144
    quantized = cost(quantize(network, names, "int8"))
    assert [layer.name for layer in quantized.layers] == names
    assert quantized.other_bits == 32 * (109_942 - 107_144)


def test_compressing_gives_ternary_weights_and_leaves_the_original_alone(fitted):
    classifier, views, y = fitted
    before = {name: value.clone() for name, value in classifier.network_.state_dict().items()}
    told = []
    small = compress(
        classifier, views=views, y=y, settings=QUICK, progress=lambda *now: told.append(now)
    )
    assert list(ternary_weights(small.network_)) == inner_layers(classifier.network_)
    assert set(small.network_.state_dict()) == set(before)
    for name, value in classifier.network_.state_dict().items():
        assert torch.equal(value, before[name])
    assert told[-1] == ("training", 3, 3)
    assert cost(small.network_).bits < 0.4 * cost(classifier.network_).bits
    assert (small.predict(views) == y).mean() > 0.95


def test_fine_tuning_moves_weights_other_than_the_quantized_ones_too(fitted):
    classifier, views, y = fitted
    small = compress(classifier, views=views, y=y, settings=QUICK)
    key = "members.0.branch.encoder.stem.0.weight"
    assert not torch.equal(small.network_.state_dict()[key], classifier.network_.state_dict()[key])


def test_the_same_seed_compresses_to_the_same_weights(fitted):
    classifier, views, y = fitted
    validation = np.arange(0, len(y), 5)
    first, second = (
        compress(classifier, views=views, y=y, validation=validation, settings=QUICK)
        for _ in range(2)
    )
    for name, value in first.network_.state_dict().items():
        assert torch.equal(value, second.network_.state_dict()[name])


def test_a_compressed_classifier_is_saved_and_loaded_as_any_other(fitted, tmp_path):
    classifier, views, y = fitted
    small = compress(classifier, views=views, y=y, settings=QUICK)
    small.save(tmp_path)
    loaded = SignalClassifier.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(views), small.predict_proba(views))
    assert cost(loaded.network_) == cost(small.network_)


def test_refuses_what_cannot_be_compressed(fitted):
    classifier, views, y = fitted
    with pytest.raises(SettingsError, match="quantizer 'tqt': unknown"):
        compress(classifier, "tqt", views=views, y=y)
    with pytest.raises(DataError, match="class 5 is new"):
        compress(classifier, views=views, y=np.where(y, 5, 0))
    bare = SignalClassifier()
    bare.network_, bare.model = nn.Linear(3, 2), "line"
    with pytest.raises(SettingsError, match="model 'line' has no layer to quantize"):
        compress(bare, views=views, y=y)


@pytest.mark.parametrize(
    ("method", "quantizer"),
    [
        ("pttq", QuantizerSettings(pressure=0.5)),
        ("attq", QuantizerSettings()),
        ("int8", QuantizerSettings()),
        ("magnitude", QuantizerSettings(sparsity=0.5)),
        ("pttq", QuantizerSettings(profile="released")),
    ],
)
def test_every_kind_of_method_is_fine_tuned(fitted, method, quantizer):
    classifier, views, y = fitted
    settings = QUICK.model_copy(update={"method": method, "quantizer": quantizer})
    small = compress(classifier, views=views, y=y, settings=settings)
    assert cost(small.network_).gain > 0.2
    assert (small.predict(views) == y).mean() > 0.9
    assert ("loss_density" in small.history_[0]) == (quantizer.pressure > 0)


def test_mixed_precision_keeps_its_budget_and_chooses_by_curvature(fitted):
    classifier, views, y = fitted
    mixed = MixedSettings(share=0.12, n_probes=8)
    settings = QUICK.model_copy(update={"method": "mixed", "mixed": mixed})
    small = compress(classifier, views=views, y=y, settings=settings)
    found = cost(small.network_)
    names = inner_layers(classifier.network_)
    n_weights = sum(classifier.network_.get_submodule(name).weight.numel() for name in names)
    assert sum(layer.bits for layer in found.layers) <= 0.12 * 32 * n_weights * 1.02
    assert len({layer.encoding for layer in found.layers}) > 1
    assert (small.predict(views) == y).mean() > 0.95
    loose = QUICK.model_copy(update={"method": "mixed", "mixed": MixedSettings(share=0.6)})
    some = cost(compress(classifier, views=views, y=y, settings=loose).network_).layers
    assert 0 < len(some) < len(names)  # the others stay in full precision
    tight = QUICK.model_copy(update={"method": "mixed", "mixed": MixedSettings(share=0.01)})
    with pytest.raises(SettingsError, match="expected at least"):
        compress(classifier, views=views, y=y, settings=tight)


def test_pressure_raises_the_thresholds(fitted):
    classifier, views, y = fitted
    sparsity = []
    for pressure in (0.0, 3.0):
        settings = CompressSettings(
            method="pttq",
            quantizer=QuantizerSettings(pressure=pressure),
            training=FineTuningSettings(epochs=8, batch=32, learning_rate=3e-3),
        )
        small = compress(classifier, views=views, y=y, settings=settings)
        sparsity.append(cost(small.network_).sparsity)
    assert sparsity[1] > sparsity[0] + 0.02


def test_rules_of_layers_choose_what_they_say():
    network = build_network("hybrid_late", SHAPES, 2, NARROW)
    inner, every = LAYER_RULES["inner"](network), LAYER_RULES["all"](network)
    assert set(inner) < set(every)
    assert {"members.0.head.linear", "members.0.branch.encoder.stem.0"} <= set(every) - set(inner)
    assert LAYER_RULES["published"](network) == inner
