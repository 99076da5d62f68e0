"""HITS that were cut out elsewhere: their classes, without a detector."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from emboscope.datasets.hits_file import load_hits_file, sample_names
from emboscope.errors import DataError
from emboscope.evaluation.metrics import confusion_matrix, mcc
from emboscope.events.event import LABELS
from emboscope.progress import Progress, silent
from emboscope.representations.front_end import FrontEnd
from emboscope.workflows.classes import (
    BATCH,
    Judge,
    check_carrier,
    class_flags,
    count_labels,
)
from emboscope.workflows.cuts_report import write_cuts_report
from emboscope.workflows.extras import Extras
from emboscope.workflows.files import FORMAT_VERSION, NOTICE, versions, write_json, write_text
from emboscope.workflows.one_scan import ScanOptions, open_for
from emboscope.workflows.segments import cut_segments

COLUMNS = ("sample", "patient", "class", "label", *(f"p_{label}" for label in LABELS))
CUT_AS = ("sfreq", "n_channels", "n_times", "peak_sample", "high_pass_hz")  # of a front end


@dataclass(frozen=True)
class Cuts:
    """Segments that are there already.

    Attributes
    ----------
    name : str
        Of their file or folder.
    samples, patients : tuple of str
        Empty where nothing is known.
    segments : ndarray, shape (n, 2, n_times)
    y : ndarray of int, shape (n,)
        What the file says of each; -1 where it says nothing.
    flags : tuple of str
        What the reader should know.
    """

    name: str
    samples: tuple[str, ...]
    patients: tuple[str, ...]
    segments: np.ndarray
    y: np.ndarray
    flags: tuple[str, ...]


@dataclass(frozen=True)
class CutsRow:
    """What came of a file or folder of HITS.

    Attributes
    ----------
    name : str
    labels : dict of str to int
        How many there are of each class, and unknown.
    known : int
        Samples whose class the file tells.
    mcc : float
        Of the model on those, unknown left aside; NaN where there are none.
    unknown_share : float
        Of those, on which the model says nothing.
    confusion : tuple of tuple of int
        Rows are what the file tells, columns what the model says; unknown left aside. Empty
        where nothing is known.
    flags : tuple of str
    file : str
    """

    name: str
    labels: dict[str, int]
    known: int
    mcc: float
    unknown_share: float
    confusion: tuple[tuple[int, ...], ...]
    flags: tuple[str, ...]
    file: str


def check_cut(chain: FrontEnd, found: dict[str, object], what: str) -> None:
    """Refuse segments that were cut otherwise than the model reads them.

    Raises
    ------
    DataError
    """
    for name in CUT_AS:
        wanted = getattr(chain, name)
        if found.get(name) != wanted:
            raise DataError(
                f"{what}: segments with {name} {found.get(name)}; expected {wanted}, as the model "
                "reads them. Give the recordings in place of the segments."
            )


def cuts_of_file(path: Path, judge: Judge, progress: Progress = silent) -> Cuts:
    """HITS of an HDF5 file, see `load_hits_file`."""
    data = load_hits_file(path, progress, pictures=False)
    check_cut(judge.model.front_end, data.front_end.model_dump(), f"hits '{path}'")
    patients = tuple(str(each) for each in data.groups)
    return Cuts(
        path.stem, sample_names(path), patients, data.views["waveform"], data.y, (judge.flag,)
    )


def cuts_of_recordings(
    paths: Sequence[Path], name: str, judge: Judge, options: ScanOptions
) -> Cuts:
    """Short recordings of one HITS each, its peak in the middle.

    Zeros fill up what is shorter than a segment.
    """
    segments, patients, carriers = [], [], set()
    force = options.classes is not None and options.classes.force
    for path in paths:
        source = open_for(path, options)
        check_carrier(judge, path, source, force)
        middle_s = source.n_times / 2 / source.sfreq
        segment = cut_segments(source, [middle_s], judge.model.front_end)
        if not np.isfinite(segment).all():
            raise DataError(
                f"recording '{path}': samples that are not finite; expected numbers. Mend the file."
            )
        segments.append(segment)
        patients.append(source.subject_id)
        carriers.add(source.carrier_hz)
    flags = dict.fromkeys(flag for each in carriers for flag in class_flags(judge, each))
    y = np.full(len(paths), -1)
    stems = tuple(path.stem for path in paths)
    return Cuts(name, stems, tuple(patients), np.concatenate(segments), y, tuple(flags))


def monitor_cuts(
    cuts: Cuts, judge: Judge, out: Path, extras: Extras, progress: Progress = silent
) -> CutsRow:
    """Name the HITS and write `NAME.hits.csv`, a row each, `NAME.hits.json` and a report."""
    found = judged(cuts.segments, judge, progress, cuts.name)
    labels = judge.names(found)
    row = _row(cuts, found, labels, out / f"{cuts.name}.hits.csv")
    content = {
        "format_version": FORMAT_VERSION,
        "notice": NOTICE,
        **asdict(row),
        "model": judge.note,
        "versions": versions(),
    }
    write_json(out / f"{cuts.name}.hits.json", content)
    write_text(Path(row.file), _table(cuts, found, labels))
    path = out / f"{cuts.name}.hits.html"
    path.unlink(missing_ok=True)  # of an earlier model
    if extras.report:
        table = list(zip(cuts.samples, cuts.patients, cuts.y.tolist(), labels, strict=True))
        sfreq = judge.model.front_end.sfreq
        write_cuts_report(path, content, table, found, cuts.segments, sfreq, extras.language)
    return row


def judged(segments: np.ndarray, judge: Judge, progress: Progress, name: str) -> np.ndarray:
    """Probabilities (n, 3) of segments, batch by batch."""
    parts = []
    for start in range(0, len(segments), BATCH):
        parts.append(judge.probabilities(np.asarray(segments[start : start + BATCH])))
        progress(f"{name}: classes", min(start + BATCH, len(segments)), len(segments))
    return np.concatenate(parts)


def _row(cuts: Cuts, found: np.ndarray, labels: Sequence[str], file: Path) -> CutsRow:
    known = cuts.y >= 0
    answered = known & np.array([label in LABELS for label in labels])
    y, said = cuts.y[answered], found[answered].argmax(axis=1)
    return CutsRow(
        name=cuts.name,
        labels=count_labels(labels),
        known=int(known.sum()),
        mcc=mcc(y, said) if len(y) else float("nan"),
        unknown_share=float(1 - answered.sum() / known.sum()) if known.any() else float("nan"),
        confusion=_confusion(y, said),
        flags=cuts.flags,
        file=str(file),
    )


def _confusion(y: np.ndarray, said: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Rows are true; empty where nothing is known."""
    if not y.size:
        return ()
    return tuple(map(tuple, confusion_matrix(y, said, len(LABELS)).tolist()))


def _table(cuts: Cuts, found: np.ndarray, labels: Sequence[str]) -> str:
    """The rows of `NAME.hits.csv`; probabilities with four decimals."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    parts = zip(cuts.samples, cuts.patients, cuts.y.tolist(), labels, found.tolist(), strict=True)
    for sample, patient, y, label, row in parts:
        told = LABELS[y] if y >= 0 else ""
        writer.writerow([sample, patient, told, label, *(f"{each:.4f}" for each in row)])
    return buffer.getvalue()
