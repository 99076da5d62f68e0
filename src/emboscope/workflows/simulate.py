"""Simulated patients as WAV files with the truth beside them."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from emboscope.errors import SettingsError
from emboscope.progress import Progress, silent
from emboscope.signal.writers import WavWriter
from emboscope.simulation.device import MIRRORED
from emboscope.simulation.patient import SIMULATOR_VERSION
from emboscope.simulation.settings import SimulationSettings, check_settings
from emboscope.simulation.stream import SimulatedStream
from emboscope.workflows.files import FORMAT_VERSION, NOTICE, prepare_folder, write_json

LONG_S = 3600


@dataclass(frozen=True)
class SimulateResult:
    """What was simulated."""

    folder: str
    files: tuple[str, ...]
    minutes: float
    events: dict[str, int]


def truth(source: SimulatedStream) -> dict:
    """Content of the sidecar of a simulated recording, all blocks of which have been read."""
    patient, session, settings = source.patient, source.session, source.settings
    faults = [] if settings.fault == "none" else [settings.fault]
    return {
        "format_version": FORMAT_VERSION,
        "notice": NOTICE,
        "simulated": True,
        "sfreq": settings.sfreq,
        "carrier_hz": patient.center.carrier_hz,
        "sound_speed_m_s": 1540.0,
        "angle_deg": session.angle_deg,
        "sample_volume_mm": session.sample_volume_mm,
        "depth_mm": session.depth_mm,
        "channels": [channel.name for channel in source.channels],
        "gates": settings.gates,
        "gate_spacing_mm": session.gate_spacing_mm if settings.gates == 2 else None,
        "second_carrier": _second_carrier(source),
        "q_sign": "-" if settings.fault in MIRRORED else "+",
        "faults": faults,
        "adc_bits": patient.center.adc_bits,
        "mains_hz": patient.center.mains_hz,
        "seed": settings.seed,
        "version": SIMULATOR_VERSION,
        "subject_id": patient.subject_id,
        "centre": patient.center.name,
        "age": patient.age,
        "indication": patient.indication,
        "start_hour": session.start_hour,
        "settings": settings.model_dump(mode="json"),
        "dropouts": [asdict(dropout) for dropout in source.plan.dropouts],
        "events": [asdict(event) for event in source.events],
    }


def _second_carrier(source: SimulatedStream) -> dict | None:
    """Frequency of the second channel's carrier; its ratios are derived from theory."""
    if not source.settings.second_carrier:
        return None
    carrier_hz = source.patient.center.carrier_hz * source.channels[1].carrier_ratio
    return {"carrier_hz": carrier_hz, "derived": True}


def simulate_folder(
    folder: Path, settings: SimulationSettings, progress: Progress = silent
) -> SimulateResult:
    """Write one WAV (I and Q of each channel in turn) and one JSON a patient.

    Raises
    ------
    SettingsError
        If the settings exclude each other, or the folder already holds a recording of one of these
        patients.
    """
    check_settings(settings)
    prepare_folder(folder)
    names = [f"sim-{index + 1:03d}" for index in range(settings.n_patients)]
    taken = [name for name in names if (folder / f"{name}.wav").exists()]
    if taken:
        raise SettingsError(
            f"folder '{folder}': {taken[0]}.wav is already there. Choose an empty folder."
        )
    counts: Counter[str] = Counter()
    for index, name in enumerate(names):
        source = SimulatedStream(settings, index)
        write_stream(folder / f"{name}.wav", source, progress)
        write_json(folder / f"{name}.json", truth(source))
        counts.update(event.label for event in source.events)
        progress("simulating", index + 1, settings.n_patients)
    return SimulateResult(
        str(folder), tuple(f"{name}.wav" for name in names), settings.minutes, dict(counts)
    )


def write_stream(path: Path, source: SimulatedStream, progress: Progress = silent) -> None:
    """Write the blocks as they are made; 24 bits where the converter has them, else 16.

    Of a recording over an hour the seconds that are done are reported.

    Raises
    ------
    DataError
        If the sampling frequency is not whole: the header cannot hold it.
    """
    subtype = "PCM_24" if source.patient.center.adc_bits > 16 else "PCM_16"
    sfreq, n_columns = source.settings.sfreq, 2 * source.n_channels
    report = progress if source.n_times > LONG_S * sfreq else silent
    done = 0
    with WavWriter(path, sfreq, n_columns, subtype, source.n_times) as file:
        for block in source.blocks():
            file.write(block)
            done += block.shape[1]
            report(path.stem, round(done / sfreq), round(source.n_times / sfreq))
