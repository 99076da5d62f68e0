"""Published counts and gains of energy, and what the honest count has beside them."""

import pytest
import torch
from torch import nn

from emboscope.compression.cost import cost, count_macs
from emboscope.compression.energy import energy, published_operations
from emboscope.compression.finetune import LAYER_RULES
from emboscope.compression.quantizers import quantize, settle
from emboscope.errors import SettingsError
from emboscope.learning.models import build_network

SHAPES = {"waveform": (1, 178), "spectrogram": (1, 32, 37)}
SIGNS = torch.tensor([[-1.0, 1, -1, 0], [-1, 0, 0, 1], [1, 0, 0, 0], [0, 1, -1, 0]])


def published(model, shapes=SHAPES, n_classes=2):
    """A network without a number that is zero, one sample, and the layers that were quantized."""
    network = build_network(model, shapes, n_classes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter[parameter == 0] = 0.01
    names = LAYER_RULES["published"](network)
    return network, {name: torch.randn(1, *shape) for name, shape in shapes.items()}, names


@pytest.mark.parametrize(
    ("model", "shapes", "n_classes", "operations"),
    [
        ("cnn2d_small", {"spectrogram": (1, 20, 20)}, 10, 151_440),
        ("cnn2d", SHAPES, 2, 62_168_962),
        ("cnn2d", {"spectrogram": (3, 224, 96)}, 3, 1_228_955_523),
        ("cnn1d_transformer", SHAPES, 2, 8_666_998),
    ],
)
def test_published_number_of_operations(model, shapes, n_classes, operations):
    network, sample, _ = published(model, shapes, n_classes)
    assert sum(published_operations(network, sample).values()) == operations


def test_the_transformer_has_its_published_parts():
    network, sample, _ = published("cnn1d_transformer")
    found = {name.removeprefix("branch.encoder."): n
             for name, n in published_operations(network, sample).items()}  # fmt: skip
    assert (found["stem.0"], found["stem.2"]) == (90_112, 4_336_640)
    assert found["shared.0"] == 2_149_248 + 1_049_920
    assert found["layers.0.self_attn"] == 12_480 + 236_672 + 4_160
    layer = sum(n for name, n in found.items() if name.startswith("layers.2"))
    assert layer == 260_168
    assert sum(n for name, n in found.items() if name.startswith("head")) == 406


@pytest.mark.parametrize(
    ("model", "shapes", "n_classes", "legacy", "slides", "transfers"),
    [
        ("cnn2d_small", {"spectrogram": (1, 20, 20)}, 10, 0.0328, 0.4887,
         (4_921, 4_755, 9_840, 4_757)),
        ("cnn2d", SHAPES, 2, 0.2990, 0.8399, (104_328, 55_941, 1_555_842, 55_941)),
        ("cnn2d", {"spectrogram": (3, 224, 96)}, 3, 0.0354, 0.2408,
         (230_409, 182_022, 1_681_923, 182_022)),
        ("cnn1d_transformer", SHAPES, 2, 0.0090, 0.1816, (84_992, 84_155, 109_942, 84_155)),
    ],
)  # fmt: skip
def test_published_gains_of_dorefa(model, shapes, n_classes, legacy, slides, transfers):
    network, sample, names = published(model, shapes, n_classes)
    before = [energy(network, sample, mode, names) for mode in ("legacy", "slides")]
    settle(quantize(network, names, "dorefa"))
    after = [energy(network, sample, mode, names) for mode in ("legacy", "slides")]
    gains = [new.gain_over(old) for new, old in zip(after, before, strict=True)]
    assert gains == pytest.approx([legacy, slides], abs=5e-5)
    counted = [each.transfers for pair in zip(before, after, strict=True) for each in pair]
    assert tuple(counted) == transfers


def test_the_worked_example_of_the_talk():
    full = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 10))
    with torch.no_grad():
        for parameter in full.parameters():
            parameter.copy_(torch.randn(parameter.shape) + 3)
    before = energy(full, torch.randn(1, 4), "slides")
    assert (before.operations, before.transfers) == (66, 66)
    assert before.total_j == pytest.approx(6.62442e-8)
    with torch.no_grad():
        full[0].weight.copy_(torch.where(SIGNS > 0, 0.7, 0.4) * SIGNS)
    after = energy(full, torch.randn(1, 4), "slides")
    assert (after.operations, after.transfers) == (58, 53)
    assert after.total_j == pytest.approx(5.32146e-8)
    assert after.gain_over(before) == pytest.approx(0.1966904, abs=1e-7)


def test_the_transfers_of_the_slides():
    layers = nn.Sequential(nn.Linear(5, 1, bias=False), nn.Linear(4, 4, bias=False))
    with torch.no_grad():
        layers[0].weight.fill_(1.5).add_(torch.arange(5.0))
        layers[1].weight.zero_().view(-1)[[0, 5, 6, 9]] = torch.tensor([1.0, -2, 1, -2])
    layers = nn.ModuleList(layers)
    layers.forward = lambda inputs: layers[1](inputs[1]) + layers[0](inputs[0]).sum()
    found = energy(layers, (torch.ones(1, 5), torch.ones(1, 4)), "slides")
    assert found.transfers == 8
    assert found.transfers_j == pytest.approx(8e-9)


def test_the_honest_count_sees_tokens_zeros_and_real_sizes():
    network, sample, names = published("cnn1d_transformer")
    before = energy(network, sample)
    assert before.operations == sum(count_macs(network, sample).values()) == 11_516_680
    assert before.transfers == cost(network).bits / 32
    settle(quantize(network, names, "ttq"))
    after = energy(network, sample)
    assert after.operations < before.operations
    assert after.transfers == -(-cost(network).bits // 32)
    assert 0 < after.gain_over(before) < 1
    with torch.no_grad():
        for name in names:
            network.get_submodule(name).weight.zero_()
    empty = energy(network, sample)
    dense = sum(n for name, n in count_macs(network, sample).items() if name not in names)
    assert empty.operations == dense


def test_the_honest_count_of_one_ternary_layer():
    layer = nn.Sequential(nn.Linear(4, 4, bias=False))
    with torch.no_grad():
        layer[0].weight.copy_(torch.where(SIGNS > 0, 0.7, 0.4) * SIGNS)
    found = energy(layer, torch.randn(1, 4))
    assert found.operations == 8
    assert found.compute_j == pytest.approx(8 * 0.9e-12 + 2 * 4 * 3.7e-12)


def test_the_honest_count_of_an_attention_with_ternary_projections():
    torch.manual_seed(4)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    tokens = torch.randn(1, 5, 8)
    before = energy(layer, tokens)
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(torch.tensor([0.3, 0, 0, 0]).repeat(24, 2))
    after = energy(layer, tokens)
    into = 5 * 24 * 8  # multiply-adds, of which a quarter stay
    assert before.operations - after.operations == into * 3 // 4
    saved = into * 4.6e-12 - (into // 4 * 0.9e-12 + 2 * 5 * 24 * 3.7e-12)
    assert before.compute_j - after.compute_j == pytest.approx(saved)


def test_an_unknown_mode_is_refused():
    with pytest.raises(SettingsError, match="mode is 'published'"):
        energy(nn.Linear(2, 2), torch.ones(1, 2), "published")
