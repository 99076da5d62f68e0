"""Events as annotations in the formats of other programs: EDF+ and WFDB."""

import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.errors import DataError
from emboscope.signal.source import load_library

STEP_S = 1e-4  # onsets are kept to this, under half a sample of any Doppler recording


@dataclass(frozen=True)
class Annotation:
    """A note on a recording.

    Attributes
    ----------
    onset_s, duration_s : float
        In seconds from the first sample.
    text : str
        What it says.
    """

    onset_s: float
    duration_s: float
    text: str


def write_edf_annotations(path: Path, annotations: Sequence[Annotation], duration_s: float) -> None:
    """Write an EDF+ file of annotations without signals; onsets and durations to 0.1 ms.

    Parameters
    ----------
    path : Path
    annotations : sequence of Annotation
    duration_s : float
        Of the recording.

    Raises
    ------
    DataError
        If an annotation lies outside the recording, or the library edfio is missing.
    """
    edfio = load_library("edfio", "EDF+")
    _check(path, annotations, duration_s)
    notes = [
        edfio.EdfAnnotation(round(note.onset_s, 4), round(note.duration_s, 4), note.text)
        for note in annotations
    ]
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    edfio.Edf([], annotations=notes).write(aside)
    aside.replace(path)


def write_wfdb_annotations(
    path: Path, annotations: Sequence[Annotation], sfreq: float, duration_s: float
) -> None:
    """Write a WFDB annotation file `NAME.atr` beside the record NAME; onsets to a sample.

    The symbol is `"`, a comment; its text is the annotation's, then the duration in ms.

    Parameters
    ----------
    path : Path
        Ends with `.atr`, or another suffix of letters that readers are told.
    annotations : sequence of Annotation
    sfreq : float
        Of the record, in Hz.
    duration_s : float
        Of the recording.

    Raises
    ------
    DataError
        If an annotation lies outside the recording, or the library wfdb is missing.
    """
    wfdb = load_library("wfdb", "WFDB")
    _check(path, annotations, duration_s)
    ordered = sorted(annotations, key=lambda note: note.onset_s)
    if not ordered:
        raise DataError(f"annotations '{path}': none; WFDB holds no empty list. Leave it out.")
    texts = [f"{note.text} {1000 * note.duration_s:.1f} ms"[:255] for note in ordered]
    onsets = np.array([round(note.onset_s * sfreq) for note in ordered])
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wfdb.wrann(
                "record",
                path.suffix[1:],
                onsets,
                symbol=['"'] * len(ordered),
                aux_note=texts,
                fs=sfreq,
                write_dir=folder,
            )
        (Path(folder) / f"record{path.suffix}").replace(path)


def _check(path: Path, annotations: Sequence[Annotation], duration_s: float) -> None:
    for note in annotations:
        if not 0 <= note.onset_s <= duration_s or not note.duration_s >= 0:
            raise DataError(
                f"annotations '{path}': one at {note.onset_s} s of {note.duration_s} s; expected "
                f"it within the recording of {duration_s} s. Check the events."
            )
