import math

import pytest
import torch
from torch import nn

from emboscope.compression.cost import ENCODINGS, cost, ternary_weights
from emboscope.compression.quantizers import quantize, settle
from emboscope.errors import SettingsError

SIGNS = torch.tensor([
    [-1.0, 1, -1, 0],
    [-1, 0, 0, 1],
    [1, 0, 0, 0],
    [0, 1, -1, 0],
])  # the tensor of the talk: 8 zeros of 16


def slide_network(with_head=False):
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 10))
    with torch.no_grad():
        net[0].weight.copy_(torch.where(SIGNS > 0, 0.7, 0.4) * SIGNS)
    return net if with_head else net[:1]


def test_the_slide_tensor_has_its_published_rates():
    total = cost(slide_network(), "slides")
    assert (total.sparsity, total.bits, total.gain_quantized) == (0.5, 336, 0.34375)


def test_a_full_precision_head_dilutes_the_gain():
    total = cost(slide_network(with_head=True), "slides")
    assert total.gain == pytest.approx(0.0833333, abs=5e-8)
    share = 16 / (16 + 50)
    assert total.gain == pytest.approx(share * total.gain_quantized)


@pytest.mark.parametrize(
    ("name", "n_weights", "n_kept", "bits"),
    [
        ("2-bit", 16, 8, 32),
        ("5 trits a byte", 16, 8, 32),
        ("bitmap", 16, 8, 24),
        ("coordinates", 16, 8, 40),
        ("coordinates", 1000, 3, 33),
    ],
)
def test_each_encoding_has_its_size(name, n_weights, n_kept, bits):
    assert ENCODINGS[name](n_weights, n_kept) == bits


def test_no_encoding_is_below_the_entropy():
    n_weights, n_kept = 4096, 700
    p = n_kept / n_weights
    entropy = n_weights * (-p * math.log2(p) - (1 - p) * math.log2(1 - p) + p)
    assert all(size(n_weights, n_kept) > entropy for size in ENCODINGS.values())


@pytest.mark.parametrize(
    ("n_kept", "encoding"), [(4000, "5 trits a byte"), (1000, "bitmap"), (9, "coordinates")]
)
def test_the_smallest_encoding_is_taken(n_kept, encoding):
    net = nn.Sequential(nn.Linear(64, 64, bias=False))
    with torch.no_grad():
        net[0].weight.zero_().view(-1)[:n_kept] = 0.5
    assert cost(net).layers[0].encoding == encoding


def test_published_break_evens_of_the_coordinate_form():
    net = nn.Sequential(nn.Linear(1000, 100, bias=False))
    for zeros, gain in [(5882, 0.0), (94118, 0.9375)]:
        with torch.no_grad():
            net[0].weight.fill_(0.5).view(-1)[:zeros] = 0
        assert cost(net, "slides").gain_quantized == pytest.approx(gain, abs=1e-4)


def test_quantized_and_settled_networks_cost_the_same():
    net = nn.Sequential(nn.Conv1d(1, 8, 3), nn.BatchNorm1d(8), nn.Conv1d(8, 8, 3), nn.Linear(5, 2))
    untouched = cost(net)
    assert (untouched.layers, untouched.gain) == ((), 0.0)
    assert math.isnan(untouched.sparsity)
    numbers = sum(p.numel() for p in net.parameters())
    assert cost(net, "slides").bits_before == 32 * numbers
    assert untouched.bits_before == 32 * (numbers + 16)
    quantized = cost(quantize(net, ["2"]))
    assert [layer.name for layer in quantized.layers] == ["2"]
    assert quantized.bits_before == untouched.bits_before
    assert quantized == cost(settle(net))


def test_weights_of_four_values_are_not_ternary():
    net = slide_network()
    assert list(ternary_weights(net)) == ["0"]
    with torch.no_grad():
        net[0].weight[0, 0] = -0.9
    assert ternary_weights(net) == {}


def test_refuses_an_unknown_profile():
    with pytest.raises(SettingsError, match="profile is 'legacy'"):
        cost(slide_network(), "legacy")
