"""Heartbeats cut out of WFDB records, with the patient of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
from scipy.signal import resample_poly

from emboscope.datasets.beats import N_TIMES, cut_beats, find_r_peaks
from emboscope.datasets.records import check_whole, record_names
from emboscope.errors import DataError
from emboscope.progress import Progress, silent
from emboscope.signal.source import load_library, reading

MITBIH_CLASSES = ("N", "S", "V", "F", "Q")
MITBIH_STEP = 3  # every third sample of 360 Hz
_BEATS = {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F", "Q": "/fQ"}
MITBIH_SYMBOLS = {symbol: name for name, symbols in _BEATS.items() for symbol in symbols}
SAME_PERSON = {"202": "201"}  # two records of one patient

PTB_CLASSES = ("normal", "abnormal")
PTB_SFREQ = 125.0
PTB_LEAD = "ii"
PTB_DIAGNOSES = {"healthy control": 0, "myocardial infarction": 1}
_REASON = "reason for admission:"


@dataclass(frozen=True)
class Beats:
    """Heartbeats of one record or of several.

    Attributes
    ----------
    rows : ndarray of float32, shape (n, 187)
        From 0 to 1, zeros after the end.
    y : ndarray of int64, shape (n,)
    groups : ndarray, shape (n,)
        Patients, by name; or a number a beat, where they are not known.
    """

    rows: np.ndarray
    y: np.ndarray
    groups: np.ndarray


def mitbih_beats(folder: Path, progress: Progress = silent) -> Beats:
    """Heartbeats of the MIT-BIH records in a folder, row for row as they were published.

    Channel 0 in ADC units. Each annotation but the last whose symbol is a beat begins a row of
    every third sample, as `cut_beats` cuts it: 120 Hz. The symbols N, L, R, e, j become N; A, a,
    J, S become S; V, E become V; F stays; /, f, Q become Q.

    Parameters
    ----------
    folder : Path
        Holds NAME.hea, NAME.dat and NAME.atr of each record.

    Raises
    ------
    DataError
        If a file is missing or damaged.

    References
    ----------
    .. [1] MIT-BIH Arrhythmia Database 1.0.0, doi 10.13026/C2F305.
    """
    return _all_beats(folder, _mitbih_record, progress)


def ptb_beats(folder: Path, progress: Progress = silent) -> Beats:
    """Heartbeats of the PTB records in a folder: healthy controls, and myocardial infarctions.

    The published rows tell neither their patients nor exactly how they were cut, so these are an
    equivalent, not the same rows: lead II, brought to 125 Hz; a row begins at each R peak that
    `find_r_peaks` finds but the last, as `cut_beats` cuts it. A record with another reason for
    admission than these two is left out.

    Parameters
    ----------
    folder : Path
        Holds a folder for each patient.

    Raises
    ------
    DataError
        If a file is missing or damaged, or no record is of a healthy control or an infarction.

    References
    ----------
    .. [1] PTB Diagnostic ECG Database 1.0.0, doi 10.13026/C28C71.
    """
    bare = [name for name in record_names(folder) if "/" not in name]
    if bare:
        raise DataError(
            f"records '{folder}': {bare[0]} stands in no folder of a patient; expected "
            "PATIENT/RECORD, as published. Keep the folders."
        )
    return _all_beats(folder, _ptb_record, progress)


def _all_beats(
    folder: Path, read: Callable[[ModuleType, Path], Beats], progress: Progress
) -> Beats:
    """The beats of all records of a folder, in the order of the records."""
    check_whole(folder)
    wfdb = load_library("wfdb", f"records '{folder}': WFDB")
    names = record_names(folder)
    parts = []
    for done, name in enumerate(names, start=1):
        parts.append(read(wfdb, folder / name))
        progress("reading records", done, len(names))
    beats = Beats(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in Beats.__dataclass_fields__
        )
    )
    if not len(beats.y):
        raise DataError(
            f"records '{folder}': no beat of a known class in {len(names)} records; expected "
            "some. Check that they are the records of this data set."
        )
    return beats


def _mitbih_record(wfdb: ModuleType, record: Path) -> Beats:
    signal, _ = _channel(wfdb, record, 0)
    annotations = _beside(record, ".atr")
    with reading(annotations, "WFDB annotations"):
        notes = wfdb.rdann(str(record), "atr")
    classes = [MITBIH_SYMBOLS.get(symbol) for symbol in notes.symbol[:-1]]
    chosen = [i for i, name in enumerate(classes) if name is not None]
    y = [MITBIH_CLASSES.index(name) for name in classes if name is not None]
    rows = cut_beats(signal, notes.sample, chosen, MITBIH_STEP)
    return _beats(rows, y, SAME_PERSON.get(record.name, record.name))


def _ptb_record(wfdb: ModuleType, record: Path) -> Beats:
    header = _header(wfdb, record)
    label = PTB_DIAGNOSES.get(_reason(header.comments))
    if label is None:
        return _beats(np.zeros((0, N_TIMES), np.float32), [], record.parent.name)
    leads = [name.lower() for name in header.sig_name]
    if PTB_LEAD not in leads:
        raise DataError(
            f"record '{record}': leads {', '.join(leads)}; expected {PTB_LEAD}. Leave it out of "
            "RECORDS."
        )
    signal, sfreq = _channel(wfdb, record, leads.index(PTB_LEAD))
    ratio = Fraction(PTB_SFREQ / sfreq).limit_denominator(1000)
    slow = resample_poly(
        signal.astype(np.float64), ratio.numerator, ratio.denominator, padtype="line"
    )
    peaks = find_r_peaks(slow, PTB_SFREQ)
    rows = cut_beats(slow, peaks, range(len(peaks) - 1))
    return _beats(rows, [label] * len(rows), record.parent.name)


def _beats(rows: np.ndarray, y: Sequence[int], patient: str) -> Beats:
    return Beats(rows, np.array(y, np.int64), np.full(len(rows), patient))


def _reason(comments: Sequence[str]) -> str:
    """Why the patient was admitted, as the header tells."""
    told = [line.lower().removeprefix(_REASON) for line in comments if _REASON in line.lower()]
    return told[0].strip() if told else ""


def _header(wfdb: ModuleType, record: Path):  # type: ignore[no-untyped-def]
    with reading(_beside(record, ".hea"), "a WFDB header"):
        return wfdb.rdheader(str(record))


def _channel(wfdb: ModuleType, record: Path, channel: int) -> tuple[np.ndarray, float]:
    """One channel in ADC units, (n_times,) of integers, and its sampling frequency."""
    path = _beside(record, ".dat")
    with reading(path, "a WFDB record"):
        part = wfdb.rdrecord(str(record), channels=[channel], physical=False)
    return part.d_signal[:, 0], float(part.fs)


def _beside(record: Path, suffix: str) -> Path:
    """A file of a record, or a refusal."""
    path = record.with_name(record.name + suffix)
    if not path.is_file():
        raise DataError(
            f"record '{record}': {path.name} is missing; expected it beside the header. Fetch the "
            "data again."
        )
    return path
