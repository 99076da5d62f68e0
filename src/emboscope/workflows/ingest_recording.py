"""One recording into a study: its candidates, their segments, both views, the 14 items."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emboscope.datasets.hits import front_end
from emboscope.errors import DataError
from emboscope.events.event import Event
from emboscope.progress import Progress
from emboscope.representations.front_end import FrontEnd
from emboscope.signal.source import Source
from emboscope.signal.writers import WavWriter
from emboscope.store.recordings import SEGMENTS, RecordingInfo
from emboscope.store.study import Study
from emboscope.store.tables import NUMBER_ITEMS, TEXT_ITEMS
from emboscope.workflows.event_file import EventFile, parse_event_file
from emboscope.workflows.files import read_json, write_json
from emboscope.workflows.one_scan import NOT_RECORDED, ScanOptions, open_for, scan_recording
from emboscope.workflows.segments import cut_segments

COPY_S = 30.0  # of signal that is copied at a time
SPECTROGRAM = "spectrogram"  # kind of array, like SEGMENTS
NO_SUBJECT = "no subject_id: a patient of its own"


@dataclass(frozen=True)
class Arrival:
    """A recording that is to be ingested.

    Attributes
    ----------
    path : Path
    sha256 : str
        Of the file.
    name, subject : str
        Pseudonyms.
    """

    path: Path
    sha256: str
    name: str
    subject: str


@dataclass(frozen=True)
class Ingested:
    """What came of it."""

    info: RecordingInfo
    ids: np.ndarray


def ingest_recording(
    study: Study, arrival: Arrival, options: ScanOptions, copy: bool, progress: Progress
) -> Ingested:
    """Find the candidates of a recording, cut them out, and add all of it to the study at once.

    The search goes on where it was stopped. Until all is done the tables tell of nothing.

    Raises
    ------
    DataError
        If the recording cannot be used, or one of its name is in the study.
    """
    folder = study.path / "derived" / "events"
    scan_recording(arrival.path, arrival.name, folder, options, progress)
    content, events = _found(folder / f"{arrival.name}.events.json")
    source = open_for(arrival.path, options)
    chain = front_end()
    segments = cut_segments(source, [event.peak_s for event in events], chain)
    where = arrival.path.resolve()
    if copy:
        where = copy_recording(source, study.path, arrival).relative_to(study.path)
    info = _info(arrival, str(where), copy, content)
    if not source.subject_id.strip():
        info = replace(info, flags=(*info.flags, NO_SUBJECT))
    return Ingested(info, study.add_recording(info, events, arrays_of(segments, chain)))


def restore_arrays(
    study: Study, arrival: Arrival, options: ScanOptions, name: str, progress: Progress
) -> bool:
    """Make the array files of a recording again where one is missing; whether one was.

    Parameters
    ----------
    name : str
        Of the recording in the study.

    Raises
    ------
    DataError
        If they do not become what they were.
    """
    derived = study.path / "derived"
    missing = [
        file
        for file in study.made_from(name)
        if file.startswith((f"{SEGMENTS}-", f"{SPECTROGRAM}-")) and not (derived / file).is_file()
    ]
    if not missing:
        return False
    path = derived / "events" / f"{name}.events.json"
    if not path.is_file():
        scan_recording(arrival.path, name, path.parent, options, progress)
    _, events = _found(path)
    chain = front_end()
    peaks_s = [event.peak_s for event in events]
    segments = cut_segments(open_for(arrival.path, options), peaks_s, chain)
    written = study.write_again(arrays_of(segments, chain))
    lost = set(missing) - set(written)
    if lost:
        raise DataError(
            f"array file '{derived / min(lost)}': missing, and the recording no longer leads to "
            "it; expected the same signal, options and versions. Restore it from a copy."
        )
    return True


def _found(path: Path) -> tuple[EventFile, list[Event]]:
    """What a scan wrote of a recording, and the events in it."""
    content = parse_event_file(read_json(path), path.name.removesuffix(".events.json"))
    return content, [row.event() for row in content.events]


def arrays_of(
    segments: np.ndarray, chain: FrontEnd
) -> dict[str, tuple[np.ndarray, dict[str, object]]]:
    """What is kept of the segments: I and Q as they were cut, and the spectrogram."""
    if len(segments) == 0:
        return {}
    whole = chain.model_dump(mode="json")
    cut = chain.model_dump(mode="json", exclude={"views"})
    spectrogram = chain.compute(segments)["spectrogram"]
    return {SEGMENTS: (segments, cut), SPECTROGRAM: (spectrogram, whole)}


def copy_recording(source: Source, study: Path, arrival: Arrival) -> Path:
    """Write the samples anew as `raw/NAME.wav`, with what is known beside; no header comes along.

    32-bit floating point, so that every sample stays what it is. Q has its true sign.
    """
    path = study / "raw" / f"{arrival.name}.wav"
    path.parent.mkdir(exist_ok=True)
    step = round(COPY_S * source.sfreq)
    n_channels = 2 * len(source.channels)
    with WavWriter(path, source.sfreq, n_channels, "FLOAT", source.n_times) as writer:
        for start in range(0, source.n_times, step):
            writer.write(source.read(start, min(start + step, source.n_times)))
    known = {
        "carrier_hz": source.carrier_hz,
        "angle_deg": source.angle_deg,
        "sound_speed_m_s": source.sound_speed_m_s,
        "q_sign": "+",
        "layout": "iq",
        "subject_id": arrival.subject,
        **source.items,
    }
    told = {key: value for key, value in known.items() if value is not None}
    write_json(path.with_suffix(".json"), {"format_version": 1, **told})
    return path


def check_copy(path: Path, source: Source) -> None:
    """DataError if a recording cannot be copied."""
    if source.sfreq != round(source.sfreq):
        raise DataError(
            f"recording '{path}': {source.sfreq} Hz; expected whole Hz, which a WAV header holds. "
            "Leave out --copy."
        )


def _info(arrival: Arrival, where: str, copied: bool, content: EventFile) -> RecordingInfo:
    """What the tables tell of a recording."""
    known = {
        name: value
        for name, value in content.acquisition.items()
        if value is not None and value not in {"", NOT_RECORDED}
    }
    items: dict[str, str | float] = {name: str(known[name]) for name in TEXT_ITEMS if name in known}
    items |= {name: float(known[name]) for name in NUMBER_ITEMS if name in known}
    return RecordingInfo(
        name=arrival.name,
        subject=arrival.subject,
        path=where,
        copied=copied,
        sha256=arrival.sha256,
        sfreq=content.sfreq,
        duration_s=content.duration_s,
        evaluable_s=3600 * content.evaluable_hours,
        flags=content.flags,
        items=items,
    )
