"""One training step with every term of the loss, and the front end, beside straightforward forms.

    python benchmarks/training.py

The published hybrid (ESR shapes, batch 32) with guided losses and clustering, against the plain
fusion step, and against the same losses with one pass of the encoders for each term, as the
released code computes them; then all spectrograms of a batch at once, against a loop over samples
and frames. All in one process, on one thread, interleaved; medians. Exits with 1 when a claim
fails.
"""

import statistics
import sys
import time

import numpy as np
import torch

from emboscope.datasets import load_dataset
from emboscope.learning.front_end import TorchFrontEnd
from emboscope.learning.losses import LOSSES
from emboscope.learning.models import build_network
from emboscope.learning.objective import Labels, Objective
from emboscope.learning.profiles import EEG, published_settings
from emboscope.representations.front_end import FrontEnd

BATCH, REPEATS = 32, 15
MOST_OVER_PLAIN, LEAST_OVER_PASSES, LEAST_OVER_LOOP = 1.25, 2.5, 50.0


def objective_of(regularized):
    """The published hybrid; `paper` profile, whose dropout lies before the last layer."""
    network_settings, training = published_settings("hybrid_concat", EEG, "paper")
    if not regularized:
        training = training.model_copy(update={"regularizers": training.regularizers.__class__()})
    network = build_network("hybrid_concat", SHAPES, 2, network_settings)
    objective = Objective(network, 2, training)
    if objective.clustering is not None:
        embeddings = torch.randn(200, network.n_embedding)
        objective.clustering.start(embeddings, torch.arange(200) % 2, 0)
    return objective


def one_pass(objective, views, y):
    """All terms of one pass, and their gradients."""
    objective.zero_grad(set_to_none=True)
    loss = torch.stack(list(objective(views, Labels(y, y), None, False).values())).sum()
    loss.backward()
    return loss


def passes(objective, views, y):
    """The same terms, each from a pass of its own."""
    objective.zero_grad(set_to_none=True)
    network, ce = objective.network, LOSSES["ce"]
    loss = ce(network(views), y)
    read = network.outputs(views).projected
    for weight, guide, part in zip(objective.guided, objective.guides, read, strict=True):
        loss = loss + weight * ce(guide(part), y)
    settings = objective.settings.regularizers
    loss = loss + settings.dec * objective.clustering(network.outputs(views).embedding)
    loss.backward()
    return loss


def seconds(*functions):
    """Median time of each, run by turns."""
    for function in functions:
        function()
    times = [[] for _ in functions]
    for _ in range(REPEATS):
        for kept, function in zip(times, functions, strict=True):
            begin = time.perf_counter()
            function()
            kept.append(time.perf_counter() - begin)
    return [statistics.median(each) for each in times]


def image_of(signal, settings):
    """One spectrogram, frame by frame and pixel by pixel, as the released code goes about it."""
    window = np.blackman(settings.n_fft)
    starts = range(0, len(signal) - settings.n_fft + 1, settings.hop)
    power = np.zeros((settings.n_fft, len(starts)))
    for column, start in enumerate(starts):
        frame = signal[start : start + settings.n_fft] * window
        power[:, column] = np.abs(np.fft.fftshift(np.fft.fft(frame))) ** 2
    image = np.zeros_like(power)
    floor = 1e-12 * power.max()
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            image[row, column] = 10 * np.log10(power[row, column] + floor)
    mean, sd = image.mean(), image.std()
    return np.clip(image, mean - sd, mean + 4 * sd)


def check(name, text, holds):
    """Print a line; whether it holds."""
    print(f"{'ok  ' if holds else 'FAIL'} {name}: {text}", flush=True)
    return holds


def steps():
    """The step against the plain one, and against one pass a term."""
    torch.manual_seed(0)
    views = {name: torch.randn(BATCH, *shape) for name, shape in SHAPES.items()}
    y = torch.arange(BATCH) % 2
    full, plain = objective_of(True), objective_of(False)
    full.eval()  # no dropout, batch statistics fixed: the two forms must agree
    difference = abs(float((one_pass(full, views, y) - passes(full, views, y)).detach()))
    full.train(), plain.train()
    ours, bare, each = seconds(
        lambda: one_pass(full, views, y),
        lambda: one_pass(plain, views, y),
        lambda: passes(full, views, y),
    )
    text = f"guided + DEC {1e3 * ours:.1f} ms, plain fusion {1e3 * bare:.1f} ms, one pass a term "
    print(f"     step: {text}{1e3 * each:.1f} ms")
    return [
        check("same loss", f"differs by {difference:.1e}", difference <= 1e-6),
        check("over plain", f"{ours / bare:.2f} times", ours / bare <= MOST_OVER_PLAIN),
        check("over passes", f"{each / ours:.2f} times", each / ours >= LEAST_OVER_PASSES),
    ]


def front_ends():
    """All spectrograms of a batch at once against one by one; nothing is cached."""
    data = load_dataset("esr")
    settings = data.front_end.views["spectrogram"]
    signals = data.front_end.signal_of(data.views["waveform"][:512])
    only = FrontEnd(sfreq=data.sfreq, n_times=signals.shape[2], views={"spectrogram": settings})
    twin, tensor = TorchFrontEnd(only), torch.from_numpy(signals)
    slow = np.stack([image_of(signal[0], settings) for signal in signals[:64]])
    difference = np.abs(only.compute(signals[:64])["spectrogram"][:, 0] - slow).max()
    arrays, tensors, loop = seconds(
        lambda: only.compute(signals),
        lambda: twin(tensor),
        lambda: [image_of(signal[0], settings) for signal in signals[:64]],
    )
    rates = [512 / arrays, 512 / tensors, 64 / loop]
    print(f"     front end, samples a second: {rates[0]:.0f} NumPy, {rates[1]:.0f} torch, "
          f"{rates[2]:.0f} one by one")  # fmt: skip
    best = max(rates[:2]) / rates[2]
    return [
        check("same image", f"differs by {difference:.1e} dB", difference < 1e-3),
        check("front end", f"{best:.0f} times one by one", best >= LEAST_OVER_LOOP),
    ]


SHAPES = {"waveform": (1, 178), "spectrogram": (1, 32, 37)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(0 if all([*steps(), *front_ends()]) else 1)
