"""Networks for tests of packed models: none of their numbers is an initial one."""

import numpy as np
import torch

from emboscope.compression.finetune import inner_layers
from emboscope.compression.quantizers import QuantizerSettings, quantize, settle
from emboscope.export.integer import integer_program, observed_ranges
from emboscope.export.packed import packed_bytes
from emboscope.export.translation import program_of
from emboscope.learning.architecture import (
    LstmSettings,
    MlpSettings,
    NetworkSettings,
    TransformerSettings,
    VitSettings,
)
from emboscope.learning.combinations import FUSIONS
from emboscope.learning.encoders import ENCODERS
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import build_network
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.measures import MeasuresSettings
from emboscope.representations.views import SpectrogramSettings, WaveformSettings

SHAPES = {"waveform": (1, 178), "spectrogram": (1, 32, 37), "measures": (12,)}
NARROW = NetworkSettings(
    n_filters=4,
    compact_width=6,
    resnet_width=8,
    mlp=MlpSettings(width=16, n_bins=4),
    transformer=TransformerSettings(width=12, n_heads=3, hidden=10, n_layers=3, projection=5),
    vit=VitSettings(width=10, n_heads=2, hidden=14, n_layers=2),
    lstm=LstmSettings(width=7, hidden=9),
    members=("cnn1d_compact", "cnn2d_compact", "mlp"),
)
SEQUENCES = NARROW.model_copy(update={"members": ("cnn1d_transformer", "vit", "lstm")})
EXPORTED = (*ENCODERS, "hybrid_late", *(f"hybrid_{name}" for name in FUSIONS))
METHODS = ("ttq", "pttq", "dorefa", "int8", "int4", "codebook", "magnitude")


def trained(model, method=None, n_classes=3, settings=NARROW, size=0.2):
    """A network whose numbers are none of the initial ones, in evaluation mode."""
    torch.manual_seed(1)
    network = build_network(model, SHAPES, n_classes, settings)
    for branch in network.branches:
        branch.standardize.mean.fill_(0.3)
        branch.standardize.sd.fill_(1.7)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(size * torch.randn(parameter.shape))
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


def arrays(n=4):
    return {name: view.numpy() for name, view in views(n).items()}


def classifier_of(network, model):
    """A fitted classifier around a network."""
    classifier = SignalClassifier(model, network=NARROW)
    classifier.classes_, classifier.shapes_ = np.arange(3), used(network)
    classifier.network_ = network
    return classifier


def packed_with_front_end():
    """A late fusion of all views that are made in C, of I and Q."""
    made = {
        "waveform": WaveformSettings(scaling="background"),
        "spectrogram": SpectrogramSettings(reference="background", n_fft=12, hop=30),
        "measures": MeasuresSettings(),
    }
    front_end = FrontEnd(sfreq=2000.0, n_channels=2, n_times=400, views=made)
    torch.manual_seed(2)
    network = build_network("hybrid_late", front_end.shapes, 3, NARROW).eval()
    return packed_bytes(program_of(network, front_end.shapes, front_end), ["a", "b", "c"], "0" * 64)


def packed_in_bytes(network):
    """The same in whole numbers."""
    program = program_of(network, used(network))
    whole = integer_program(program, observed_ranges(program, arrays(4)))
    return packed_bytes(whole, ["a", "b", "c"], "0" * 64)
