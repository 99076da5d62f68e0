import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from emboscope.compression.quantizers import (
    QUANTIZERS,
    QuantizerSettings,
    quantize,
    quantized_layers,
    settle,
    weighted_layers,
)
from emboscope.compression.quantizers.ternary import TTQ, ternarize
from emboscope.errors import SettingsError

TERNARY = ("twn", "ttq", "attq", "pttq")


def network():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 6, 3),
        nn.Flatten(),
        nn.Linear(6 * 4 * 4, 12),
        nn.ReLU(),
        nn.Linear(12, 3),
    )


def test_the_worked_example_has_its_known_levels_and_gradients():
    weight = torch.tensor([-0.8, -0.3, 0.1, 0.5, 0.9], requires_grad=True)
    left, right = torch.tensor(3.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    delta = torch.tensor(0.25)
    ternary = ternarize(weight, -delta, delta, left, right)
    assert ternary.tolist() == [-3, -3, 0, 2, 2]
    ternary.backward(torch.tensor([0.2, -0.4, 0.6, -0.1, 0.3]))
    assert right.grad.item() == pytest.approx(0.2)
    assert left.grad.item() == pytest.approx(0.2)
    assert weight.grad.tolist() == pytest.approx([0.6, -1.2, 0.6, -0.2, 0.6])


def test_scale_gradients_equal_finite_differences(rng):
    weight = torch.from_numpy(rng.standard_normal(60))
    target, mix = torch.from_numpy(rng.standard_normal((2, 60)))
    quantizer = TTQ(weight).double()

    def loss(log_scales):
        quantizer.log_scales.data = log_scales
        return (mix * (quantizer(weight) - target) ** 2).sum()

    start = quantizer.log_scales.detach().clone()
    loss(start).backward()
    step = 1e-6 * torch.eye(2, dtype=torch.float64)
    slopes = [(loss(start + s) - loss(start - s)).item() / 2e-6 for s in step]
    assert quantizer.log_scales.grad.tolist() == pytest.approx(slopes, rel=1e-6)


def test_scales_start_at_the_mean_of_the_weights_they_stand_for():
    scales = TTQ(torch.tensor([-0.8, -0.4, 0.01, 0.5, 1.0])).log_scales.exp()
    assert scales.tolist() == pytest.approx([0.6, 0.75])


@pytest.mark.parametrize("sign", [1, -1])
def test_an_empty_side_starts_at_the_mean_absolute_weight(sign):
    scales = TTQ(sign * torch.tensor([0.2, 0.4])).log_scales.exp()
    assert scales.tolist() == pytest.approx([0.3, 0.3])


def test_all_weights_zero_stay_zero_and_finite():
    quantizer = TTQ(torch.zeros(5))
    assert torch.isfinite(quantizer.log_scales).all()
    assert quantizer(torch.zeros(5)).tolist() == [0] * 5


def test_the_gain_of_the_weights_does_not_move_the_masks(rng):
    weight = torch.from_numpy(rng.standard_normal(200))
    levels = TTQ(weight)(weight).sign()
    assert torch.equal(TTQ(8 * weight)(8 * weight).sign(), levels)
    single = weight.float()
    assert torch.equal(TTQ(single)(single).sign().double(), levels)


@pytest.mark.parametrize("name", sorted(QUANTIZERS))
def test_every_quantizer_shows_fewer_values_or_zeros_and_learns(name):
    net = quantize(network(), ["2", "4"], name)
    images = torch.randn(8, 1, 8, 8)
    optimizer = torch.optim.Adamax(net.parameters(), 1e-2)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    for _ in range(3):
        optimizer.zero_grad()
        net(images).square().mean().backward()
        optimizer.step()
    for layer in ("2", "4"):
        shown = net.get_submodule(layer).weight
        values = shown.unique()
        if name in TERNARY:
            assert len(values) == 3
            assert values[0] < 0 == values[1] < values[2]
        elif name in ("magnitude", "learned_pruning"):
            assert (shown == 0).float().mean() > 0.5
        else:
            rows = [row.unique() for row in shown.flatten(1)] if "int" in name else [values]
            assert (
                max(map(len, rows)) <= {"dorefa": 2, "int4": 15, "int8": 255, "codebook": 16}[name]
            )
        for key, value in net.state_dict().items():
            if key.startswith(f"{layer}.param") and value.is_floating_point():
                assert torch.equal(value, before[key]) == key.endswith(".scale"), key


@pytest.mark.parametrize("name", sorted(QUANTIZERS))
def test_train_and_evaluation_use_the_same_weights(name):
    net = quantize(network(), ["2"], name)
    shown = net.train()[2].weight.clone()
    assert torch.equal(net.eval()[2].weight, shown)


def test_normalized_latent_weights_show_the_same_levels(rng):
    weight = torch.from_numpy(rng.standard_normal((6, 40)))
    for name in ("ttq", "attq", "pttq"):
        layers = [nn.Linear(40, 6, bias=False).double() for _ in range(2)]
        for layer, normalize in zip(layers, (False, True), strict=True):
            layer.weight.data = weight.clone()
            quantize(nn.Sequential(layer), ["0"], name, QuantizerSettings(normalize=normalize))
        shown = [layer.weight.detach().numpy() for layer in layers]
        np.testing.assert_allclose(shown[1], shown[0], rtol=1e-12)
        latent = layers[1].parametrizations.weight.original
        assert latent.abs().max().item() == pytest.approx(1)


def test_the_released_normalization_trains_other_weights_than_it_evaluates():
    settings = QuantizerSettings(profile="released", normalize=True)
    net = quantize(network(), ["2"], "ttq", settings)
    with torch.no_grad():
        net[2].parametrizations.weight[0].scales.copy_(torch.tensor([0.7, 0.4]))
    trained, evaluated = net.train()[2].weight.unique(), net.eval()[2].weight.unique()
    assert trained.tolist() == pytest.approx([-1, 0, 0.4 / 0.7])
    assert evaluated.tolist() == pytest.approx([-0.7, 0, 0.4])


def test_projections_of_an_attention_are_quantized_and_settled_like_layers():
    torch.manual_seed(2)
    net = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True))
    names = list(weighted_layers(net))
    assert names == ["0.self_attn", "0.self_attn.out_proj", "0.linear1", "0.linear2"]
    before = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    quantize(net, names, "ttq")
    tokens = torch.randn(2, 5, 8)
    net(tokens).square().mean().backward()
    latent = net[0].self_attn.parametrizations.in_proj_weight
    assert latent.original.grad.abs().sum() > 0
    shown = net.eval()(tokens)
    settle(net)
    assert {name: tuple(value.shape) for name, value in net.state_dict().items()} == before
    assert len(net[0].self_attn.in_proj_weight.unique()) == 3
    torch.testing.assert_close(net(tokens), shown)


def test_the_state_dict_resumes_latent_weights_and_scales():
    net, other = quantize(network(), ["2"]), quantize(network(), ["2"])
    with torch.no_grad():
        net[2].parametrizations.weight.original.add_(torch.randn(6, 4, 3, 3))
        net[2].parametrizations.weight[0].log_scales.add_(1)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other[2].weight, net[2].weight)


@pytest.mark.parametrize("name", sorted(QUANTIZERS))
def test_settled_weights_compute_the_same_under_the_original_names(name):
    net, images = quantize(network(), ["2", "4"], name).eval(), torch.randn(3, 1, 8, 8)
    settled = settle(copy.deepcopy(net))
    assert torch.equal(settled(images), net(images))
    assert list(settled.state_dict()) != list(net.state_dict())
    assert set(settled.state_dict()) == set(network().state_dict())
    assert (quantized_layers(net), quantized_layers(settled)) == (["2", "4"], [])
    assert not any(parametrize.is_parametrized(module) for module in settled.modules())


def test_refuses_what_cannot_be_quantized():
    with pytest.raises(SettingsError, match="Did you mean 'ttq'"):
        quantize(network(), ["2"], "tqt")
    with pytest.raises(SettingsError, match="layer '1': not there"):
        quantize(network(), ["1"])
    with pytest.raises(SettingsError, match="already quantized"):
        quantize(quantize(network(), ["2"]), ["2"])
    with pytest.raises(SettingsError, match="threshold"):
        QuantizerSettings.parse({"threshold": 1}, "quantizer")
