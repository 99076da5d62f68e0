"""From found events and their recording to a report."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from emboscope.errors import DataError
from emboscope.languages import translator
from emboscope.report.items import ITEMS
from emboscope.report.monitoring import monitoring_report
from emboscope.report.pdf import check_pdf, monitoring_pdf
from emboscope.report.session import (
    NOT_RECORDED,
    DetectorNote,
    ModelNote,
    Monitoring,
    Review,
    Stretch,
    Subject,
    Velocities,
)
from emboscope.report.showers import ShowerSettings
from emboscope.report.wording import Wording
from emboscope.settings import Settings
from emboscope.signal.readers import Source, open_source
from emboscope.workflows.event_file import EventFile, parse_event_file
from emboscope.workflows.files import (
    fingerprint,
    prepare_folder,
    read_json,
    write_bytes,
    write_text,
)
from emboscope.workflows.gallery import GallerySettings, Signal, pictures

SUFFIX = ".events.json"
Q_NEGATED = "Q negated"  # how the flag of a scan begins
SAME_S = 0.01  # two lengths of one recording differ by less


class ReportSettings(Settings):
    """What a report shows."""

    gallery: GallerySettings = GallerySettings()
    showers: ShowerSettings = ShowerSettings()


@dataclass(frozen=True)
class Opening:
    """How the recording is opened: as it was for the scan, see `open_source`."""

    q_sign: str = "auto"
    sfreq: float | None = None
    layout: str = "auto"


@dataclass(frozen=True)
class ReportRequest:
    """A report to write.

    Attributes
    ----------
    out : Path
        Folder for NAME.report.html.
    name : str
        NAME: the stem of the recording, or its pseudonym.
    content : mapping
        What `NAME.events.json` holds.
    read : callable (start, stop) -> ndarray (stop - start,), complex
        Samples of the gate in which the events were sought, I + jQ.
    n_times : int
    sfreq : float
        In Hz.
    carrier_hz : float, optional
    angle_deg, sound_speed_m_s : float
    subject_id : str
        A pseudonym, or empty; `content` wins over it.
    items : mapping of str to str
        What the sidecar tells, as in `Source.items`; `content` wins over it.
    simulated : bool
        Whether there is no person; the report then says so.
    language : str
        `en`, `es` or `fr`.
    pdf : bool
        Whether NAME.report.pdf is written too.
    settings : ReportSettings
    """

    out: Path
    name: str
    content: Mapping[str, object]
    read: Callable[[int, int], np.ndarray]
    n_times: int
    sfreq: float
    carrier_hz: float | None = None
    angle_deg: float = 0.0
    sound_speed_m_s: float = 1540.0
    subject_id: str = ""
    items: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False
    language: str = "en"
    pdf: bool = False
    settings: ReportSettings = field(default_factory=ReportSettings)


def write_report(request: ReportRequest) -> Path:
    """Write NAME.report.html, and NAME.report.pdf beside it where that is asked for.

    Returns
    -------
    path : Path
        Of the HTML file.

    Raises
    ------
    SettingsError
        If the language is unknown or the folder cannot be made.
    DataError
        If `content` is not what a scan writes.
    PdfError
        If PDF is asked for and this installation cannot write it.
    """
    translator(request.language)  # a wrong language is refused before any work
    if request.pdf:
        check_pdf()
    session = _session(request, parse_event_file(request.content, request.name))
    html = monitoring_report(session, request.language, request.settings.showers)
    path = prepare_folder(request.out) / f"{request.name}.report.html"
    if request.pdf:
        write_bytes(path.with_suffix(".pdf"), monitoring_pdf(html))
    write_text(path, html)
    return path


def report_from_files(
    events_json: Path,
    recording: Path,
    out: Path,
    language: str = "en",
    pdf: bool = False,
    opening: Opening | None = None,
) -> Path:
    """The report of a finished scan.

    Parameters
    ----------
    events_json : Path
        `NAME.events.json`.
    recording : Path
        The recording that was scanned.
    out : Path
        Folder for the report.
    language : str
        `en`, `es` or `fr`.
    pdf : bool
        Whether a PDF is written too.
    opening : Opening, optional
        What was said to the scan of the file.

    Raises
    ------
    DataError
        If a file cannot be used, or the events are of another recording.
    """
    name = events_json.name.removesuffix(SUFFIX).removesuffix(".json")
    content = read_json(events_json)
    events = parse_event_file(content, name)
    carrier = events.acquisition.get("carrier_hz")
    megahertz = carrier / 1e6 if isinstance(carrier, float) else None
    said = opening or Opening(events.q_sign, None, events.layout)
    if events.fingerprint and recording.is_file() and fingerprint(recording) != events.fingerprint:
        raise DataError(
            f"events '{events_json}': of another recording than '{recording}'. "
            "Name the recording that was scanned."
        )
    source = open_source(recording, megahertz, said.q_sign, said.sfreq, said.layout)
    duration_s = source.n_times / source.sfreq
    if events.sfreq != source.sfreq or abs(events.duration_s - duration_s) > SAME_S:
        raise DataError(
            f"events '{events_json}': of {events.duration_s:.3f} s at {events.sfreq:g} Hz; "
            f"expected {duration_s:.3f} s at {source.sfreq:g} Hz, as '{recording}' has. "
            "Name the recording that was scanned."
        )
    request = request_for(source, content, recording, out / name, language)
    return write_report(replace(request, read=_reader(source, events), pdf=pdf))


def request_for(
    source: Source, content: Mapping[str, object], recording: Path, target: Path, language: str
) -> ReportRequest:
    """What the report of an open recording needs; the subject is the one that the scan wrote.

    Parameters
    ----------
    source : Source
        Of the recording, read as in the scan.
    content : mapping
        What `NAME.events.json` holds.
    recording : Path
    target : Path
        Folder of the report, and NAME.
    language : str
    """
    return ReportRequest(
        out=target.parent,
        name=target.name,
        content=content,
        read=lambda start, stop: source.read(start, stop)[0],
        n_times=source.n_times,
        sfreq=source.sfreq,
        carrier_hz=source.carrier_hz,
        angle_deg=source.angle_deg,
        sound_speed_m_s=source.sound_speed_m_s,
        subject_id=str(content.get("subject_id", source.subject_id)),
        items=source.items,
        simulated=is_simulated(recording),
        language=language,
    )


def _reader(source: Source, events: EventFile) -> Callable[[int, int], np.ndarray]:
    """Samples of the first gate, with Q negated where the scan has done so."""
    if any(flag.startswith(Q_NEGATED) for flag in events.flags):
        return lambda start, stop: source.read(start, stop)[0].conj()
    return lambda start, stop: source.read(start, stop)[0]


def is_simulated(recording: Path) -> bool:
    """Whether the sidecar, which the reader has accepted, says that there is no person."""
    beside = recording.with_suffix(".json")
    if not beside.is_file():
        return False
    return json.loads(beside.read_text(encoding="utf-8")).get("simulated") is True


def _session(request: ReportRequest, events: EventFile) -> Monitoring:
    """What the report shows, from what the scan wrote and the recording holds."""
    signal = Signal(
        request.read,
        request.n_times,
        request.sfreq,
        request.carrier_hz,
        request.angle_deg,
        request.sound_speed_m_s,
    )
    found = tuple(row.event() for row in events.events)
    items = {**request.items, **events.known}
    speed, review, model = events.velocity, events.review, events.model
    threshold = events.settings.get("threshold_db")
    return Monitoring(
        name=request.name,
        subject=_subject(events.subject_id or request.subject_id, items, request.simulated),
        items={key: items[key] for key in ITEMS if key in items},
        duration_s=events.duration_s,
        evaluable_hours=events.evaluable_hours,
        unusable=_apart(events.unusable, events.duration_s),
        flow_side=events.flow_side,
        velocities=Velocities(speed.mean_cm_s, speed.psv_cm_s, speed.edv_cm_s, speed.pi)
        if speed
        else Velocities(),
        events=found,
        detector=DetectorNote(
            events.detector,
            float(threshold) if isinstance(threshold, int | float) else float("nan"),
            dict(_flat(events.settings)),
            events.versions,
        ),
        review=Review(review.reviewers, review.reviewed, review.changes) if review else None,
        flags=events.flags,
        model=ModelNote(**model.model_dump()) if model else None,
        gallery=pictures(found, signal, Wording(request.language), request.settings.gallery),
    )


def _subject(name: str, items: Mapping[str, str | float], simulated: bool) -> Subject:
    def text(key: str) -> str:
        return str(items.get(key, NOT_RECORDED))

    return Subject(
        pseudonym=name or NOT_RECORDED,
        recorded_on=text("recorded_on"),
        start=text("start"),
        indication=text("indication"),
        side=text("side"),
        simulated=simulated,
    )


def _apart(stretches: tuple[Stretch, ...] | None, duration_s: float) -> tuple[Stretch, ...] | None:
    """Stretches in order, inside the recording, none over another."""
    if stretches is None:
        return None
    apart: list[Stretch] = []
    reached = 0.0
    for start, stop, reason in sorted(stretches):
        first, last = max(start, reached), min(stop, duration_s)
        if last > first:
            apart.append((first, last, reason))
            reached = last
    return tuple(apart)


def _flat(settings: Mapping[str, object], before: str = "") -> Iterator[tuple[str, str]]:
    """Settings one a row, groups as `group.name`."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", str(value)
