"""Labels of a study: in from files, out to files, what was said last, and back."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.errors import SettingsError
from emboscope.store.exchange import LabelRow, blank_rows, events_of, merged_rows, rows_of
from emboscope.store.exchange_hdf5 import picture_name
from emboscope.store.formats import FORMATS, Format, format_of
from emboscope.store.labels import LabelEvent, hard, last_batch, undo_events
from emboscope.store.study import Study
from emboscope.workflows.files import prepare_folder

PICTURE_DB = (-20.0, 30.0)  # over the background: from black to white


@dataclass(frozen=True)
class LabelCount:
    """How many labels went in, out, or back.

    Attributes
    ----------
    file, format, batch : str
        Empty where there is none.
    labels, samples : int
        Entries, and the samples that they are of.
    by_label, by_annotator : dict of str to int
        Entries of each.
    dry_run : bool
        Whether nothing was written.
    """

    file: str
    format: str
    batch: str
    labels: int
    samples: int
    by_label: dict[str, int]
    by_annotator: dict[str, int]
    dry_run: bool


@dataclass(frozen=True)
class LogEntry:
    """One line of the log."""

    number: int
    when: str
    sample_id: int
    annotator: str
    source: str
    label: str
    batch: str
    comment: str


def import_labels(
    study: Path, file: Path, name: str | None, annotator: str | None, dry_run: bool = False
) -> LabelCount:
    """Append the labels of a file to the log, all of them or none.

    Parameters
    ----------
    name : str, optional
        In `FORMATS`; by the suffix otherwise.
    annotator : str, optional
        In place of those in the file.
    dry_run : bool
        Check and count only.

    Raises
    ------
    DataError
        With the file and the row that cannot be.
    """
    form = format_of(file, name)
    with Study.open(study) as opened:
        rows = form.read(file, opened.classes)
        batch = f"import-{uuid.uuid4().hex[:12]}"
        events = events_of(file, rows, opened.samples(), opened.classes, annotator, batch)
        if not dry_run:
            opened.append(events)
        names = opened.classes
    said = [(event.sample_id, _name(event, names), event.annotator) for event in events]
    return _count(said, file, _name_of(form), "" if dry_run or not said else batch, dry_run)


def export_labels(
    study: Path,
    file: Path,
    name: str | None,
    annotator: str | None = None,
    merged: bool = False,
    unlabeled: bool = False,
    dry_run: bool = False,
) -> LabelCount:
    """Write what holds now: a row a sample and annotator, or a row a sample.

    The file comes last: where it is, all is there.

    Parameters
    ----------
    merged : bool
        One row a sample: the mean of the annotators, else what was computed.
    unlabeled : bool
        The samples of which nothing is said, or not by the annotator, to be filled in.

    Raises
    ------
    SettingsError
        If the file is there already or cannot be written, or its format has no empty labels.
    """
    form = format_of(file, name)
    if file.exists():
        raise SettingsError(f"labels '{file}': there already; expected a new file. Name another.")
    with Study.open(study) as opened:
        rows = _rows(opened, form, annotator, merged, unlabeled)
        if not dry_run:
            prepare_folder(file.parent)
            if rows and form is FORMATS["hits_hdf5"]:
                _write_pictures(opened, file, rows)
            form.write(file, rows, opened.classes)
    said = [(row.sample_id or 0, row.label or "none", row.annotator or "nobody") for row in rows]
    return _count(said, file, _name_of(form), "", dry_run)


def _rows(
    study: Study, form: Format, annotator: str | None, merged: bool, unlabeled: bool
) -> list[LabelRow]:
    """What a file of labels holds."""
    samples, classes = study.samples(), study.classes
    if unlabeled and not form.blank:
        names = ", ".join(name for name, each in FORMATS.items() if each.blank)
        raise SettingsError(
            f"--unlabeled: {_name_of(form)} has no empty labels; expected {names}. Pass --format."
        )
    if unlabeled:
        return blank_rows(study.labels(annotator=annotator), samples)
    if merged or form.merged:
        return merged_rows(study.labels(annotator=annotator), samples, classes)
    return rows_of(study.log(), samples, classes, annotator)


def read_log(study: Path, last: int, annotator: str | None = None) -> tuple[LogEntry, ...]:
    """The last entries of the log, oldest first; of one annotator, or of all."""
    with Study.open(study) as opened:
        log, classes = opened.log(), opened.classes
    wanted = [event for event in log if annotator in {None, event.annotator}]
    return tuple(
        LogEntry(
            event.number, event.when, event.sample_id, event.annotator, event.source,
            _name(event, classes), event.batch, event.comment,
        )
        for event in wanted[max(0, len(wanted) - last) :]
    )  # fmt: skip


def undo_labels(
    study: Path, batch: str | None, annotator: str | None, dry_run: bool = False
) -> LabelCount:
    """Take a batch back: the one that is named, else the last that stands.

    Parameters
    ----------
    annotator : str, optional
        Who takes it back; whoever said the batch by default. Of a batch of several persons only
        what this one said.

    Raises
    ------
    DataError
        If there is nothing to take back, or another person said it.
    """
    with Study.open(study) as opened:
        log, classes = opened.log(), opened.classes
        target, who = _target(log, batch, annotator)
        of = {event.uuid: event for event in log}
        events = undo_events(log, target, who)
        own = [each for each in events if of[str(each.details["undoes"])].annotator == annotator]
        events = tuple(own) or events
        if not dry_run:
            opened.append(events)
    taken = [of[str(event.details["undoes"])] for event in events]
    said = [(event.sample_id, _name(event, classes), event.annotator) for event in taken]
    return _count(said, None, "", target, dry_run)


def _target(log: Sequence[LabelEvent], batch: str | None, annotator: str | None) -> tuple[str, str]:
    """The batch to take back, and who does it: whoever said it, unless another is named."""
    if batch is None:
        last = last_batch(log, annotator)
        return last.batch, annotator or last.annotator
    said = [event.annotator for event in log if event.batch == batch]
    return batch, annotator or (said[-1] if said else "")


def _name_of(form: object) -> str:
    return next(name for name, each in FORMATS.items() if each is form)


def _name(event: LabelEvent, classes: Sequence[str]) -> str:
    """What an event says, in a word."""
    if event.source == "undo":
        return "taken back"
    if event.probabilities is None:
        return "none"
    best = int(hard(np.array([event.probabilities]))[0])
    return classes[best] if best >= 0 else "unknown"


def _count(
    said: Sequence[tuple[int, str, str]], file: Path | None, form: str, batch: str, dry_run: bool
) -> LabelCount:
    return LabelCount(
        file="" if file is None else str(file),
        format=form,
        batch=batch,
        labels=len(said),
        samples=len({sample for sample, _, _ in said}),
        by_label=dict(sorted(Counter(label for _, label, _ in said).items())),
        by_annotator=dict(sorted(Counter(who for _, _, who in said).items())),
        dry_run=dry_run,
    )


def _write_pictures(study: Study, file: Path, rows: Sequence[LabelRow]) -> None:
    """The spectrograms that an HDF5 file names: time to the right, frequency upwards."""
    from matplotlib.image import imsave

    spectrograms = study.array("spectrogram", ids=np.array([row.sample_id for row in rows]))
    for row, spectrogram in zip(rows, spectrograms, strict=True):
        path = file.parent / picture_name(file, row.sample_id)
        path.parent.mkdir(exist_ok=True)
        low, high = PICTURE_DB
        imsave(path, spectrogram[0][::-1], vmin=low, vmax=high, cmap="gray")
