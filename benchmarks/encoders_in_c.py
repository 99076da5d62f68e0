"""One decision of each encoder in full precision, in C and in PyTorch.

    python benchmarks/encoders_in_c.py

One thread, one sample, both in one process, by turns; medians of processor time. The EEG has 178
samples, the waveform of HITS 1400. Exits with 1 when the published transformer of the EEG is not
twice as fast in C, or any answer differs by more than 1e-4.
"""

import statistics
import sys
import time

import numpy as np
import torch

from emboscope.export.packed import packed_bytes
from emboscope.export.runtime import Runtime
from emboscope.export.translation import program_of
from emboscope.learning.architecture import HITS, NetworkSettings
from emboscope.learning.models import build_network

EEG = {"waveform": (1, 178), "spectrogram": (1, 32, 37)}
DOPPLER = {"waveform": (2, 1400), "spectrogram": (1, 64, 48)}
NAMES = ("cnn1d_transformer", "lstm", "vit", "cnn1d_compact", "cnn2d_compact", "cnn2d")
REPEATS, ASKED, TOLERANCE = 60, 2.0, 1e-4


def row_of(name, shapes, settings):
    """Median milliseconds in C and in PyTorch, bytes of the file, and the difference."""
    network = build_network(name, shapes, 3, settings).eval()
    view = network.branch.view
    content = packed_bytes(program_of(network, {view: shapes[view]}), ["a", "b", "c"], "")
    runtime = Runtime(content)
    given = {view: np.random.default_rng(0).standard_normal((1, *shapes[view])).astype(np.float32)}
    tensor = {view: torch.from_numpy(given[view])}
    with torch.inference_mode():
        ways = (
            lambda: runtime.predict_proba(given),
            lambda: network(tensor).softmax(1).numpy(),
        )
        difference = float(np.abs(ways[0]() - ways[1]()).max())
        times = ([], [])
        for _ in range(REPEATS):
            for way, kept in zip(ways, times, strict=True):
                begin = time.process_time()
                way()
                kept.append(1e3 * (time.process_time() - begin))
    return *map(statistics.median, times), len(content), difference


def main():
    """Print the table; whether the claims hold."""
    print("encoder            data      C ms  PyTorch  ratio     kB  difference")
    held = True
    cases = (("EEG", EEG, NetworkSettings()), ("HITS", DOPPLER, NetworkSettings(transformer=HITS)))
    for data, shapes, settings in cases:
        for name in NAMES:
            in_c, eager, size, difference = row_of(name, shapes, settings)
            ratio = eager / in_c
            print(f"{name:18} {data:5} {in_c:8.3f} {eager:8.3f} {ratio:6.2f} {size / 1e3:6.0f}"
                  f"    {difference:.1e}", flush=True)  # fmt: skip
            held = held and difference < TOLERANCE
            held = held and (ratio >= ASKED or (name, data) != ("cnn1d_transformer", "EEG"))
    print("ok" if held else "FAIL")
    return held


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(0 if main() else 1)
