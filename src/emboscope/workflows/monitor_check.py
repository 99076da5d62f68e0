"""What a model that names events is worth end to end, on simulated patients it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emboscope.annotation.soft_labels import expected_calibration_error
from emboscope.evaluation.metrics import confusion_matrix, mcc
from emboscope.evaluation.statistics import bootstrap_groups
from emboscope.events.block import Acquisition
from emboscope.events.detection import detect
from emboscope.events.event import LABELS, Event
from emboscope.events.scoring import match
from emboscope.progress import Progress, silent
from emboscope.signal.source import Source
from emboscope.simulation.recording import SimulatedRecording, SimulationSettings, simulate
from emboscope.workflows.classes import UNKNOWN, Judge, named_events

TOLERANCE_S = 0.05  # of an event to the truth
SPURIOUS, MISSED = "spurious", "missed"
ROWS, COLUMNS = (*LABELS, SPURIOUS), (*LABELS, UNKNOWN, MISSED)
_NOTHING = len(LABELS)  # the row of what is no event at all


@dataclass(frozen=True)
class Named:
    """Events that a model has named, and what they are.

    Attributes
    ----------
    truth : ndarray of int, shape (n_events,)
        Column of `LABELS`; `len(LABELS)` where nothing was put in.
    events : tuple of Event
    missed : tuple of int
        True events of each of `LABELS`, in time that could be judged, to which no event belongs.
    hours : float
        Evaluable time.
    """

    truth: np.ndarray
    events: tuple[Event, ...]
    missed: tuple[int, ...]
    hours: float

    @property
    def matrix(self) -> np.ndarray:
        """Counts, a row of `ROWS` by a column of `COLUMNS`."""
        counts = np.zeros((len(ROWS), len(COLUMNS)), int)
        said = [COLUMNS.index(event.label) for event in self.events]
        np.add.at(counts, (self.truth, np.array(said, int)), 1)
        counts[: len(LABELS), COLUMNS.index(MISSED)] = self.missed
        return counts


def truth_of(
    events: Sequence[Event], simulated: SimulatedRecording
) -> tuple[np.ndarray, np.ndarray]:
    """What each event is, and which of the true events were found.

    An embolus belongs to one event within 50 ms of its peak; what overlaps an artifact, or lies so
    near to it, and is no embolus, is an artifact.
    """
    peaks_s = np.array([event.peak_s for event in events])
    truth = np.full(len(events), _NOTHING)
    found = np.zeros(len(simulated.events), bool)
    emboli = [k for k, each in enumerate(simulated.events) if each.label != "artifact"]
    true_s = np.array([simulated.events[k].peak_s for k in emboli])
    for row, column in match(peaks_s, true_s, TOLERANCE_S):
        truth[row] = LABELS.index(simulated.events[emboli[column]].label)
        found[emboli[column]] = True
    onsets = np.array([event.onset_s for event in events])
    ends = onsets + np.array([event.duration_s for event in events])
    for k, each in enumerate(simulated.events):
        if each.label != "artifact":
            continue
        near = (onsets <= each.onset_s + each.duration_s + TOLERANCE_S) & (
            ends >= each.onset_s - TOLERANCE_S
        )
        truth[near & (truth == _NOTHING)] = LABELS.index("artifact")
        found[k] = near.any()
    return truth, found


def named_patient(judge: Judge, simulated: SimulatedRecording) -> Named:
    """Events of the default detector on one patient, named by a model."""
    recording = simulated.recording
    samples = recording.samples
    found = detect(
        lambda start, stop: samples[0, start:stop],
        samples.shape[1],
        Acquisition(recording.sfreq, recording.carrier_hz, recording.angle_deg),
    )
    source = Source(
        recording.name, recording.sfreq, samples.shape[1], recording.channels,
        lambda start, stop: samples[:, start:stop], recording.carrier_hz, recording.angle_deg,
        1540.0, recording.subject_id,
    )  # fmt: skip
    events = named_events(judge, source, found.events, recording.name)
    truth, known = truth_of(events, simulated)
    lost = [
        each
        for each, seen in zip(simulated.events, known, strict=True)
        if not seen and not any(gap.start_s <= each.peak_s <= gap.stop_s for gap in found.unusable)
    ]
    missed = tuple(sum(each.label == label for each in lost) for label in LABELS)
    return Named(truth, events, missed, found.evaluable_s / 3600)


def check_model(judge: Judge, patients: SimulationSettings, progress: Progress = silent) -> dict:
    """Figures of a model on simulated patients, end to end.

    Returns
    -------
    figures : dict
        `matrix` with `rows` and `columns`; `mcc` of found events of the three classes, whatever
        the model is sure of, with its interval over patients; `recall` and `precision` by class;
        `calibration_error`; `unknown_share`, and `right_when_answered`; of the true emboli in
        evaluable time the share that counts as one, and false emboli an evaluable hour: with the
        model, and by the criteria alone.
    """
    parts = []
    for patient in range(patients.n_patients):
        parts.append(named_patient(judge, simulate(patients, patient)))
        progress("checking on unseen patients", patient + 1, patients.n_patients)
    events = [event for part in parts for event in part.events]
    truth = np.concatenate([part.truth for part in parts])
    groups = np.concatenate([np.full(part.truth.size, k) for k, part in enumerate(parts)])
    known = truth < _NOTHING
    p = np.array([event.probabilities for event in events]).reshape(-1, len(LABELS))[known]
    y, said = truth[known], p.argmax(axis=1)
    estimate = bootstrap_groups(
        lambda rows: mcc(y[rows], said[rows]), groups[known], np.random.default_rng(0)
    )
    answered = np.array([event.label != UNKNOWN for event in events])[known]
    three = confusion_matrix(y, said, len(LABELS))
    hours = sum(part.hours for part in parts)
    counted = {
        "model": np.array([event.is_embolus for event in events]),
        "criteria": np.array([event.verdict == "embolus" for event in events]),
    }
    is_true = known & (truth != LABELS.index("artifact"))
    n_true = int(is_true.sum()) + sum(sum(part.missed[1:]) for part in parts)
    return {
        "patients": patients.n_patients,
        "hours": hours,
        "rows": list(ROWS),
        "columns": list(COLUMNS),
        "matrix": np.sum([part.matrix for part in parts], axis=0).tolist(),
        "mcc": {"mean": estimate.mean, "interval": list(estimate.interval)},
        "recall": _shares(three.diagonal(), three.sum(axis=1)),
        "precision": _shares(three.diagonal(), three.sum(axis=0)),
        "calibration_error": expected_calibration_error(p, y),
        "unknown_share": float(1 - answered.mean()),
        "right_when_answered": float((y == said)[answered].mean()),
        "emboli_counted": {
            name: float((each & is_true).sum() / max(n_true, 1)) for name, each in counted.items()
        },
        "false_emboli_per_hour": {
            name: float((each & ~is_true).sum() / hours) for name, each in counted.items()
        },
    }


def _shares(right: np.ndarray, of: np.ndarray) -> dict[str, float]:
    """Of each class; NaN where there is none."""
    return {
        label: float(part / whole) if whole else float("nan")
        for label, part, whole in zip(LABELS, right, of, strict=True)
    }
