"""Training of the network of detector `cnn`, on simulated patients alone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import Field, PositiveInt

from emboscope.events.analysis import DetectorState
from emboscope.events.block import Acquisition, Block
from emboscope.events.hbr import Detector, process_block
from emboscope.events.settings import DetectionSettings
from emboscope.events.statistics import Evidence
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.loop import TrainSettings
from emboscope.progress import Progress, silent
from emboscope.settings import Settings
from emboscope.simulation.patient import SIMULATOR_VERSION
from emboscope.simulation.recording import SimulatedRecording, SimulationSettings, simulate
from emboscope.workflows.cnn_alarm import choose_alarm
from emboscope.workflows.cnn_detector import CLASSES, COLUMNS, STEP_S, windows
from emboscope.workflows.files import write_json

FORMAT_VERSION = 1
LEAST_DB = 3.0  # of an embolus that teaches
MIDDLE_S = COLUMNS * STEP_S / 4  # to both sides: the middle half of a window
REACH_S = COLUMNS * STEP_S / 2  # from the middle of a window: inside it


class WindowTrainingSettings(Settings):
    """Which patients are simulated, and how the network learns. No benchmark uses these seeds."""

    training: SimulationSettings = SimulationSettings(
        n_patients=120, minutes=5, rate_factor=400, seed=7100
    )
    validation: SimulationSettings = SimulationSettings(
        n_patients=32, minutes=8, rate_factor=30, seed=7200
    )
    most: PositiveInt = 20  # windows of a class and block of 30 s
    loud_share: float = Field(default=0.5, ge=0, le=1)  # of those: the loudest; the rest by chance
    width: PositiveInt = 24  # filters of the first convolution
    epochs: PositiveInt = 16
    random_state: int = 0


def blocks(simulated: SimulatedRecording) -> Iterator[tuple[Evidence, float]]:
    """What a detector sees of each whole block of a recording, and when the block starts."""
    recording, settings = simulated.recording, DetectionSettings()
    acquisition = Acquisition(recording.sfreq, recording.carrier_hz, recording.angle_deg)
    seen: list[Evidence] = []

    def look(evidence: Evidence) -> np.ndarray:
        seen.append(evidence)
        return np.zeros(evidence.centers.size)

    state, step = DetectorState(), round(settings.block_s * recording.sfreq)
    for start in range(0, recording.samples.shape[1] - step + 1, step):
        seen.clear()
        at = start / recording.sfreq
        block = Block(recording.samples[:1, start : start + step], at, at, at + settings.block_s)
        process_block(block, acquisition, state, settings, Detector(look))
        if len(seen) == 1:  # the side of the flow is known
            yield seen[0], at


def labels_of(middle_s: np.ndarray, simulated: SimulatedRecording) -> np.ndarray:
    """Class of each window by what happens in its middle; -1 where it is only touched.

    Parameters
    ----------
    middle_s : ndarray, shape (n_windows,)
        In the recording, in seconds.
    simulated : SimulatedRecording
        An embolus under `LEAST_DB` teaches nothing: its windows are -1 too.
    """
    labels = np.full(middle_s.size, CLASSES.index("normal"))
    artifacts = [each for each in simulated.events if each.label == "artifact"]
    emboli = [each for each in simulated.events if each.label != "artifact"]
    spans = [(each.onset_s, each.onset_s + each.duration_s) for each in artifacts]
    for start_s, stop_s in spans:
        labels[(middle_s > start_s - REACH_S) & (middle_s < stop_s + REACH_S)] = -1
    for start_s, stop_s in spans:
        inside = (middle_s > start_s - MIDDLE_S) & (middle_s < stop_s + MIDDLE_S)
        labels[inside] = CLASSES.index("artifact")
    for each in emboli:
        labels[np.abs(middle_s - each.peak_s) < REACH_S + each.duration_s / 2] = -1
    for each in emboli:
        if each.ebr_db >= LEAST_DB:
            labels[np.abs(middle_s - each.peak_s) <= MIDDLE_S] = CLASSES.index("embolus")
    return labels


def patient_windows(
    simulated: SimulatedRecording, settings: WindowTrainingSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Images and classes of the windows of one patient that teach; see `windows`."""
    images, labels = [], []
    for evidence, start_s in blocks(simulated):
        cut, middle = windows(evidence)
        own = labels_of(start_s + middle / simulated.recording.sfreq, simulated)
        level = cut[:, 0].mean(axis=1).max(axis=1)  # of the loudest column
        kept = np.concatenate([
            _some(np.flatnonzero(own == label), level, settings, rng)
            for label in range(len(CLASSES))
        ])
        images.append(cut[kept])
        labels.append(own[kept])
    if not labels:  # nothing of it could be judged
        return np.zeros((0, 1, 1, 1), np.float32), np.zeros(0, np.int64)
    return np.concatenate(images), np.concatenate(labels)


def _some(
    rows: np.ndarray, level: np.ndarray, settings: WindowTrainingSettings, rng: np.random.Generator
) -> np.ndarray:
    """At most `most` of the rows: the loudest ones, and others by chance."""
    if rows.size <= settings.most:
        return rows
    ordered = rows[np.argsort(-level[rows])]
    n_loud = round(settings.loud_share * settings.most)
    by_chance = rng.choice(ordered[n_loud:], settings.most - n_loud, replace=False)
    return np.concatenate([ordered[:n_loud], by_chance])


def train_window_detector(
    folder: Path, settings: WindowTrainingSettings | None = None, progress: Progress = silent
) -> dict:
    """Train the network of detector `cnn` and write it with its card.

    The alarm is chosen on the validation patients: as many false emboli an hour as the default
    detector reports on them at its own alarm.

    Parameters
    ----------
    folder : Path
        For `weights.safetensors`, `network.json` and `card.json`.
    settings : WindowTrainingSettings, optional
    progress : callable

    Returns
    -------
    card : dict
        What stands in `card.json`.
    """
    settings = settings or WindowTrainingSettings()
    images, labels, patients = _training_windows(settings, progress)
    classifier = SignalClassifier(
        "cnn2d_compact",
        network=NetworkSettings(compact_width=settings.width),
        training=TrainSettings(epochs=settings.epochs),
        random_state=settings.random_state,
        device="cpu",
    )
    classifier.fit({"spectrogram": images}, labels, patients, progress=progress)
    chosen = choose_alarm(classifier, settings.validation, progress)
    classifier.save(folder)
    card = {
        "format_version": FORMAT_VERSION,
        "what": "detector cnn of emboscope: windows of artifact, embolus and normal flow",
        "trained_on": "simulated patients alone",
        "simulator_version": SIMULATOR_VERSION,
        "settings": settings.model_dump(mode="json"),
        "windows": dict(zip(CLASSES, np.bincount(labels).tolist(), strict=True)),
        "parameters": sum(each.numel() for each in classifier.network_.parameters()),
        **chosen,
    }
    write_json(folder / "card.json", card)
    return card


def _training_windows(
    settings: WindowTrainingSettings, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, classes and patients of all windows that teach."""
    rng = np.random.default_rng(settings.random_state)
    parts, n_patients = [], settings.training.n_patients
    for patient in range(n_patients):
        images, labels = patient_windows(simulate(settings.training, patient), settings, rng)
        if labels.size:
            parts.append((images, labels, np.full(labels.size, patient)))
        progress("simulating patients", patient + 1, n_patients)
    images, labels, patients = (np.concatenate(each) for each in zip(*parts, strict=True))
    return images, labels, patients
