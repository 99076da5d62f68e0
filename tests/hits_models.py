"""A small model of HITS, exported, and simulated signals for it."""

import json

import numpy as np

from emboscope.datasets.hits import HITS48, SFREQ
from emboscope.export import export_c, export_onnx, read_manifest
from emboscope.export.manifest import write_manifest
from emboscope.learning.architecture import MlpSettings, NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.settings import TrainSettings
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.measures import MeasuresSettings
from emboscope.representations.views import WaveformSettings

CLASSES = ("artifact", "gaseous", "solid")
FRONT_END = FrontEnd(
    sfreq=SFREQ,
    n_channels=2,
    n_times=1400,
    peak_sample=700,
    high_pass_hz=150.0,
    views={
        "waveform": WaveformSettings(scaling="none"),
        "spectrogram": HITS48,
        "measures": MeasuresSettings(),
    },
)
NARROW = NetworkSettings(
    compact_width=2, mlp=MlpSettings(width=4, n_bins=2), members=("cnn2d_compact", "mlp")
)


def segments(n=12, seed=0):
    """Segments (n, 2, 1400) of noise with a tone burst in the middle, ever louder."""
    rng = np.random.default_rng(seed)
    burst = np.exp(-(((np.arange(1400) - 700) / 40) ** 2) + 0.6j * np.arange(1400))
    line = np.outer(np.linspace(1, 9, n), burst)
    line = 0.01 * (line + rng.standard_normal((n, 1400)) + 1j * rng.standard_normal((n, 1400)))
    return np.stack([line.real, line.imag], axis=1).astype(np.float32)


def tiny_classifier(front_end=FRONT_END):
    training = TrainSettings(epochs=1, batch=4, augment=(), mixup=0.0)
    classifier = SignalClassifier("hybrid_late", front_end, NARROW, training, device="cpu")
    y = np.arange(12) % 3
    return classifier.fit({"waveform": segments()}, y, validation=np.arange(3))


def tiny_export(folder, target="c", classes=CLASSES, front_end=FRONT_END, **told):
    """An export of a model that has learned next to nothing; `told` changes its manifest."""
    classifier = tiny_classifier(front_end)
    (export_c if target == "c" else export_onnx)(classifier, folder, classes=classes)
    if told:
        manifest = read_manifest(folder).model_copy(update=told)
        write_manifest(folder, manifest, tuple(manifest.files))
    return folder


def change_manifest(folder, **changes):
    """The same with other words in its manifest."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
