"""Detector `cnn`: a small network on windows of artifact, embolus and normal flow."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emboscope.events.detection import DETECTORS
from emboscope.events.hbr import Detector
from emboscope.events.statistics import ALARM_DB, Evidence, decibels
from emboscope.signal.spectrum import stft

if TYPE_CHECKING:
    from emboscope.learning.estimator import SignalClassifier

NAME = "cnn"
WEIGHTS = Path(__file__).parent / "cnn_weights"  # safetensors and JSON, part of the package
CLASSES = ("artifact", "embolus", "normal")
TRAINED_HZ = 4385.0
FRAME_S, STEP_S = 64 / TRAINED_HZ, 32 / TRAINED_HZ
COLUMNS, SHIFT = 18, 3  # of a window, and from one to the next: 131 and 22 ms
RANGE_DB = (-20.0, 30.0)
DECIBANS = 10 / np.log(10)  # of log-odds
LEARNED_ON = {NAME: "detector trained on simulated patients"}  # what the output must say


def windows(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Images of all windows of a block, and the samples in their middle.

    The flow points upward, aliasing undone. One channel is the power over the level of the flow
    that is expected at that part of the heart beat, the other the power over the median of its
    row; both in dB.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    images : ndarray of float32, shape (n_windows, 2, n_freqs, COLUMNS)
        No window where the block is shorter than one. At `TRAINED_HZ` there are 64 frequencies; at
        other rates more or fewer, as far apart.
    middle : ndarray, shape (n_windows,)
    """
    sfreq = evidence.band.sfreq
    frame, step = round(FRAME_S * sfreq), round(STEP_S * sfreq)
    spectrum = stft(evidence.filtered, sfreq, frame, step)
    along = evidence.band.unwrap(spectrum.freqs)
    power = spectrum.power[np.argsort(along)]
    at = spectrum.times * sfreq
    n_forward = max(1, int((along > evidence.band.low_hz).sum()))
    level = np.interp(at, evidence.centers, evidence.expected) / n_forward
    typical = np.median(power, axis=1, keepdims=True)
    image = np.stack([decibels(power / (level + 1e-30)), decibels(power / (typical + 1e-30))])
    image = np.clip(image, *RANGE_DB).astype(np.float32)  # (2, n_freqs, n_columns)
    if image.shape[2] < COLUMNS:
        return np.zeros((0, *image.shape[:2], COLUMNS), np.float32), np.zeros(0)
    cut = np.lib.stride_tricks.sliding_window_view(image, COLUMNS, axis=2)[:, :, ::SHIFT]
    middle = (at[: at.size - COLUMNS + 1] + at[COLUMNS - 1 :])[::SHIFT] / 2
    return np.moveaxis(cut, 2, 0), middle


@dataclass(frozen=True)
class WindowNetwork:
    """The network, and the log-odds of an embolus at which it alarms, in decibans."""

    classifier: "SignalClassifier"
    alarm: float = 0.0

    def __call__(self, evidence: Evidence) -> np.ndarray:
        """Log-odds of an embolus over those of the alarm, put on the dB scale at `ALARM_DB`.

        Between the windows' middles it is interpolated.

        References
        ----------
        .. [1] Sombune, P. et al. (2017). doi 10.1109/EMBC.2017.8037577: a CNN on the three
           classes; 83.0 % sensitivity, 80.1 % specificity on 19 subjects. Windows and network
           are ours.
        """
        images, middle = windows(evidence)
        if not len(images):
            return np.full(evidence.centers.size, -np.inf)
        odds = log_odds(self.classifier, images) * DECIBANS
        return ALARM_DB + np.interp(evidence.centers, middle, odds) - self.alarm


def log_odds(classifier: "SignalClassifier", images: np.ndarray) -> np.ndarray:
    """Natural log-odds of an embolus, shape (n_windows,)."""
    log_p = classifier.log_proba({"spectrogram": images})
    embolus = CLASSES.index("embolus")
    others = np.delete(log_p, embolus, axis=1)
    return log_p[:, embolus] - np.logaddexp.reduce(others, axis=1)


def card() -> dict:
    """What the network was trained and checked on."""
    return json.loads((WEIGHTS / "card.json").read_text(encoding="utf-8"))


@cache
def shipped_network() -> WindowNetwork:
    """The network that comes with the package; torch is loaded here."""
    from emboscope.learning.estimator import SignalClassifier

    return WindowNetwork(SignalClassifier.load(WEIGHTS), card()["alarm_decibans"])


def embolus_odds(evidence: Evidence) -> np.ndarray:
    """The statistic of `cnn`: see `WindowNetwork`."""
    return shipped_network()(evidence)


DETECTORS[NAME] = Detector(embolus_odds)
