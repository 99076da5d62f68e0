"""Samples of a study: their classes, as labels of source `model` in its log."""

import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.errors import DataError
from emboscope.events.event import LABELS
from emboscope.progress import Progress, silent
from emboscope.store.labels import MANUAL, LabelEvent
from emboscope.store.recordings import SEGMENTS
from emboscope.store.splits import TEST
from emboscope.store.study import Study
from emboscope.workflows.classes import UNKNOWN, Judge, count_labels
from emboscope.workflows.files import versions
from emboscope.workflows.monitor_cuts import check_cut, judged

SOURCE = "model"
ANNOTATOR = "emboscope"
LEAST_LEAD = 1e-6  # of the likeliest class; the log takes closer ones for a tie


@dataclass(frozen=True)
class StudyRow:
    """What came of a study.

    Attributes
    ----------
    study : str
    labels : dict of str to int
        How many samples are of each class, and unknown: those get no label.
    judged : int
        Samples that people have labeled: their word holds, and they were left out.
    held_out : int
        Samples of the test patients, which were left out.
    written : int
        Entries of the log.
    batch : str
        To undo; empty where nothing was written.
    flags : tuple of str
    """

    study: str
    labels: dict[str, int]
    judged: int
    held_out: int
    written: int
    batch: str
    flags: tuple[str, ...]


def monitor_study(path: Path, judge: Judge, progress: Progress = silent) -> StudyRow:
    """Name the samples of the training patients of whom people have said nothing.

    The new labels are one batch. Labels of an earlier model are replaced; where the model is not
    sure they go. Test patients are left out, so that nothing is ever measured against a model's
    own labels.

    Raises
    ------
    DataError
        If the study has no sample, or other segments than the model reads.
    """
    with Study.open(path) as study:
        samples = study.samples()
        if samples.ids.size == 0:
            raise DataError(f"study '{path}': no sample; expected some. Ingest recordings first.")
        newest = dict(study.arrays(SEGMENTS)[-1].settings)
        check_cut(judge.model.front_end, newest, f"study '{path}'")
        before, test = study.labels().source, samples.splits == TEST
        spoken = np.isin(before, MANUAL)
        rows = np.flatnonzero(~spoken & ~test)
        found = np.zeros((0, len(LABELS)))
        if rows.size:
            segments = np.asarray(study.array(SEGMENTS, ids=samples.ids[rows]))
            found = judged(segments, judge, progress, path.resolve().name)
        labels = judge.names(found)
        named = _Named(samples.ids[rows], before[rows], labels, found)
        events = _write(study, named, judge)
    return StudyRow(
        study=str(path),
        labels=count_labels(labels),
        judged=int((spoken & ~test).sum()),
        held_out=int(test.sum()),
        written=len(events),
        batch=events[0].batch if events else "",
        flags=(judge.flag,),
    )


@dataclass(frozen=True)
class _Named:
    """Samples, the source of their label so far, and what the model says."""

    ids: np.ndarray
    before: np.ndarray
    labels: list[str]
    found: np.ndarray


def _write(study: Study, named: _Named, judge: Judge) -> list[LabelEvent]:
    """The new labels as one batch of the log; one of an earlier model goes where this is unsure."""
    batch = f"{SOURCE}-{uuid.uuid4().hex[:8]}"
    details = {**judge.note, "version": versions()["emboscope"]}
    columns = [LABELS.index(name) for name in study.classes]
    events = []
    for row, label in enumerate(named.labels):
        if label == UNKNOWN and named.before[row] != SOURCE:
            continue
        shares = None if label == UNKNOWN else clear_shares(named.found[row])[columns]
        events.append(
            LabelEvent(
                sample_id=int(named.ids[row]),
                annotator=ANNOTATOR,
                source=SOURCE,
                probabilities=None if shares is None else tuple(shares.tolist()),
                details=dict(details),
                batch=batch,
            )
        )
    if events:
        study.append(events)
    study.record_run("monitor", details, {"batch": batch, "labels": len(events)})
    return events


def clear_shares(row: np.ndarray) -> np.ndarray:
    """Probabilities of sum 1, of which the first of the largest leads, so that the log says it."""
    best = np.arange(row.size) == row.argmax()
    if row[best] - row[~best].max() <= LEAST_LEAD:
        row = row + 2 * LEAST_LEAD * best
    return row / row.sum()
