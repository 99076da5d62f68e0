"""Labels as a fold over the log: what was said, by whom, and what holds now. Pure functions.

An undo takes the event back that it names; the undo of an undo brings it again. What a person said
(expert, lasso, import) holds against what was computed (propagated, model), whichever came first.
Of one person the last word holds; several persons are kept apart, and their labels are averaged.
Of what was computed the last holds.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from emboscope.errors import DataError

MANUAL = ("expert", "lasso", "import")
COMPUTED = ("propagated", "model")
SOURCES = (*MANUAL, *COMPUTED, "undo")
UNLABELED = -1
_SUM_TOLERANCE = 1e-6  # of probabilities: rounding of three 64-bit numbers is far below
_TIE_TOLERANCE = 1e-9  # two classes closer than this are equally likely


@dataclass(frozen=True)
class LabelEvent:
    """One entry of the log.

    Attributes
    ----------
    sample_id : int
    annotator : str
        Who said it, or who ran what computed it.
    source : str
        One of `SOURCES`.
    probabilities : tuple of float, optional
        Of the classes of the study, sum 1. None: without a label from now on.
    comment : str
    details : dict
        How it came about: map, k, threshold, seed, version, dwell_s, ...; of an undo `undoes`,
        the uuid of the event that is taken back.
    batch : str
        Events that were appended, and can be undone, together.
    uuid : str
        Made by whoever appends; the same event sent twice stands once in the log.
    number, when : int, str
        Place in the log and time of the commit (UTC); given by the store.
    """

    sample_id: int
    annotator: str
    source: str
    probabilities: tuple[float, ...] | None = None
    comment: str = ""
    details: dict[str, object] = field(default_factory=dict)
    batch: str = ""
    uuid: str = field(default_factory=lambda: uuid.uuid4().hex)
    number: int = 0
    when: str = ""


@dataclass(frozen=True)
class Labels:
    """What holds now, in the order of the samples.

    Attributes
    ----------
    y : ndarray of int64, shape (n,)
        The most likely class; -1 without a label, or where two classes are equally likely.
    soft : ndarray of float64, shape (n, n_classes)
        Rows of sum 1; NaN without a label.
    source, annotator : ndarray of str, shape (n,)
        Of the last event; several persons joined by `+`. Empty without a label.
    """

    y: np.ndarray
    soft: np.ndarray
    source: np.ndarray
    annotator: np.ndarray


def check_event(event: LabelEvent, n_classes: int) -> None:
    """Refuse an event that says nothing that can be kept.

    Raises
    ------
    DataError
        For an unknown source, no annotator, or probabilities that are none.
    """
    if event.source not in SOURCES:
        raise DataError(
            f"label of sample {event.sample_id}: source '{event.source}'; expected "
            f"{', '.join(SOURCES)}."
        )
    if not event.annotator.strip():
        raise DataError(f"label of sample {event.sample_id}: no annotator; expected who said it.")
    if (event.source == "undo") != ("undoes" in event.details):
        raise DataError(
            f"label of sample {event.sample_id}: an undo names the event it takes back, and "
            "nothing else does. Use Study.undo."
        )
    shares = event.probabilities
    if shares is None:
        return
    values = np.asarray(shares, np.float64)
    if values.shape != (n_classes,) or not np.isfinite(values).all() or (values < 0).any():
        raise DataError(
            f"label of sample {event.sample_id}: probabilities {tuple(shares)}; expected "
            f"{n_classes} numbers from 0 to 1."
        )
    if abs(values.sum() - 1) > _SUM_TOLERANCE:
        raise DataError(
            f"label of sample {event.sample_id}: probabilities of sum {values.sum():g}; "
            "expected 1. Divide them by their sum."
        )


def standing(events: Sequence[LabelEvent]) -> list[LabelEvent]:
    """The events that no undo has taken back, without the undos, in their order."""
    taken = _taken(events)
    return [each for each in events if each.source != "undo" and each.uuid not in taken]


def current(events: Sequence[LabelEvent]) -> list[LabelEvent]:
    """What holds now: of each person and sample the last word, and the last that was computed.

    In the order of the log. Words that took a label away are left out.
    """
    last: dict[tuple[int, str], LabelEvent] = {}
    for event in standing(events):
        key = (event.sample_id, event.annotator if event.source in MANUAL else "")
        last.pop(key, None)
        last[key] = event
    return [event for event in last.values() if event.probabilities is not None]


def fold(
    events: Sequence[LabelEvent],
    ids: np.ndarray,
    n_classes: int,
    source: str | None = None,
    annotator: str | None = None,
) -> Labels:
    """The labels that a log leads to.

    Parameters
    ----------
    events : sequence of LabelEvent
        The log, in its order.
    ids : ndarray of int, shape (n,)
        The samples.
    n_classes : int
    source, annotator : str, optional
        Only what has this source, or was said by this person.
    """
    wanted = [
        event
        for event in current(events)
        if source in {None, event.source} and annotator in {None, event.annotator}
    ]
    of_sample: dict[int, list[LabelEvent]] = {}
    for event in wanted:
        of_sample.setdefault(event.sample_id, []).append(event)
    soft = np.full((len(ids), n_classes), np.nan)
    sources, annotators = [""] * len(ids), [""] * len(ids)
    rows = [row for row, sample in enumerate(ids.tolist()) if sample in of_sample]
    means = []
    for row, sample in zip(rows, ids[rows].tolist(), strict=True):
        said = of_sample[sample]
        said = [event for event in said if event.source in MANUAL] or said
        means.append(_mean([event.probabilities or () for event in said]))
        sources[row] = said[-1].source
        annotators[row] = "+".join(sorted({event.annotator for event in said}))
    if rows:
        soft[rows] = means
    return Labels(hard(soft), soft, np.array(sources, str), np.array(annotators, str))


def _mean(shares: Sequence[tuple[float, ...]]) -> Sequence[float]:
    """Mean of distributions; one stays what it is, to the bit."""
    return shares[0] if len(shares) == 1 else np.mean(shares, axis=0)


def hard(soft: np.ndarray) -> np.ndarray:
    """The most likely class of each row, (n,); -1 for a row of NaN, or where two are as likely."""
    filled = np.nan_to_num(soft, nan=0.0)
    ordered = np.sort(filled, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > _TIE_TOLERANCE
    return np.where(clear, filled.argmax(axis=1), UNLABELED).astype(np.int64)


def votes(
    events: Sequence[LabelEvent], ids: np.ndarray, n_classes: int
) -> tuple[tuple[str, ...], np.ndarray]:
    """What each person says, kept apart.

    Returns
    -------
    annotators : tuple of str
        In alphabetical order.
    votes : ndarray of int64, shape (n, n_annotators)
        Most likely classes; -1 where one said nothing, or was unsure.
    """
    said = [event for event in current(events) if event.source in MANUAL]
    names = tuple(sorted({event.annotator for event in said}))
    rows = {sample: row for row, sample in enumerate(ids.tolist())}
    table = np.full((len(ids), len(names), n_classes), np.nan)
    for event in said:
        if event.sample_id in rows:
            table[rows[event.sample_id], names.index(event.annotator)] = event.probabilities
    flat = hard(table.reshape(-1, n_classes)) if names else np.empty(0, np.int64)
    return names, flat.reshape(len(ids), len(names))


def undo_events(events: Sequence[LabelEvent], batch: str, annotator: str) -> tuple[LabelEvent, ...]:
    """The events that take a batch back; undoing the batch of an undo brings it again.

    Raises
    ------
    DataError
        If nothing of the batch stands, or another person said it.
    """
    taken = _taken(events)
    wanted = [event for event in events if event.batch == batch and event.uuid not in taken]
    if not wanted:
        raise DataError(
            f"batch '{batch}': nothing of it stands; expected a batch of the log. "
            "List them: emboscope labels STUDY log."
        )
    _check_own(wanted, annotator)
    made = f"undo-{uuid.uuid4().hex[:12]}"
    return tuple(
        LabelEvent(event.sample_id, annotator, "undo", details={"undoes": event.uuid}, batch=made)
        for event in wanted
    )


def last_batch(events: Sequence[LabelEvent], annotator: str | None = None) -> LabelEvent:
    """The last event that stands, of a person or of all: its batch is what an undo means.

    Raises
    ------
    DataError
        If there is none.
    """
    for event in reversed(standing(events)):
        if annotator in {None, event.annotator}:
            return event
    raise DataError(
        f"log: nothing to undo{f' of {annotator}' if annotator else ''}; expected a label that "
        "stands. List them: emboscope labels STUDY log."
    )


def _taken(events: Sequence[LabelEvent]) -> set[str]:
    """Uuids of the events, undos too, that an undo has taken back."""
    taken: set[str] = set()
    for event in reversed(events):
        if event.source == "undo" and event.uuid not in taken:
            taken.add(str(event.details["undoes"]))
    return taken


def _check_own(events: Iterable[LabelEvent], annotator: str) -> None:
    """Nobody takes back what another person said or took back."""
    for event in events:
        if event.source in {"expert", "lasso", "undo"} and event.annotator != annotator:
            raise DataError(
                f"batch '{event.batch}': said by '{event.annotator}'; expected an undo by the "
                f"same person, not by '{annotator}'. Say so as --annotator {event.annotator}."
            )
