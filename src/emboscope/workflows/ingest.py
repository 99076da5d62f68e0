"""Recordings into a study: under pseudonyms, each once, all of one or nothing."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from emboscope.errors import DataError, SettingsError
from emboscope.progress import Progress, silent
from emboscope.signal.privacy import load_key, pseudonym
from emboscope.store.folder import check_new, is_study
from emboscope.store.recordings import RecordingInfo
from emboscope.store.splits import TEST, check_share
from emboscope.store.study import Study
from emboscope.workflows.files import versions
from emboscope.workflows.ingest_recording import (
    Arrival,
    check_copy,
    ingest_recording,
    restore_arrays,
)
from emboscope.workflows.one_scan import ScanOptions, open_for
from emboscope.workflows.scan import detection_settings, expand
from emboscope.workflows.truth_labels import read_raters, truth_events

THRESHOLD_DB = 3.0  # of a candidate: what an expert then judges
TEST_SHARE = 0.25
ADDED, THERE, PLANNED = "added", "in already", "would be added"
RESTORED = "in already, arrays made again"


@dataclass(frozen=True)
class IngestOptions:
    """What the user says about the recordings and the study.

    Attributes
    ----------
    scan : ScanOptions
        How the recordings are read and searched.
    key : Path, optional
        File of the pseudonym key, outside the study; beside it, as `STUDY.key`, by default.
    test_share, seed : float, int
        Share of the subjects that become the test part, and the seed of the draw.
    test_subjects : tuple of str, optional
        Choose these in place of a draw, by the names in the recordings or by pseudonym.
    copy, truth, dry_run : bool
        Copy the samples into the study; import the raters of simulated recordings; only look.
    """

    scan: ScanOptions = field(default_factory=lambda: scan_options())
    key: Path | None = None
    test_share: float = TEST_SHARE
    seed: int = 0
    test_subjects: tuple[str, ...] | None = None
    copy: bool = False
    truth: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class IngestRow:
    """What came of one recording; no name but a pseudonym."""

    name: str
    subject: str
    split: str
    status: str
    minutes: float
    samples: int
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class IngestResult:
    """A row a recording, and the state of the study; whether nothing was written."""

    study: str
    rows: tuple[IngestRow, ...]
    subjects: int
    test_subjects: int
    samples: int
    dry_run: bool = False


def scan_options(
    carrier_mhz: float | None = None, q_sign: str = "auto", threshold_db: float | None = None
) -> ScanOptions:
    """How recordings are searched for candidates: from 3 dB on, unless told otherwise."""
    level = THRESHOLD_DB if threshold_db is None else threshold_db
    return ScanOptions(
        carrier_mhz=carrier_mhz, q_sign=q_sign, settings=detection_settings(level, ())
    )


def ingest(
    study: Path,
    recordings: Sequence[Path],
    options: IngestOptions,
    progress: Progress = silent,
) -> IngestResult:
    """Add recordings to a study, which is made where it is missing.

    All are opened before the first is searched. A recording that is in already, by its hash, is
    skipped, unless its array files are missing: they are made again. After an interrupt the same
    call goes on.

    Raises
    ------
    DataError
        If a recording, the key or the study cannot be used.
    SettingsError
        If an option cannot be.
    """
    check_share(options.test_share)
    if options.test_subjects == ():
        raise SettingsError(
            "--test-subjects: no name; expected some of the subjects. For a study without a test "
            "part pass --test-share 0."
        )
    paths = expand(recordings)
    subjects = [_look(path, options) for path in paths]
    if not is_study(study):
        check_new(study)
        _check_chosen(options, subjects)
    key = study_key(study, options)
    arrivals = [_arrival(*each, key) for each in zip(paths, subjects, strict=True)]
    if options.dry_run:
        return _plan(study, arrivals)
    with Study.open(study) if is_study(study) else Study.create(study) as opened:
        opened.sweep()
        opened.bind_key(_key_check(key))
        done = list(_ingest_all(opened, arrivals, key, options, progress))
        return _result(opened, _rows(opened, done))


def _check_chosen(options: IngestOptions, subjects: Sequence[str]) -> None:
    """In a new study the chosen test subjects are named as in the recordings."""
    for each in options.test_subjects or ():
        if each not in subjects:
            raise SettingsError(
                f"--test-subjects: {each} is no subject of the recordings; expected some of "
                f"{', '.join(sorted(set(subjects)))}."
            )


def study_key(study: Path, options: IngestOptions) -> bytes:
    """The pseudonym key of a study; made with a new study, unless it is a dry run.

    Raises
    ------
    SettingsError
        If its file would lie in the study.
    DataError
        If the study is there and its key is not.
    """
    path = options.key or study.absolute().with_name(f"{study.resolve().name}.key")
    if path.resolve().is_relative_to(study.resolve()):
        raise SettingsError(
            f"--pseudonym-key '{path}': in the study; expected a place apart from the data. "
            "Name another."
        )
    if not path.exists() and is_study(study):
        raise DataError(
            f"key '{path}': missing; expected the one that the study was made with. "
            "Name it with --pseudonym-key."
        )
    if not path.exists() and options.dry_run:
        return b""
    return load_key(path)


def _key_check(key: bytes) -> str:
    """Tells whether a key is the same, and does not give it away."""
    return hmac.new(key, b"emboscope study", "sha256").hexdigest()


def _look(path: Path, options: IngestOptions) -> str:
    """The subject of a recording; refuses what cannot be ingested before any time is spent."""
    source = open_for(path, options.scan)
    if options.copy:
        check_copy(path, source)
    if options.truth:
        read_raters(path.with_suffix(".json"))
    return source.subject_id.strip() or path.stem


def _arrival(path: Path, subject: str, key: bytes) -> Arrival:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not key:
        return Arrival(path, digest, "", "")
    return Arrival(path, digest, pseudonym(path.stem, key), pseudonym(subject, key))


def _ingest_all(
    study: Study,
    arrivals: Sequence[Arrival],
    key: bytes,
    options: IngestOptions,
    progress: Progress,
) -> Iterator[tuple[RecordingInfo, str]]:
    """What became of each recording, in their order."""
    known = {info.sha256: info for info in study.recordings()}
    _check_names(arrivals, known)
    once = {arrival.sha256: arrival for arrival in reversed(arrivals)}  # a copy is no patient
    new = [arrival.subject for sha256, arrival in once.items() if sha256 not in known]
    chosen = _chosen(options, {arrival.subject for arrival in arrivals}, key)
    study.assign_splits(new, options.test_share, options.seed, chosen)
    added = 0
    for done, arrival in enumerate(arrivals, start=1):
        status = THERE if arrival.sha256 in known else ADDED
        if status == ADDED:
            made = ingest_recording(study, arrival, options.scan, options.copy, progress)
            known[arrival.sha256] = made.info
            added += len(made.ids)
        elif restore_arrays(study, arrival, options.scan, known[arrival.sha256].name, progress):
            status = RESTORED
        progress("ingesting recordings", done, len(arrivals))
        if options.truth:
            _import_truth(study, arrival, known[arrival.sha256])
        yield known[arrival.sha256], status
    if new:
        study.record_run("ingest", _settings(options), {"samples": added})


def _check_names(arrivals: Sequence[Arrival], known: Mapping[str, RecordingInfo]) -> None:
    """A name stands for one file of the study."""
    taken = {info.name for info in known.values()}
    for arrival in arrivals:
        if arrival.sha256 not in known and arrival.name in taken:
            raise DataError(
                f"recording '{arrival.path}': another file of that name is in the study; expected "
                "one file of a name. Rename it."
            )


def _chosen(options: IngestOptions, subjects: set[str], key: bytes) -> list[str] | None:
    """Pseudonyms of the chosen test subjects, which may be given by name."""
    if options.test_subjects is None:
        return None
    hashed = [(each, pseudonym(each, key)) for each in options.test_subjects]
    return [behind if behind in subjects else each for each, behind in hashed]


def _import_truth(study: Study, arrival: Arrival, info: RecordingInfo) -> None:
    samples = study.samples()
    mine = samples.recordings == info.name
    study.append(truth_events(arrival.path, info.sha256, samples.ids[mine], samples.peaks_s[mine]))


def _rows(study: Study, done: Iterable[tuple[RecordingInfo, str]]) -> tuple[IngestRow, ...]:
    splits, counts = study.splits(), Counter(study.samples().recordings.tolist())
    return tuple(
        IngestRow(
            name=info.name,
            subject=info.subject,
            split=splits[info.subject],
            status=status,
            minutes=info.duration_s / 60,
            samples=counts[info.name],
            flags=info.flags,
        )
        for info, status in done
    )


def _settings(options: IngestOptions) -> dict[str, object]:
    """What the samples depend on; no path, no name."""
    return {
        "carrier_mhz": options.scan.carrier_mhz,
        "q_sign": options.scan.q_sign,
        "detector": options.scan.detector,
        "detection": options.scan.settings.model_dump(mode="json"),
        "test_share": options.test_share,
        "seed": options.seed,
        "versions": versions(),
    }


def _plan(study: Path, arrivals: Sequence[Arrival]) -> IngestResult:
    """What would be done; nothing is written."""
    if not is_study(study):
        return IngestResult(str(study), tuple(map(_planned, arrivals)), 0, 0, 0, True)
    with Study.open(study) as opened:
        known = {info.sha256: info for info in opened.recordings()}
        there = _rows(opened, [(info, THERE) for info in known.values()])
        by_hash = dict(zip(known, there, strict=True))
        rows = [by_hash.get(arrival.sha256) or _planned(arrival) for arrival in arrivals]
        return replace(_result(opened, tuple(rows)), dry_run=True)


def _planned(arrival: Arrival) -> IngestRow:
    return IngestRow(arrival.name, arrival.subject, "", PLANNED, float("nan"), 0)


def _result(study: Study, rows: tuple[IngestRow, ...]) -> IngestResult:
    splits = study.splits()
    subjects = {info.subject for info in study.recordings()}  # some that are drawn may not be in
    return IngestResult(
        study=str(study.path),
        rows=rows,
        subjects=len(subjects),
        test_subjects=sum(splits[subject] == TEST for subject in subjects),
        samples=study.samples().ids.size,
    )
