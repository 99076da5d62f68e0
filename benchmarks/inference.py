"""One decision of the published 2-D CNN of the EEG, by runtime and by share of zeros.

    python benchmarks/inference.py [MODEL]

The three inner convolutions have ternary weights: of random places for each share of zeros, and as
they were trained in the folder MODEL, made by `emboscope compress`. One thread, one sample of the
EEG; all runtimes in one process, by turns; medians. Our C runtime against PyTorch, PyTorch with
sparse matrices (CSR) in those layers, ONNX Runtime in float and ONNX Runtime with 8-bit weights and
activations. Exits with 1 when a claim fails: of the trained model, without one at 94 %.
"""

import copy
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from torch.nn import functional

from emboscope.compression.cost import cost
from emboscope.compression.finetune import inner_layers
from emboscope.datasets import load_dataset
from emboscope.export.onnx import export_onnx
from emboscope.export.packed import packed_bytes
from emboscope.export.runtime import Runtime
from emboscope.export.translation import program_of
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import build_network

SHAPES = {"spectrogram": (1, 32, 37)}
SPARSITIES = (0.5, 0.83, 0.9, 0.94, 0.99)
REPEATS = 60
OVER_ONNX, OVER_EAGER, OVER_FLOAT_BYTES = 2.0, 5.0, 40.0


class Samples(CalibrationDataReader):
    """Inputs to calibrate the 8-bit model with."""

    def __init__(self, inputs):
        self.rows = iter([{"spectrogram": inputs[n : n + 1]} for n in range(len(inputs))])

    def get_next(self):
        return next(self.rows, None)


class SparseConvolution(torch.nn.Module):
    """A convolution of one sample as a product of a sparse matrix and patches."""

    def __init__(self, convolution):
        super().__init__()
        self.given = convolution
        self.matrix = convolution.weight.detach().flatten(1).to_sparse_csr()

    def forward(self, image):
        given = self.given
        patches = functional.unfold(image, given.kernel_size, padding=given.padding,
                                    stride=given.stride)[0]  # fmt: skip
        height = (image.shape[2] + 2 * given.padding[0] - given.kernel_size[0]) // given.stride[0]
        return ((self.matrix @ patches).T + given.bias).T.reshape(
            1, len(self.matrix), height + 1, -1
        )


def sparse(network):
    """A copy whose inner convolutions are products with sparse matrices."""
    made = copy.deepcopy(network)
    for name in inner_layers(network):
        made.set_submodule(name, SparseConvolution(network.get_submodule(name)))
    return made


def network_of(sparsity):
    """The published network, its inner weights ternary, of this share of zeros."""
    torch.manual_seed(0)
    network = build_network("cnn2d", SHAPES, 2)
    with torch.no_grad():
        network({"spectrogram": torch.randn(64, 1, 32, 37)})  # statistics of the batch norm
        for name in inner_layers(network):
            weight = network.get_submodule(name).weight
            size = weight.abs().mean()
            kept = torch.rand(weight.shape) >= sparsity
            weight.copy_(size * weight.sign() * kept)
    return network.eval()


def trained(folder):
    """The network of a folder and its share of zeros."""
    network = SignalClassifier.load(Path(folder)).network_.eval()
    return network, cost(network).sparsity


def sessions(network, folder):
    """ONNX Runtime in float and in 8 bits."""
    classifier = SignalClassifier("cnn2d")
    classifier.classes_, classifier.shapes_ = np.arange(2), dict(SHAPES)
    classifier.network_ = network
    export_onnx(classifier, folder)
    inputs = np.random.default_rng(0).standard_normal((32, 1, 32, 37)).astype(np.float32)
    quantize_static(folder / "model.onnx", folder / "int8.onnx", Samples(inputs),
                    quant_format=QuantFormat.QDQ, per_channel=True)  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return [
        onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
        for name in ("model.onnx", "int8.onnx")
    ]


def row_of(network, view):
    """Median milliseconds by runtime, bytes, and the largest difference from PyTorch."""
    content = packed_bytes(program_of(network, SHAPES), ["seizure", "other"], "")
    runtime = Runtime(content)
    tensor, given = {"spectrogram": torch.from_numpy(view)}, {"spectrogram": view}
    with tempfile.TemporaryDirectory() as place, torch.inference_mode():
        products = sparse(network)
        full, small = sessions(network, Path(place))
        ways = {
            "C": lambda: runtime.predict_proba(given),
            "PyTorch": lambda: network(tensor).softmax(1).numpy(),
            "PyTorch sparse": lambda: products(tensor).softmax(1).numpy(),
            "ONNX": lambda: full.run(None, given)[0],
            "ONNX int8": lambda: small.run(None, given)[0],
        }
        differences = [np.abs(ways[name]() - ways["PyTorch"]()).max() for name in ("C", "ONNX")]
        times = {name: [] for name in ways}
        for _ in range(REPEATS):
            for name, way in ways.items():
                begin = time.process_time()
                way()
                times[name].append(1e3 * (time.process_time() - begin))
    medians = {name: statistics.median(kept) for name, kept in times.items()}
    bytes_of_float = 4 * sum(each.numel() for each in network.parameters())
    return medians, len(content), bytes_of_float / len(content), max(differences)


def main(folder=None):
    """Print the table; whether the claims hold."""
    view = load_dataset("esr").views["spectrogram"][:1]
    print("zeros       C ms  PyTorch   sparse     ONNX  ONNX int8   kB   smaller  difference")
    rows = [(f"{100 * sparsity:5.1f} %", network_of(sparsity)) for sparsity in SPARSITIES]
    judged = SPARSITIES.index(0.94)
    if folder:
        network, sparsity = trained(folder)
        judged = len(rows)
        rows.append((f"{100 * sparsity:5.1f} % trained", network))
    for number, (name, network) in enumerate(rows):
        ms, size, smaller, difference = row_of(network, view)
        print(f"{name}  {ms['C']:7.3f}  {ms['PyTorch']:7.3f}  {ms['PyTorch sparse']:7.3f}  "
              f"{ms['ONNX']:7.3f}  {ms['ONNX int8']:9.3f}  {size / 1e3:5.0f}  {smaller:6.1f}    "
              f"{difference:.1e}", flush=True)  # fmt: skip
        if number == judged:
            claims = {
                "over ONNX Runtime": (ms["ONNX"] / ms["C"], OVER_ONNX),
                "over PyTorch": (ms["PyTorch"] / ms["C"], OVER_EAGER),
                "smaller than float": (smaller, OVER_FLOAT_BYTES),
            }
    for name, (found, asked) in claims.items():
        print(f"{'ok  ' if found >= asked else 'FAIL'} {name}: {found:.2f} times, asked {asked}")
    return all(found >= asked for found, asked in claims.values())


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(0 if main(*sys.argv[1:2]) else 1)
