"""Networks for tests of packed models: none of their numbers is an initial one."""

import torch

from emboscope.compression.finetune import inner_layers
from emboscope.compression.quantizers import QuantizerSettings, quantize, settle
from emboscope.export.packed import packed_bytes
from emboscope.export.translation import program_of
from emboscope.learning.architecture import MlpSettings, NetworkSettings
from emboscope.learning.models import build_network

SHAPES = {"waveform": (1, 178), "spectrogram": (1, 32, 37), "measures": (12,)}
NARROW = NetworkSettings(
    n_filters=4,
    compact_width=6,
    resnet_width=8,
    mlp=MlpSettings(width=16, n_bins=4),
    members=("cnn1d_compact", "cnn2d_compact", "mlp"),
)
EXPORTED = (
    "cnn2d", "cnn2d_compact", "cnn1d_compact", "cnn2d_small", "resnet", "resnet2d", "mlp",
    "hybrid_late", "hybrid_concat", "hybrid_sum", "hybrid_weighted", "hybrid_product",
)  # fmt: skip
METHODS = ("ttq", "pttq", "dorefa", "int8", "int4", "codebook", "magnitude")


def trained(model, method=None, n_classes=3, settings=NARROW):
    """A network whose numbers are none of the initial ones, in evaluation mode."""
    torch.manual_seed(1)
    network = build_network(model, SHAPES, n_classes, settings)
    for branch in network.branches:
        branch.standardize.mean.fill_(0.3)
        branch.standardize.sd.fill_(1.7)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
        network({name: 0.3 + torch.randn(40, *shape) for name, shape in SHAPES.items()})
    network.temperature.fill_(1.3)
    if method:
        settle(quantize(network, inner_layers(network), method, QuantizerSettings(sparsity=0.8)))
    return network.eval()


def views(n=4):
    generator = torch.Generator().manual_seed(5)
    return {name: torch.randn(n, *shape, generator=generator) for name, shape in SHAPES.items()}


def used(network):
    return {branch.view: SHAPES[branch.view] for branch in network.branches}


def packed(network):
    program = program_of(network, used(network))
    return packed_bytes(program, ["a", "b", "c"], "0" * 64)
