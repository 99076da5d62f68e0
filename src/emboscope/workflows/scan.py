"""Recordings in, events out."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emboscope.errors import DataError, SettingsError
from emboscope.events.block import Acquisition
from emboscope.events.detection import Detection, detect
from emboscope.events.hbr import DetectionSettings
from emboscope.progress import Progress, silent
from emboscope.signal.doppler import FLOW_SIDES
from emboscope.signal.readers import Source, open_source
from emboscope.workflows.files import (
    FORMAT_VERSION,
    NOTICE,
    event_row,
    prepare_folder,
    versions,
    write_events_csv,
    write_json,
)

NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class ScanOptions:
    """What the user says about the recordings and the search.

    Attributes
    ----------
    carrier_mhz : float, optional
        Wins over the sidecar.
    q_sign : str
        `auto`, `+` or `-`.
    flow : str, optional
        `towards` or `away`; found where it is not declared.
    sfreq : float, optional
        For files that do not say it.
    detector : str
        A name in `DETECTORS`.
    settings : DetectionSettings
    """

    carrier_mhz: float | None = None
    q_sign: str = "auto"
    flow: str | None = None
    sfreq: float | None = None
    detector: str = "hbr_recursive"
    settings: DetectionSettings = field(default_factory=DetectionSettings)


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


@dataclass(frozen=True)
class ScanResult:
    """A row a recording, and the speed in seconds of signal a second."""

    rows: tuple[ScanRow, ...]
    times_real_time: float


def scan(
    recordings: Sequence[Path], out: Path, options: ScanOptions, progress: Progress = silent
) -> ScanResult:
    """Find events in recordings and write NAME.events.csv and NAME.events.json.

    All recordings are opened before the first is scanned, so that a wrong path costs no time.

    Raises
    ------
    DataError
        If a recording cannot be used, or two have the same stem.
    SettingsError
        If the declared flow side is neither towards nor away.
    """
    if options.flow is not None and options.flow not in FLOW_SIDES:
        raise SettingsError(f"--flow '{options.flow}': unknown; expected towards or away.")
    paths = expand(recordings)
    sources = [_open(path, options) for path in paths]
    prepare_folder(out)
    started = time.perf_counter()
    rows = [
        _scan_one(path, source, out, options, progress)
        for path, source in zip(paths, sources, strict=True)
    ]
    seconds = max(time.perf_counter() - started, 1e-9)
    return ScanResult(tuple(rows), sum(row.duration_s for row in rows) / seconds)


def expand(recordings: Sequence[Path]) -> list[Path]:
    """The recordings meant: a folder stands for the WAV and FLAC files in it."""
    paths: list[Path] = []
    for given in recordings:
        if not given.is_dir():
            paths.append(given)
            continue
        inside = sorted(p for p in given.iterdir() if p.suffix.lower() in {".wav", ".flac"})
        if not inside:
            raise DataError(f"folder '{given}': no .wav or .flac in it. Name the files.")
        paths += inside
    stems = Counter(path.stem for path in paths)
    twice = [stem for stem, n in stems.items() if n > 1]
    if twice:
        raise DataError(
            f"recordings: two are named '{twice[0]}'; the results would overwrite each other. "
            "Rename one or scan them into two folders."
        )
    return paths


def _open(path: Path, options: ScanOptions) -> Source:
    return open_source(
        path, carrier_mhz=options.carrier_mhz, q_sign=options.q_sign, sfreq=options.sfreq
    )


def acquisition_of(source: Source, flow: str | None) -> Acquisition:
    """What the detector needs to know of a source."""
    return Acquisition(
        source.sfreq, source.carrier_hz, source.angle_deg, source.sound_speed_m_s, flow
    )


def _scan_one(
    path: Path, source: Source, out: Path, options: ScanOptions, progress: Progress
) -> ScanRow:
    def report(_: str, done: int, total: int) -> None:
        progress(path.stem, done, total)

    try:
        detection = detect(
            lambda start, stop: source.read(start, stop)[0],
            source.n_times,
            acquisition_of(source, options.flow),
            options.settings,
            options.detector,
            report,
        )
    except DataError as error:
        raise DataError(f"recording '{path}': {error}") from error
    flags = list(detection.flags) + ([] if source.carrier_hz else ["no carrier: no velocity"])
    row = ScanRow(
        name=path.stem,
        duration_s=detection.duration_s,
        evaluable_s=detection.evaluable_s,
        flow_side=detection.flow_side,
        flags=tuple(flags),
        counts=dict(Counter(event.verdict for event in detection.events)),
        events_file=str(out / f"{path.stem}.events.csv"),
    )
    write_json(out / f"{path.stem}.events.json", _content(path, source, detection, options, flags))
    write_events_csv(out / f"{path.stem}.events.csv", detection.events)
    return row


def _content(
    path: Path, source: Source, detection: Detection, options: ScanOptions, flags: list[str]
) -> dict:
    """`NAME.events.json`: the events, how they were found, and the consensus items."""
    settings = options.settings
    window_ms = 1000 * settings.window / source.sfreq
    return {
        "format_version": FORMAT_VERSION,
        "notice": NOTICE,
        "recording": path.name,
        "sfreq": source.sfreq,
        "duration_s": detection.duration_s,
        "evaluable_hours": detection.evaluable_s / 3600,
        "flow_side": detection.flow_side,
        "flags": flags,
        "detector": options.detector,
        "settings": settings.model_dump(mode="json"),
        "versions": versions(),
        "acquisition": {  # the 14 items of Ringelstein et al., Stroke 1998;29:725
            "ultrasound_device": NOT_RECORDED,
            "transducer": NOT_RECORDED,
            "artery": NOT_RECORDED,
            "insonation_depth_mm": NOT_RECORDED,
            "intensity_algorithm": "10 log10 of band power over a recursive background (HBR)",
            "scale_settings": NOT_RECORDED,
            "detection_threshold_db": settings.threshold_db,
            "sample_volume_mm": NOT_RECORDED,
            "fft_points": settings.window,
            "fft_length_ms": window_ms,
            "fft_overlap": 1 - settings.hop / settings.window,
            "carrier_hz": source.carrier_hz or NOT_RECORDED,
            "high_pass_hz": settings.highpass_hz,
            "recording_time_s": detection.duration_s,
        },
        "events": [event_row(event) for event in detection.events],
    }
