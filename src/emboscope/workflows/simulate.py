"""Simulated patients as stereo WAV files with the truth beside them."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from emboscope.errors import SettingsError
from emboscope.progress import Progress, silent
from emboscope.signal.readers import write_wav
from emboscope.simulation.patient import SIMULATOR_VERSION
from emboscope.simulation.recording import SimulatedRecording, SimulationSettings, simulate
from emboscope.workflows.files import FORMAT_VERSION, NOTICE, prepare_folder, write_json


@dataclass(frozen=True)
class SimulateResult:
    """What was simulated."""

    folder: str
    files: tuple[str, ...]
    minutes: float
    events: dict[str, int]


def truth(simulated: SimulatedRecording, settings: SimulationSettings) -> dict:
    """Content of the sidecar of a simulated recording."""
    patient, recording = simulated.patient, simulated.recording
    return {
        "format_version": FORMAT_VERSION,
        "notice": NOTICE,
        "simulated": True,
        "sfreq": recording.sfreq,
        "carrier_hz": recording.carrier_hz,
        "sound_speed_m_s": recording.sound_speed_m_s,
        "angle_deg": recording.angle_deg,
        "sample_volume_mm": patient.sample_volume_mm,
        "depth_mm": patient.depth_mm,
        "q_sign": "+",
        "seed": settings.seed,
        "version": SIMULATOR_VERSION,
        "subject_id": patient.subject_id,
        "centre": patient.center.name,
        "indication": patient.indication,
        "settings": settings.model_dump(mode="json"),
        "events": [asdict(event) for event in simulated.events],
    }


def simulate_folder(
    folder: Path, settings: SimulationSettings, progress: Progress = silent
) -> SimulateResult:
    """Write one WAV (channel 1 = I, channel 2 = Q) and one JSON a patient.

    Raises
    ------
    SettingsError
        If the folder already holds a recording of one of these patients.
    """
    prepare_folder(folder)
    names = [f"sim-{index + 1:03d}" for index in range(settings.n_patients)]
    taken = [name for name in names if (folder / f"{name}.wav").exists()]
    if taken:
        raise SettingsError(
            f"folder '{folder}': {taken[0]}.wav is already there. Choose an empty folder."
        )
    counts: Counter[str] = Counter()
    for index, name in enumerate(names):
        simulated = simulate(settings, index)
        write_json(folder / f"{name}.json", truth(simulated, settings))
        write_wav(folder / f"{name}.wav", simulated.recording.samples[0], simulated.recording.sfreq)
        counts.update(event.label for event in simulated.events)
        progress("simulating", index + 1, settings.n_patients)
    return SimulateResult(
        str(folder), tuple(f"{name}.wav" for name in names), settings.minutes, dict(counts)
    )
