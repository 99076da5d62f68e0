"""Where detector `cnn` alarms: chosen on patients that neither train it nor judge it."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from emboscope.events.block import Acquisition, Block
from emboscope.events.detection import DETECTORS, run
from emboscope.events.event import Event
from emboscope.events.hbr import Detector
from emboscope.events.scoring import match
from emboscope.events.settings import DetectionSettings
from emboscope.events.statistics import ALARM_DB, Evidence
from emboscope.events.stream import Stream
from emboscope.progress import Progress
from emboscope.simulation.recording import SimulatedRecording, SimulationSettings, simulate
from emboscope.workflows.cnn_detector import COLUMNS, STEP_S, WindowNetwork

if TYPE_CHECKING:
    from emboscope.learning.estimator import SignalClassifier

TOLERANCE_S = 0.05  # of an event to the truth
LEAST_DB = 3.0  # of the emboli whose share is told ...
ALONE_S = 0.15  # ... and how far the next one is; what is reported near others is not judged
FIRST_ALARM = -10.0  # decibans; the search for the alarm goes upward from here
CURVE = np.arange(-10.0, 11.0, 2.0)  # decibans over the alarm, at which the card has figures
AGAINST = "hbr_recursive"


@dataclass
class Scored:
    """A network as a detector whose events remember what they reached, in decibans.

    `Event.probabilities` holds it; no event of this detector leaves this module.
    """

    network: WindowNetwork
    centers: np.ndarray = field(default_factory=lambda: np.zeros(0))
    values: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def statistic(self, evidence: Evidence) -> np.ndarray:
        """That of the network."""
        self.centers, self.values = evidence.centers, self.network(evidence)
        return self.values

    def judge(self, event: Event, block: Block, acquisition: Acquisition) -> Event:
        """The same event, with the largest log-odds around its peak."""
        at = (event.peak_s - block.start_s) * acquisition.sfreq
        near = np.abs(self.centers - at) <= COLUMNS * STEP_S / 2 * acquisition.sfreq
        reached = float(self.values[near].max()) - ALARM_DB + self.network.alarm
        return replace(event, probabilities=(reached,))


@dataclass(frozen=True)
class Emboli:
    """Emboli that a detector reports on some patients.

    Attributes
    ----------
    right, false : ndarray
        What each reached: those that are true, alone and of `LEAST_DB` or more, and those that
        are not.
    n_true : int
        True emboli that are alone and of `LEAST_DB` or more.
    hours : float
        Evaluable time.
    """

    right: np.ndarray
    false: np.ndarray
    n_true: int
    hours: float

    def figures(self, alarm: float) -> dict[str, float]:
        """Sensitivity and false emboli an evaluable hour over an alarm."""
        return {
            "sensitivity": float((self.right > alarm).sum() / max(self.n_true, 1)),
            "false_per_hour": float((self.false > alarm).sum() / self.hours),
        }


def emboli_of(detector: Detector, simulated: SimulatedRecording) -> Emboli:
    """What a detector reports on one patient."""
    recording = simulated.recording
    acquisition = Acquisition(recording.sfreq, recording.carrier_hz, recording.angle_deg)
    signal = recording.samples[0]
    stream = Stream(acquisition, DetectionSettings(), detector)
    found = run(stream, lambda start, stop: signal[start:stop], signal.size)
    emboli = [event for event in found.events if event.is_embolus]
    reached = np.array([max(event.probabilities, default=np.inf) for event in emboli])
    peaks_s = np.array([event.peak_s for event in emboli])
    true = [each for each in simulated.events if each.label != "artifact"]
    true_s = np.array([each.peak_s for each in true])
    alone = np.array([np.sum(np.abs(true_s - at) < ALONE_S) == 1 for at in true_s], bool)
    counted = alone & np.array([each.ebr_db >= LEAST_DB for each in true], bool)
    pairs = match(peaks_s, true_s, TOLERANCE_S)
    crowd_s = true_s[~alone]
    false = np.array([k not in pairs[:, 0] for k in range(peaks_s.size)], bool)
    false &= np.array([np.all(np.abs(crowd_s - at) > ALONE_S) for at in peaks_s], bool)
    right = reached[pairs[counted[pairs[:, 1]], 0]]
    return Emboli(right, reached[false], int(counted.sum()), found.evaluable_s / 3600)


def together(parts: list[Emboli]) -> Emboli:
    """Of several patients."""
    return Emboli(
        np.concatenate([each.right for each in parts]),
        np.concatenate([each.false for each in parts]),
        sum(each.n_true for each in parts),
        sum(each.hours for each in parts),
    )


def alarm_at(emboli: Emboli, false_per_hour: float) -> float:
    """The lowest alarm with at most so many false emboli an hour."""
    allowed = round(false_per_hour * emboli.hours)
    ordered = np.sort(emboli.false)[::-1]
    return float(ordered[allowed]) if allowed < ordered.size else FIRST_ALARM


def choose_alarm(
    classifier: "SignalClassifier", patients: SimulationSettings, progress: Progress
) -> dict:
    """The alarm with as many false emboli an hour as the default detector, and what it gives.

    Returns
    -------
    chosen : dict
        `alarm_decibans`, and `validation` with the figures of both detectors.
    """
    scored = Scored(WindowNetwork(classifier, FIRST_ALARM))
    ours, theirs = [], []
    for patient in range(patients.n_patients):
        simulated = simulate(patients, patient)
        ours.append(emboli_of(Detector(scored.statistic, scored.judge), simulated))
        theirs.append(emboli_of(DETECTORS[AGAINST], simulated))
        progress("choosing the alarm", patient + 1, patients.n_patients)
    network, default = together(ours), together(theirs)
    reference = default.figures(-np.inf)
    alarm = alarm_at(network, reference["false_per_hour"])
    return {
        "alarm_decibans": alarm,
        "validation": {
            "hours": network.hours,
            "emboli": network.n_true,
            "cnn": network.figures(alarm),
            AGAINST: reference,
            "froc": [
                {"alarm_decibans": float(each), **network.figures(each)} for each in alarm + CURVE
            ],
        },
    }
