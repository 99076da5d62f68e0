"""What a scan can write beside its events: sound, annotations, a report."""

from collections.abc import Callable
from dataclasses import dataclass
from glob import escape as glob_escape
from pathlib import Path

from emboscope.errors import SettingsError
from emboscope.events.event import Event
from emboscope.events.stream import Detection
from emboscope.languages import translator
from emboscope.registry import Registry
from emboscope.signal.annotations import (
    Annotation,
    write_edf_annotations,
    write_wfdb_annotations,
)
from emboscope.signal.audio import write_clip
from emboscope.signal.readers import Source
from emboscope.workflows.files import prepare_folder

STALE = (".annotations.edf", ".atr", ".report.html", ".report.pdf")
CLIP_S = 0.5  # on each side of the peak


@dataclass(frozen=True)
class Extras:
    """What is written beside the events.

    Attributes
    ----------
    clips : bool
        `NAME.clips/`, one WAV an event, towards left and away right.
    annotations : str, optional
        `edf` (`NAME.annotations.edf`) or `wfdb` (`NAME.atr`).
    report : bool
        `NAME.report.html`.
    language : str
        Of the report.
    """

    clips: bool = False
    annotations: str | None = None
    report: bool = False
    language: str = "en"


@dataclass(frozen=True)
class Finding:
    """What is known of a recording once it is scanned."""

    name: str
    path: Path
    source: Source
    detection: Detection
    content: dict


ANNOTATIONS: Registry[Callable[[Path, Finding, list[Annotation]], None]] = Registry("annotations")


def _edf(out: Path, finding: Finding, notes: list[Annotation]) -> None:
    path = out / f"{finding.name}.annotations.edf"
    write_edf_annotations(path, notes, finding.detection.duration_s)


def _wfdb(out: Path, finding: Finding, notes: list[Annotation]) -> None:
    write_wfdb_annotations(
        out / f"{finding.name}.atr", notes, finding.source.sfreq, finding.detection.duration_s
    )


ANNOTATIONS["edf"] = _edf
ANNOTATIONS["wfdb"] = _wfdb


def check_extras(extras: Extras) -> None:
    """Refuse an unknown form of annotations or language before any work.

    Raises
    ------
    SettingsError
    """
    if extras.annotations is not None and extras.annotations not in ANNOTATIONS:
        raise SettingsError(
            f"--annotations '{extras.annotations}': unknown; expected {' or '.join(ANNOTATIONS)}."
        )
    translator(extras.language)


def write_extras(finding: Finding, out: Path, extras: Extras) -> None:
    """Write what is wanted beside the events, in place of what an earlier scan wrote."""
    for stale in (*out.glob(f"{glob_escape(finding.name)}.clips/*.wav"), *(
        out / f"{finding.name}{suffix}" for suffix in STALE
    )):  # fmt: skip
        stale.unlink(missing_ok=True)
    events, duration_s = finding.detection.events, finding.detection.duration_s
    if extras.annotations is not None and events:
        notes = [annotation_of(event, duration_s) for event in events]
        ANNOTATIONS[extras.annotations](out, finding, notes)
    if extras.clips:
        _write_clips(finding, out)
    if extras.report:
        _write_report(finding, out, extras.language)


def annotation_of(event: Event, duration_s: float) -> Annotation:
    """An event as a note within the recording: what it is, and how strong."""
    what, bound = event.label or event.verdict, ">=" if event.saturated else ""
    onset = max(event.onset_s, 0.0)
    length = min(event.duration_s, duration_s - onset)
    return Annotation(onset, length, f"{what} {bound}{event.hbr_db:.1f} dB")


def _write_clips(finding: Finding, out: Path) -> None:
    """A second of sound around each event, named by its time and what it is."""
    folder = prepare_folder(out / f"{finding.name}.clips")
    source = finding.source
    for event in finding.detection.events:
        center, reach = round(event.peak_s * source.sfreq), round(CLIP_S * source.sfreq)
        samples = source.read(max(0, center - reach), min(center + reach, source.n_times))[0]
        name = f"{event.peak_s:010.3f}-{event.label or event.verdict}.wav"
        write_clip(folder / name, samples, source.sfreq)


def _write_report(finding: Finding, out: Path, language: str) -> None:
    from emboscope.workflows.report import request_for, write_report

    target = out / finding.name
    write_report(request_for(finding.source, finding.content, finding.path, target, language))
