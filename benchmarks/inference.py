"""One decision of the published 2-D CNN of the EEG, by runtime and by share of zeros.

    python benchmarks/inference.py

The three inner convolutions have ternary weights of random places. One thread, one sample; all
runtimes in one process, by turns; medians. Our C runtime against PyTorch, ONNX Runtime in float
and ONNX Runtime with 8-bit weights and activations. Exits with 1 when a claim fails at 94 %.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from emboscope.compression.finetune import inner_layers
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


def row_of(sparsity):
    """Median milliseconds by runtime, bytes, and the largest difference from PyTorch."""
    network = network_of(sparsity)
    content = packed_bytes(program_of(network, SHAPES), ["seizure", "other"], "")
    runtime = Runtime(content)
    view = np.random.default_rng(1).standard_normal((1, 1, 32, 37)).astype(np.float32)
    tensor = {"spectrogram": torch.from_numpy(view)}
    with tempfile.TemporaryDirectory() as place, torch.inference_mode():
        full, small = sessions(network, Path(place))
        given = {"spectrogram": view}
        ways = {
            "C": lambda: runtime.predict_proba(given),
            "PyTorch": lambda: network(tensor).softmax(1).numpy(),
            "ONNX": lambda: full.run(None, given)[0],
            "ONNX int8": lambda: small.run(None, given)[0],
        }
        difference = float(np.abs(ways["C"]() - ways["PyTorch"]()).max())
        times = {name: [] for name in ways}
        for _ in range(REPEATS):
            for name, way in ways.items():
                begin = time.process_time()
                way()
                times[name].append(1e3 * (time.process_time() - begin))
    medians = {name: statistics.median(kept) for name, kept in times.items()}
    bytes_of_float = 4 * sum(each.numel() for each in network.parameters())
    return medians, len(content), bytes_of_float / len(content), difference


def main():
    """Print the table; whether the claims hold at 94 %."""
    print("zeros     C ms  PyTorch     ONNX  ONNX int8   kB   smaller  difference")
    held = True
    for sparsity in SPARSITIES:
        ms, size, smaller, difference = row_of(sparsity)
        print(f"{100 * sparsity:4.0f} %  {ms['C']:7.3f}  {ms['PyTorch']:7.3f}  {ms['ONNX']:7.3f}  "
              f"{ms['ONNX int8']:9.3f}  {size / 1e3:5.0f}  {smaller:6.1f}    {difference:.1e}",
              flush=True)  # fmt: skip
        if sparsity == 0.94:
            claims = {
                "over ONNX Runtime": (ms["ONNX"] / ms["C"], OVER_ONNX),
                "over PyTorch": (ms["PyTorch"] / ms["C"], OVER_EAGER),
                "smaller than float": (smaller, OVER_FLOAT_BYTES),
            }
    for name, (found, asked) in claims.items():
        print(f"{'ok  ' if found >= asked else 'FAIL'} {name}: {found:.2f} times, asked {asked}")
        held = held and found >= asked
    return held


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(0 if main() else 1)
