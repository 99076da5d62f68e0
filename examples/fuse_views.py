"""Two views of one signal, fused; one of them missing; how sure the network is.

    python examples/fuse_views.py

Simulated signals of 40 patients: two classes that differ in frequency.
"""

import numpy as np

from emboscope.learning import NetworkSettings, RegularizerSettings, SignalClassifier, TrainSettings
from emboscope.learning.uncertainty import abstain, by_dropout
from emboscope.representations.front_end import FrontEnd

GUIDED = RegularizerSettings(guided=(1.0, 0.1))


def simulated(n_patients=40, n_each=12, sfreq=128.0, seed=0):
    """Signals (n, 1, 128), classes, patients."""
    rng, n = np.random.default_rng(seed), n_patients * n_each
    y = np.arange(n) % 2
    times = np.arange(128) / sfreq
    waves = np.sin(2 * np.pi * ((8 + 12 * y[:, None]) * times + rng.random((n, 1))))
    signal = waves + rng.standard_normal((n, 128))
    return signal[:, None], y, np.repeat(np.arange(n_patients), n_each)


def main():
    """Train on 32 patients, judge on the other 8; returns what is printed."""
    signal, y, patients = simulated()
    front_end = FrontEnd(sfreq=128.0, n_times=128)
    views, test = front_end.compute(signal), patients >= 32
    classifier = SignalClassifier(
        "hybrid_gated",
        front_end,
        NetworkSettings(compact_width=8),
        TrainSettings(epochs=8, batch=32, modality_dropout=0.3, regularizers=GUIDED),
        device="cpu",
    )
    classifier.fit({n: v[~test] for n, v in views.items()}, y[~test], patients[~test])
    shown = {name: view[test] for name, view in views.items()}
    weights = classifier.fusion_weights(shown).mean(axis=(0, 2))
    p = by_dropout(classifier, shown).mean
    answers = abstain(p, classifier.classes_, least=0.8)
    found = {
        "both views": np.mean(classifier.predict(shown) == y[test]),
        "spectrogram alone": np.mean(
            classifier.predict({"spectrogram": shown["spectrogram"]}) == y[test]
        ),
        "mean weight of the waveform": weights[0],
        "answered": np.mean(answers >= 0),
        "right when answered": np.mean((answers == y[test])[answers >= 0]),
    }
    for name, value in found.items():
        print(f"{name}: {value:.2f}")
    return found


if __name__ == "__main__":
    main()
