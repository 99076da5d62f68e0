"""Labels in files of other programs: rows out, rows in, checked before anything is kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.errors import DataError
from emboscope.store.labels import COMPUTED, MANUAL, LabelEvent, Labels, current, hard
from emboscope.store.samples import Samples

UNSURE = ("unknown", "unsure")  # a label that is no class: all are equally likely
SUM_TOLERANCE = 1e-3  # of probabilities that were written with few decimals
PEAK_TOLERANCE_S = 2e-3  # of a peak that was written with few decimals


@dataclass(frozen=True)
class LabelRow:
    """A label in a file.

    Attributes
    ----------
    where : str
        Place in the file, for an error: `row 7`.
    sample_id : int, optional
    recording, peak_s : str, float, optional
        Name the sample where there is no id; must fit it where there is one.
    label : str
        A class, or one of `UNSURE`.
    probabilities : tuple of float, optional
        Of the classes; all on `label` by default.
    source, annotator, when : str
    """

    where: str
    sample_id: int | None
    label: str
    recording: str = ""
    peak_s: float | None = None
    probabilities: tuple[float, ...] | None = None
    source: str = ""
    annotator: str = ""
    when: str = ""


def rows_of(
    log: Sequence[LabelEvent],
    samples: Samples,
    classes: Sequence[str],
    annotator: str | None = None,
) -> list[LabelRow]:
    """What holds now, a row a sample and annotator, and the last computation of each sample."""
    place = {sample: row for row, sample in enumerate(samples.ids.tolist())}
    return [
        _row(samples, place[event.sample_id], event.probabilities, classes, event.source,
             event.annotator, event.when)
        for event in sorted(current(log), key=lambda event: (event.sample_id, event.annotator))
        if event.probabilities is not None and annotator in {None, event.annotator}
    ]  # fmt: skip


def merged_rows(labels: Labels, samples: Samples, classes: Sequence[str]) -> list[LabelRow]:
    """What holds now, a row a labeled sample."""
    return [
        _row(samples, row, tuple(labels.soft[row].tolist()), classes, str(labels.source[row]),
             str(labels.annotator[row]), "")
        for row in np.flatnonzero(labels.annotator != "").tolist()
    ]  # fmt: skip


def blank_rows(labels: Labels, samples: Samples) -> list[LabelRow]:
    """A row a sample of which nothing is said, to be filled in."""
    return [
        LabelRow(
            where="",
            sample_id=int(samples.ids[row]),
            label="",
            recording=str(samples.recordings[row]),
            peak_s=float(samples.peaks_s[row]),
        )
        for row in np.flatnonzero(labels.annotator == "").tolist()
    ]


def _row(
    samples: Samples,
    row: int,
    shares: tuple[float, ...],
    classes: Sequence[str],
    source: str,
    annotator: str,
    when: str,
) -> LabelRow:
    best = int(hard(np.array([shares]))[0])
    return LabelRow(
        where="",
        sample_id=int(samples.ids[row]),
        label=classes[best] if best >= 0 else UNSURE[0],
        recording=str(samples.recordings[row]),
        peak_s=float(samples.peaks_s[row]),
        probabilities=shares,
        source=source,
        annotator=annotator,
        when=when,
    )


def events_of(
    path: Path,
    rows: Iterable[LabelRow],
    samples: Samples,
    classes: Sequence[str],
    annotator: str | None,
    batch: str,
) -> list[LabelEvent]:
    """The events that the rows of a file lead to.

    A label that was computed (`propagated`, `model`) keeps its source, so that it never becomes
    what a person said; any other is an `import`.

    Parameters
    ----------
    annotator : str, optional
        In place of those in the file.

    Raises
    ------
    DataError
        With the file and the place, at the first row that cannot be, or where a person says
        another thing of a sample than before.
    """
    index = _Index(samples)
    events: list[LabelEvent] = []
    said: dict[tuple[int, str], tuple[str, tuple[float, ...] | None]] = {}
    for row in rows:
        what = f"labels '{path}' {row.where}"
        who = annotator or row.annotator
        if not who:
            raise DataError(f"{what}: no annotator; expected who said it. Pass --annotator NAME.")
        if row.source not in {"", *MANUAL, *COMPUTED}:
            raise DataError(
                f"{what}: source '{row.source}'; expected none or one of "
                f"{', '.join((*MANUAL, *COMPUTED))}. Nothing was imported."
            )
        details = {"file": path.name, "source": row.source, "when": row.when}
        events.append(
            LabelEvent(
                sample_id=index.find(row, what),
                annotator=who,
                source=row.source if row.source in COMPUTED else "import",
                probabilities=_shares(row, classes, what),
                details={key: value for key, value in details.items() if value},
                batch=batch,
            )
        )
        _check_once(events[-1], said, row, what)
    return events


def _check_once(
    event: LabelEvent,
    said: dict[tuple[int, str], tuple[str, tuple[float, ...] | None]],
    row: LabelRow,
    what: str,
) -> None:
    """DataError where a file lets one person say two things of a sample; notes what is said."""
    if event.source in COMPUTED:
        return
    place, before = said.setdefault(
        (event.sample_id, event.annotator), (row.where, event.probabilities)
    )
    if before != event.probabilities and place != row.where:  # in a task the last word holds
        raise DataError(
            f"{what}: '{event.annotator}' says another thing of sample {event.sample_id} than in "
            f"{place}; expected one label. Leave one out, or leave each person their name."
        )


class _Index:
    """Finds samples by id, or by recording and peak."""

    def __init__(self, samples: Samples) -> None:
        self._places = {sample: row for row, sample in enumerate(samples.ids.tolist())}
        self._samples = samples

    def find(self, row: LabelRow, what: str) -> int:
        """Id of the sample of a row."""
        if row.sample_id is None:
            return self._by_peak(row, what)
        place = self._places.get(row.sample_id)
        if place is None:
            raise DataError(
                f"{what}: sample {row.sample_id} is not in the study; expected one of its "
                f"{len(self._places)}. Nothing was imported."
            )
        recording, peak = self._samples.recordings[place], self._samples.peaks_s[place]
        other_name = row.recording not in {"", recording}
        if other_name or (row.peak_s is not None and abs(row.peak_s - peak) > PEAK_TOLERANCE_S):
            raise DataError(
                f"{what}: sample {row.sample_id} is at {peak:.3f} s of {recording}; expected that, "
                f"not {row.peak_s} s of {row.recording or 'any'}. It is of another study: leave "
                "the id out."
            )
        return row.sample_id

    def _by_peak(self, row: LabelRow, what: str) -> int:
        samples = self._samples
        if not row.recording or row.peak_s is None:
            raise DataError(f"{what}: no sample; expected sample_id, or recording and peak_s.")
        near = np.abs(samples.peaks_s - row.peak_s) <= PEAK_TOLERANCE_S
        found = samples.ids[(samples.recordings == row.recording) & near]
        if found.size != 1:
            raise DataError(
                f"{what}: {found.size} samples at {row.peak_s} s of {row.recording}; expected one. "
                "Nothing was imported."
            )
        return int(found[0])


def _shares(row: LabelRow, classes: Sequence[str], what: str) -> tuple[float, ...]:
    """Probabilities of a row: as they stand there, or all on the label."""
    known = (*classes, *UNSURE)
    if row.label not in known and (row.label or row.probabilities is None):
        raise DataError(
            f"{what}: label '{row.label}'; expected {', '.join(known)}. Nothing was imported."
        )
    if row.probabilities is None:
        if row.label in UNSURE:
            return (1 / len(classes),) * len(classes)
        return tuple(float(name == row.label) for name in classes)
    shares = np.array(row.probabilities, np.float64)
    wrong = not np.isfinite(shares).all() or (shares < 0).any()
    if wrong or abs(shares.sum() - 1) > SUM_TOLERANCE:
        raise DataError(
            f"{what}: probabilities {row.probabilities}; expected {len(classes)} numbers of sum 1. "
            "Nothing was imported."
        )
    if row.label in classes and shares[list(classes).index(row.label)] < shares.max():
        raise DataError(
            f"{what}: label '{row.label}' is not the most likely of {row.probabilities}; expected "
            "that. Leave one of them out."
        )
    exact = abs(shares.sum() - 1) <= 1e-9
    return tuple((shares if exact else shares / shares.sum()).tolist())
