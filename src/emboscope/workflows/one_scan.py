"""One recording in, its events out; what is known so far is kept, to go on after an interrupt."""

import hashlib
import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from emboscope.errors import DataError
from emboscope.events.block import Acquisition
from emboscope.events.detection import StreamingDetector, run
from emboscope.events.settings import DetectionSettings
from emboscope.events.stream import Detection
from emboscope.progress import Progress
from emboscope.signal.doppler import flow_side, velocity
from emboscope.signal.readers import Source, open_source
from emboscope.signal.spectrum import HighPass, stft
from emboscope.workflows.classes import (
    ClassOptions,
    class_flags,
    count_labels,
    load_judge,
    named_events,
)
from emboscope.workflows.cnn_detector import LEARNED_ON
from emboscope.workflows.extras import Extras, Finding, write_extras
from emboscope.workflows.files import (
    FORMAT_VERSION,
    NOTICE,
    event_row,
    fingerprint,
    versions,
    write_events_csv,
    write_json,
    write_text,
)

NOT_RECORDED = "not recorded"
FLOW_LOOK_S = 10.0  # of signal that tells the side of the flow


@dataclass(frozen=True)
class ScanOptions:
    """What the user says about the recordings and the search.

    Attributes
    ----------
    carrier_mhz : float, optional
        Wins over the sidecar.
    q_sign : str
        `auto`, `+` or `-`.
    layout : str
        `auto`, `iq` or `forward_reverse`.
    flow : str, optional
        `towards` or `away`; found where it is not declared.
    sfreq : float, optional
        For files that do not say it.
    detector : str
        A name in `DETECTORS`.
    settings : DetectionSettings
    extras : Extras
    classes : ClassOptions, optional
        By which model the events are named; none otherwise.
    """

    carrier_mhz: float | None = None
    q_sign: str = "auto"
    layout: str = "auto"
    flow: str | None = None
    sfreq: float | None = None
    detector: str = "hbr_recursive"
    settings: DetectionSettings = field(default_factory=DetectionSettings)
    extras: Extras = field(default_factory=Extras)
    classes: ClassOptions | None = None


@dataclass(frozen=True)
class ScanRow:
    """What was found in one recording."""

    name: str
    duration_s: float
    evaluable_s: float
    flow_side: str | None
    flags: tuple[str, ...]
    counts: dict[str, int]
    events_file: str
    labels: dict[str, int] = field(default_factory=dict)


def open_for(path: Path, options: ScanOptions) -> Source:
    """Open a recording as the options say."""
    return open_source(
        path,
        carrier_mhz=options.carrier_mhz,
        q_sign=options.q_sign,
        sfreq=options.sfreq,
        layout=options.layout,
    )


def acquisition_of(source: Source, flow: str | None) -> Acquisition:
    """What the detector needs to know of a source."""
    return Acquisition(
        source.sfreq, source.carrier_hz, source.angle_deg, source.sound_speed_m_s, flow
    )


def with_flow_as_declared(source: Source, options: ScanOptions) -> tuple[Source, tuple[str, ...]]:
    """The source with Q negated where its flow is clearly on the other side than declared.

    Only with `flow` declared, `q_sign` auto, and no sign in the sidecar; else the contradiction
    stays. The flag says which.
    """
    if options.flow is None:
        return source, ()
    start = source.read(0, min(source.n_times, round(FLOW_LOOK_S * source.sfreq)))[0]
    if start.size < options.settings.window or not np.isfinite(start).all():
        return source, ()
    highpass_hz = options.settings.highpass_hz
    spectrum = stft(HighPass(source.sfreq, highpass_hz)(start), source.sfreq)
    side = flow_side(spectrum, highpass_hz, options.settings.side_margin_db)
    if side is None or side == options.flow:
        return source, ()
    if source.sign_known:
        return source, (f"flow declared {options.flow}, found {side}",)
    read = source.read
    turned = replace(source, read=lambda first, last: read(first, last).conj())
    return turned, ("Q negated: the flow was on the other side than declared",)


def scan_recording(
    path: Path, name: str, out: Path, options: ScanOptions, progress: Progress
) -> ScanRow:
    """Find the events of one recording and write `NAME.events.csv` and `NAME.events.json`.

    What is known is kept in `.NAME.scan.json` after every block; the same call goes on from
    there, and ends with the same events.

    Raises
    ------
    DataError
        If the recording cannot be used.
    """
    source, turned = with_flow_as_declared(open_for(path, options), options)
    if name != path.stem:  # a pseudonym, of the subject too
        source = replace(source, subject_id=name)
    kept = out / f".{name}.scan.json"
    key = _key(path, options)
    stream = StreamingDetector(
        acquisition_of(source, options.flow), options.settings, options.detector
    )
    _resume(stream, kept, key)
    try:
        detection = run(
            stream,
            source.read,
            source.n_times,
            lambda _, done, total: progress(name, done, total),
            _Keeper(kept, key),
        )
    except DataError as error:
        kept.unlink(missing_ok=True)
        raise DataError(f"recording '{path}': {error}") from error
    flags = [*detection.flags, *turned] + ([] if source.carrier_hz else ["no carrier: no velocity"])
    flags += [LEARNED_ON[options.detector]] if options.detector in LEARNED_ON else []
    model: dict[str, object] = {}
    if options.classes is not None:
        judge = load_judge(options.classes)
        events = named_events(judge, source, detection.events, name, progress)
        detection = replace(detection, events=events)
        flags += class_flags(judge, source.carrier_hz)
        model["model"] = judge.note
    content = _content(path, name, source, detection, options, flags) | model
    write_json(out / f"{name}.events.json", content)
    write_events_csv(out / f"{name}.events.csv", detection.events)
    write_extras(Finding(name, path, source, detection, content), out, options.extras)
    kept.unlink(missing_ok=True)
    return ScanRow(
        name=name,
        duration_s=detection.duration_s,
        evaluable_s=detection.evaluable_s,
        flow_side=detection.flow_side,
        flags=tuple(flags),
        counts=dict(Counter(event.verdict for event in detection.events)),
        events_file=str(out / f"{name}.events.csv"),
        labels=count_labels([event.label for event in detection.events]) if model else {},
    )


class _Keeper:
    """Writes what is known after a block, but so seldom that writing costs a fifth at most."""

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key, self._next = path, key, 0.0

    def __call__(self, saved: dict) -> None:
        began = time.monotonic()
        if began >= self._next:
            write_text(self._path, json.dumps({"key": self._key, "saved": saved}))
            ended = time.monotonic()
            self._next = ended + 4 * (ended - began)


def _key(path: Path, options: ScanOptions) -> str:
    """Hash of the identity of the files and of all that the events depend on."""
    files = [path, path.with_suffix(".json"), path.with_suffix(".dat")]
    states = [(each.stat().st_size, each.stat().st_mtime_ns) for each in files if each.is_file()]
    plain = [options.carrier_mhz, options.q_sign, options.layout, options.flow, options.sfreq]
    settings = options.settings.model_dump(mode="json")
    content = [str(path.resolve()), states, plain, options.detector]
    text = json.dumps([*content, settings, versions()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _resume(stream: StreamingDetector, kept: Path, key: str) -> None:
    """Restore what an interrupted scan of the same file with the same options has kept."""
    try:
        content = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return  # nothing kept, or only half of it: from the start
    if not isinstance(content, dict) or content.get("key") != key:
        return
    with suppress(KeyError, TypeError, ValueError):  # changed by hand: from the start
        stream.restore(content["saved"])


def _content(
    path: Path,
    name: str,
    source: Source,
    detection: Detection,
    options: ScanOptions,
    flags: list[str],
) -> dict:
    """`NAME.events.json`: the events, how they were found, and the consensus items."""
    return {
        "format_version": FORMAT_VERSION,
        "notice": NOTICE,
        "recording": name + path.suffix,
        "fingerprint": fingerprint(path),
        "subject_id": source.subject_id,
        "sfreq": source.sfreq,
        "layout": source.layout,
        "q_sign": options.q_sign,
        "duration_s": detection.duration_s,
        "evaluable_hours": detection.evaluable_s / 3600,
        "unusable": [[each.start_s, each.stop_s, each.reason] for each in detection.unusable],
        "flow_side": detection.flow_side,
        "velocity": _velocities(source, detection),
        "flags": flags,
        "detector": options.detector,
        "settings": options.settings.model_dump(mode="json"),
        "versions": versions(),
        "acquisition": _consensus_items(source, detection, options.settings),
        "side": source.items.get("side", NOT_RECORDED),
        "indication": source.items.get("indication", NOT_RECORDED),
        "recorded_on": source.items.get("recorded_on", NOT_RECORDED),
        "events": [event_row(event) for event in detection.events],
    }


def _velocities(source: Source, detection: Detection) -> dict | None:
    """Mean, systolic and diastolic velocity of the envelope, and the pulsatility index."""
    if detection.envelope_hz is None or not source.carrier_hz:
        return None
    mean, systolic, diastolic = (
        float(velocity(hz, source.carrier_hz, source.angle_deg, source.sound_speed_m_s))
        for hz in detection.envelope_hz
    )
    return {
        "mean_cm_s": mean,
        "psv_cm_s": systolic,
        "edv_cm_s": diastolic,
        "pi": (systolic - diastolic) / mean if mean else None,
    }


def _consensus_items(source: Source, detection: Detection, settings: DetectionSettings) -> dict:
    """The 14 items of Ringelstein et al., Stroke 1998;29:725."""
    known = source.items
    return {
        "ultrasound_device": known.get("ultrasound_device", NOT_RECORDED),
        "transducer": known.get("transducer", NOT_RECORDED),
        "artery": known.get("artery", NOT_RECORDED),
        "insonation_depth_mm": known.get("insonation_depth_mm", NOT_RECORDED),
        "intensity_algorithm": "10 log10 of band power over a recursive background (HBR)",
        "scale_settings": known.get("scale_settings", NOT_RECORDED),
        "detection_threshold_db": settings.threshold_db,
        "sample_volume_mm": known.get("sample_volume_mm", NOT_RECORDED),
        "fft_points": settings.window,
        "fft_length_ms": 1000 * settings.window / source.sfreq,
        "fft_overlap": 1 - settings.hop / settings.window,
        "carrier_hz": source.carrier_hz or NOT_RECORDED,
        "high_pass_hz": settings.highpass_hz,
        "recording_time_s": detection.duration_s,
    }
