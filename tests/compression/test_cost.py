import math

import pytest
import torch
from torch import nn

from emboscope.compression.cost import cost, count_macs, ternary_weights
from emboscope.compression.encodings import is_ternary, ternary_bits
from emboscope.compression.finetune import LAYER_RULES
from emboscope.compression.quantizers import QuantizerSettings, quantize, settle
from emboscope.errors import SettingsError
from emboscope.learning.architecture import PTB, NetworkSettings
from emboscope.learning.models import build_network

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


def test_each_form_of_signs_has_its_size():
    assert ternary_bits(SIGNS) == {"2-bit": 32, "5 trits a byte": 32, "bitmap": 24, "gap lists": 64}
    assert ternary_bits(SIGNS.abs() + 1)["1-bit"] == 16
    far = torch.zeros(1000)
    far[[126, 254, 600]] = torch.tensor([1.0, -1, 1])  # 126, 127 and 345 zeros before each
    assert ternary_bits(far)["gap lists"] == 8 * (3 + 0 + 1 + 2)


def test_no_form_of_random_signs_is_below_the_entropy(rng):
    for p in (0.01, 0.06, 0.17, 0.5):
        kept = rng.random(200_000) < p
        signs = torch.from_numpy(kept * rng.choice([-1, 1], kept.size))
        entropy = signs.numel() * (-p * math.log2(p) - (1 - p) * math.log2(1 - p) + p)
        sizes = ternary_bits(signs)
        assert all(bits > 0.99 * entropy for bits in sizes.values())
        best = min(sizes, key=sizes.get)
        assert best == {0.01: "gap lists", 0.06: "gap lists"}.get(p, "bitmap")


@pytest.mark.parametrize(
    ("n_kept", "encoding"), [(4000, "5 trits a byte"), (1000, "bitmap"), (9, "gap lists")]
)
def test_the_smallest_encoding_is_taken(n_kept, encoding, rng):
    net = nn.Sequential(nn.Linear(64, 64, bias=False))
    places = torch.from_numpy(rng.permutation(4096)[:n_kept])
    with torch.no_grad():
        net[0].weight.zero_().view(-1)[places] = 0.5
    assert cost(net).layers[0].encoding == encoding


@pytest.mark.parametrize(
    ("method", "encoding", "bits"),
    [
        ("dorefa", "1-bit", 4096 + 64),
        ("int8", "8-bit", 8 * 4096 + 32 * 64),
        ("int4", "4-bit", 4 * 4096 + 32 * 64),
        ("magnitude", "sparse", 4096 + 32 * 410),
        ("codebook", "codebook", 4 * 4096 + 32 * 16),
    ],
)
def test_every_method_is_found_by_its_values(method, encoding, bits):
    torch.manual_seed(0)
    net = settle(quantize(nn.Sequential(nn.Linear(64, 64, bias=False)), ["0"], method))
    (layer,) = cost(net).layers
    assert (layer.encoding, layer.bits) == (encoding, bits)


def test_two_bits_of_dorefa_are_a_codebook_of_four():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 64, bias=False))
    settle(quantize(net, ["0"], "dorefa", QuantizerSettings(n_bits=2)))
    (layer,) = cost(net).layers
    assert (layer.encoding, layer.bits) == ("codebook", 2 * 4096 + 32 * 4)


@pytest.mark.parametrize(("model", "n_quantized", "n_layers", "gain"), [
    ("cnn2d", 1_548_288, 3, 0.968748), ("cnn1d_transformer", 26_624, 5, 0.968562)
])  # fmt: skip
def test_published_gains_of_one_bit(model, n_quantized, n_layers, gain):
    network = build_network(model, {"waveform": (1, 178), "spectrogram": (1, 32, 37)}, 2)
    names = LAYER_RULES["published"](network)
    settle(quantize(network, names, "dorefa"))
    found = cost(network, "slides")
    assert sum(layer.n_weights for layer in found.layers) == n_quantized
    assert len(found.layers) == n_layers
    assert found.gain_quantized == pytest.approx(gain, abs=5e-6)
    share = {"cnn2d": 0.9640, "cnn1d_transformer": 0.2346}[model]  # printed as CR_G^T
    assert found.gain == pytest.approx(share, abs=5e-5)


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


def test_fewer_than_eight_weights_are_not_ternary():
    signs = torch.tensor([1.0, -1, 0, 1, -1, 0, 1])
    assert not is_ternary(signs)
    assert is_ternary(torch.cat([signs, signs]))


def test_refuses_an_unknown_profile():
    with pytest.raises(SettingsError, match="profile is 'legacy'"):
        cost(slide_network(), "legacy")


class Attending(nn.Module):
    """Attention of 3 tokens to 5 others of another width."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, kdim=4, vdim=6, batch_first=True)

    def forward(self, queries):
        keys, values = (torch.zeros(len(queries), 5, width) for width in (4, 6))
        return self.attention(queries, value=values, key=keys)[0]


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Conv1d(2, 6, 3), (2, 10), 8 * 6 * 2 * 3),
        (nn.Conv1d(4, 6, 3, stride=2, groups=2), (4, 11), 5 * 6 * 2 * 3),
        (nn.Conv2d(1, 4, (3, 5), padding=(1, 2)), (1, 6, 7), 6 * 7 * 4 * 15),
        (nn.ConvTranspose2d(4, 2, 2, stride=2), (4, 3, 3), 3 * 3 * 4 * 2 * 4),
        (nn.Linear(5, 3), (7, 5), 7 * 5 * 3),
        (nn.LSTM(5, 4, batch_first=True), (9, 5), 9 * 4 * 4 * (5 + 4)),
        (
            nn.LSTM(5, 4, 2, batch_first=True, bidirectional=True),
            (9, 5),
            9 * 2 * 4 * 4 * (5 + 4 + 2 * 4 + 4),
        ),
        (nn.GRU(5, 4, batch_first=True), (9, 5), 9 * 3 * 4 * (5 + 4)),
        (
            Attending(),
            (3, 8),
            3 * 8 * 8 + 5 * 4 * 8 + 5 * 6 * 8 + 3 * 5 * 8 + 3 * 5 * 8 + 3 * 8 * 8,
        ),
        (nn.Sequential(nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2)), (4, 8), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_each_layer_counts_its_multiplications(layer, shape, macs):
    assert sum(count_macs(layer, torch.zeros(1, *shape)).values()) == macs
    assert sum(count_macs(layer, torch.zeros(4, *shape)).values()) == 4 * macs


@pytest.mark.parametrize(
    ("model", "shape", "n_classes", "published"),
    [
        ("cnn2d", (3, 224, 96), 3, 1.22637e9),
        ("cnn2d", (1, 32, 37), 2, 62.03e6),
        ("cnn2d", (1, 32, 39), 2, 63.24e6),
        ("cnn1d_transformer", (2, 1220), 3, 0.23310e9),
        ("cnn1d_transformer", (1, 178), 2, 11.517e6),
        ("cnn1d_transformer", (1, 187), 2, 32.291e6),
    ],
)
def test_exact_multiplications_of_the_published_networks(model, shape, n_classes, published):
    settings = NetworkSettings() if shape == (1, 178) else NetworkSettings(transformer=PTB)
    view = "spectrogram" if len(shape) == 3 else "waveform"
    network = build_network(model, {view: shape}, n_classes, settings)
    macs = count_macs(network, {view: torch.zeros(1, *shape)})
    assert sum(macs.values()) == pytest.approx(published, rel=1e-4)  # printed to 4 or 5 digits


def test_a_layer_that_runs_three_times_counts_three_times_under_its_name():
    layer = nn.Linear(4, 4)
    assert count_macs(nn.Sequential(layer, layer, layer), torch.zeros(1, 4)) == {"0": 3 * 16}


def test_counting_sees_behind_the_fused_transformer_and_leaves_everything_as_it_was():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    network = nn.Sequential(nn.BatchNorm1d(6), layer.eval())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    tokens = torch.randn(1, 6, 8)
    linears = 2 * 6 * 8 * 16
    assert sum(count_macs(network, tokens).values()) == linears + 4 * 6 * 64 + 2 * 36 * 8
    assert (network[0].training, layer.training) == (True, False)
    assert not any(module._forward_hooks for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_quantized_layers_are_counted_as_the_full_ones():
    net = nn.Sequential(nn.Conv1d(1, 8, 3), nn.Conv1d(8, 8, 3), nn.Flatten(), nn.Linear(32, 2))
    before = count_macs(net, torch.zeros(1, 1, 8))
    assert count_macs(quantize(net, ["1", "3"]), torch.zeros(1, 1, 8)) == before
