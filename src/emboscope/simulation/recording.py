"""A simulated recording and the truth about it.

z = ADC(IQ error(blood + clutter + emboli + artifacts + noise)).
"""

from dataclasses import dataclass

import numpy as np

from emboscope.signal.recording import Recording
from emboscope.simulation.patient import Patient, Session
from emboscope.simulation.settings import SimulationSettings
from emboscope.simulation.stream import SimulatedStream
from emboscope.simulation.truth import TrueEvent

__all__ = ["SimulatedRecording", "SimulationSettings", "TrueEvent", "simulate", "stream"]


@dataclass(frozen=True)
class SimulatedRecording:
    """A recording, its patient and session, and all events in it, ordered by time."""

    recording: Recording
    patient: Patient
    session: Session
    events: tuple[TrueEvent, ...]


def stream(settings: SimulationSettings, index: int) -> SimulatedStream:
    """Recording of patient `index` to be read block by block, in constant memory."""
    return SimulatedStream(settings, index)


def simulate(settings: SimulationSettings, index: int) -> SimulatedRecording:
    """Recording of patient `index`; the same for the same settings, alone or among others.

    Raises
    ------
    SettingsError
        For an unknown preset or indication, or options that exclude each other.
    """
    source = stream(settings, index)
    recording = Recording(
        samples=np.concatenate(list(source.blocks()), axis=1),
        sfreq=settings.sfreq,
        channels=tuple(channel.name for channel in source.channels),
        unit="full scale",
        subject_id=source.patient.subject_id,
        carrier_hz=source.patient.center.carrier_hz,
        angle_deg=source.session.angle_deg,
        name=source.patient.subject_id,
    )
    return SimulatedRecording(recording, source.patient, source.session, source.events)
