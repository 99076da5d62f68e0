"""All that is received without events: blood, another vessel, wall, thump and thermal noise."""

import numpy as np

from emboscope.simulation.course import Course, Flow
from emboscope.simulation.flow import WINDOW, FlowTable, spectral_template
from emboscope.simulation.patient import Patient, Session

OTHER_VELOCITY = 0.8  # of another vessel, over the insonated one
FASTEST = 1.8  # largest velocity that is tabulated, over the systole of the patient


class Backdrop:
    """Spectra of one channel, frame by frame.

    Parameters
    ----------
    patient, session : Patient, Session
    course : Course
    sfreq : float
        In Hz.
    scale : float
        Doppler frequencies over those of the course: 1, or the ratio of two carriers.
    """

    def __init__(
        self, patient: Patient, session: Session, course: Course, sfreq: float, scale: float = 1.0
    ) -> None:
        heart = patient.heart
        mean_hz = scale * heart.mean_cm_s * float(course.hz_per_cm_s(np.zeros(1))[0])
        template = spectral_template(patient.profile_exponent, patient.broadening)
        highest = FASTEST * mean_hz * (1 + heart.pulsatility)
        self._table = FlowTable(template, highest, sfreq)
        self._scale = scale
        self._other = _power(session.other_vessel_db)
        self._wall, self._thump = _power(session.clutter_db), _power(session.thump_db)
        occupied = min(1.0, mean_hz / sfreq)
        self._noise = 10 ** ((session.level_db - patient.snr_db) / 10) / occupied
        self._shapes = _narrow_spectra(session.clutter_hz, sfreq)

    def power(self, flow: Flow) -> np.ndarray:
        """Power of each bin, (n_frames, WINDOW) float32, in full scale squared.

        Parameters
        ----------
        flow : Flow
            At the centers of the frames.
        """
        largest = self._scale * flow.largest_hz
        power = self._table.rows(largest)
        if self._other:
            power += np.float32(self._other) * self._table.rows(OTHER_VELOCITY * largest, away=True)
        blood = flow.amplitude**2
        power *= blood.astype(np.float32)[:, None]
        beat = (0.7 + 0.3 * np.cos(2 * np.pi * (flow.phase - 0.1))) ** 2
        burst = np.exp(-(((flow.phase - 0.1) / 0.02) ** 2))
        parts = [blood * self._wall * beat, blood * self._thump * burst, self._noise * flow.gain**2]
        power += np.stack(parts, axis=1).astype(np.float32) @ self._shapes
        return power


def _power(level_db: float | None) -> float:
    return 0.0 if level_db is None else 10 ** (level_db / 10)


def _narrow_spectra(wall_hz: float, sfreq: float) -> np.ndarray:
    """Of wall, thump and noise, (3, WINDOW) float32, rows of sum 1."""
    freqs = np.abs(np.fft.fftfreq(WINDOW, 1 / sfreq))
    wall = np.exp(-((2 * freqs / wall_hz) ** 2)) / (1 + (freqs / 10) ** 2)
    thump = np.exp(-((freqs / 90) ** 2))
    shapes = np.stack([wall, thump, np.ones(WINDOW)])
    return (shapes / shapes.sum(axis=1, keepdims=True)).astype(np.float32)
