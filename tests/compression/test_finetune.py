import numpy as np
import pytest
import torch
from torch import nn

from emboscope.compression.cost import cost, ternary_weights
from emboscope.compression.finetune import (
    LAYER_RULES,
    CompressSettings,
    FineTuningSettings,
    TeacherSettings,
    compress,
    inner_layers,
)
from emboscope.compression.mixed_precision import MixedSettings
from emboscope.compression.normalization import STATISTICS
from emboscope.compression.quantizers import QuantizerSettings, quantize, weight_of
from emboscope.errors import DataError, SettingsError
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import build_network
from emboscope.learning.objective import Teacher
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


def test_a_teacher_takes_the_place_of_its_share_of_the_labels(fitted):
    classifier, views, y = fitted
    noisy = np.where(np.arange(len(y)) % 2, y, 1 - y)  # labels that say nothing
    settings = QUICK.model_copy(update={"teacher": TeacherSettings(weight=1.0, temperature=2.0)})
    taught = compress(classifier, views=views, y=noisy, settings=settings)
    assert (taught.predict(views) == y).mean() > 0.95
    assert {"loss_labels", "loss_teacher"} <= set(taught.history_[0])
    assert taught.history_[0]["loss_labels"] == 0
    untaught = compress(classifier, views=views, y=noisy, settings=QUICK)
    assert (untaught.predict(views) == y).mean() < 0.9


def test_another_model_with_other_views_teaches(fitted, tmp_path):
    hybrid, views, y = fitted
    hybrid.save(tmp_path)
    training = TrainSettings(epochs=6, batch=32, mixup=0)
    alone = SignalClassifier("cnn2d_compact", network=NARROW, training=training).fit(views, y)
    noisy = np.where(np.arange(len(y)) % 2, y, 1 - y)  # labels that say nothing
    lesson = TeacherSettings(weight=1.0, temperature=2.0, model=tmp_path)
    longer = QUICK.training.model_copy(update={"epochs": 8})
    settings = QUICK.model_copy(update={"teacher": lesson, "training": longer})
    small = compress(alone, views=views, y=noisy, settings=settings)
    assert (small.predict(views) == y).mean() > 0.95
    assert small.history_[0]["loss_teacher"] > 0


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("classes", r"classes \[0, 5\]; expected \[0, 1\]"),
        ("view", "reads another view 'spectrogram' than the model has"),
        ("shape", "reads another view 'waveform' than the model has"),
    ],
)
def test_a_teacher_of_other_classes_or_views_is_refused(fitted, tmp_path, wrong, text):
    _, views, y = fitted
    training = TrainSettings(epochs=1, batch=32)
    waveform = {"waveform": views["waveform"]}
    alone = SignalClassifier("cnn1d_compact", network=NARROW, training=training).fit(waveform, y)
    given, kind, labels = waveform, "cnn1d_compact", y
    if wrong == "classes":
        labels = 5 * y
    elif wrong == "view":
        given, kind = views, "cnn2d_compact"
    else:
        given = {"waveform": views["waveform"][:, :, :160]}
    other = SignalClassifier(kind, network=NARROW, training=training).fit(given, labels)
    other.save(tmp_path)
    lesson = QUICK.model_copy(update={"teacher": TeacherSettings(weight=0.5, model=tmp_path)})
    with pytest.raises(DataError, match=text):
        compress(alone, views=waveform, y=y, settings=lesson)


def test_each_member_learns_from_the_decision_of_a_teacher_of_other_members():
    network = build_network("hybrid_late", SHAPES, 2, NARROW, 0).eval()
    other = build_network("cnn2d_compact", SHAPES, 2, NARROW, 1).eval()
    views = {"spectrogram": torch.randn(6, 1, 32, 37), "waveform": torch.randn(6, 1, 178)}
    logits = network.outputs(views).logits
    single = Teacher(other, 3.0, 0.25, by_member=False)
    parts = [single.distance(views, (each,)).item() for each in logits]
    assert single.distance(views, logits).item() == pytest.approx(sum(parts), rel=1e-5)
    late = Teacher(network, 2.0, 1.0, by_member=False)
    given = other.outputs(views).logits
    p = (network(views) / 2).softmax(1)
    expected = 4 * (p * (p / (given[0] / 2).softmax(1)).log()).sum(1).mean()
    assert late.distance(views, given).item() == pytest.approx(expected.item(), rel=1e-4)
    turned = NARROW.model_copy(update={"members": ("cnn2d_compact", "cnn1d_compact")})
    two = build_network("hybrid_late", SHAPES, 2, turned, 3).eval()
    taught = Teacher(two, 2.0, 1.0, by_member=False).distance(views, logits)
    p = (two(views) / 2).softmax(1)
    parts = [4 * (p * (p / (own / 2).softmax(1)).log()).sum(1).mean() for own in logits]
    assert taught.item() == pytest.approx(sum(parts).item(), rel=1e-3)


def test_a_teacher_without_a_say_is_refused(fitted, tmp_path):
    classifier, views, y = fitted
    mute = QUICK.model_copy(update={"teacher": TeacherSettings(model=tmp_path)})
    with pytest.raises(SettingsError, match="teacher.weight 0; expected a weight above 0"):
        compress(classifier, views=views, y=y, settings=mute)


def test_the_distance_from_a_teacher_is_that_of_the_softened_probabilities():
    network, other = (build_network("cnn2d_compact", SHAPES, 2, NARROW, seed) for seed in (0, 1))
    views = {"spectrogram": torch.randn(6, 1, 32, 37)}
    network.eval()
    logits = network.outputs(views).logits
    found = Teacher(other, 3.0, 0.25).distance(views, logits)
    p, q = ((each.eval()(views) / 3).softmax(1) for each in (other, network))
    expected = 0.25 * 9 * (p * (p / q).log()).sum(1).mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)
    assert found.requires_grad
    assert Teacher(network, 3.0, 1.0).distance(views, logits).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("statistics", sorted(STATISTICS))
def test_without_an_epoch_the_weights_are_rounded_alone(fitted, statistics):
    classifier, views, y = fitted
    settings = CompressSettings(
        method="int8", normalization=statistics, training=FineTuningSettings(epochs=0)
    )
    small = compress(classifier, views=views, y=y, settings=settings)
    assert small.history_ == []
    assert (small.predict(views) == y).mean() > (0.45 if statistics == "simulated" else 0.95)
    key = "members.0.branch.encoder.stem.0.weight"  # the first layer, not quantized
    states = [each.network_.state_dict() for each in (classifier, small)]
    assert torch.equal(states[0][key], states[1][key])
    assert len(cost(small.network_).layers) == len(inner_layers(small.network_))
    moved = [
        name
        for name, value in states[1].items()
        if name.endswith("running_mean") and not torch.equal(value, states[0][name])
    ]
    n_norms = sum(name.endswith("running_mean") for name in states[0])
    assert len(moved) == (0 if statistics == "kept" else n_norms)


def test_gradual_pruning_reaches_its_share_of_zeros(fitted):
    classifier, views, y = fitted
    quantizer = QuantizerSettings(gradual=True, sparsity=0.7)
    settings = QUICK.model_copy(update={"method": "magnitude", "quantizer": quantizer})
    small = compress(classifier, views=views, y=y, settings=settings)
    assert cost(small.network_).sparsity == pytest.approx(0.7, abs=0.01)
    alone = settings.model_copy(update={"training": FineTuningSettings(epochs=0)})
    with pytest.raises(SettingsError, match="quantizer.gradual: without an epoch"):
        compress(classifier, views=views, y=y, settings=alone)
