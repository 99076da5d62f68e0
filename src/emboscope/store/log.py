"""The log of labels in the tables: events are added, never changed."""

from collections.abc import Sequence

from sqlalchemy import Connection, Row, func, insert, select

from emboscope.errors import DataError
from emboscope.store.database import among, now
from emboscope.store.labels import LabelEvent, check_event
from emboscope.store.tables import label_log, samples


def append_events(
    connection: Connection, events: Sequence[LabelEvent], n_classes: int
) -> tuple[int, ...]:
    """Places of the events in the log; an event that is there already keeps its place.

    Raises
    ------
    DataError
        If an event says nothing that can be kept, names a sample that is not there, or has the
        uuid of another.
    """
    for event in events:
        check_event(event, n_classes)
    known = {
        row.uuid: row for row in among(connection, label_log.c.uuid, _uuids(events), label_log)
    }
    _check_samples(connection, events)
    when, new = now(), {}
    for event in events:
        if event.uuid not in known:
            new[event.uuid] = {**_values(event), "created": when}
        elif _content(_event(known[event.uuid])) != _content(event):
            raise DataError(
                f"label '{event.uuid}': another event has that uuid; expected a new one for each. "
                "Leave uuid out."
            )
    if new:
        connection.execute(insert(label_log), list(new.values()))
    rows = among(connection, label_log.c.uuid, _uuids(events), label_log.c.uuid, label_log.c.id)
    places = {row.uuid: row.id for row in rows}
    return tuple(places[event.uuid] for event in events)


def read_log(connection: Connection, known: tuple[LabelEvent, ...] = ()) -> tuple[LabelEvent, ...]:
    """All events in their order; of those that are known, only how many they are is asked.

    On a server a place may be taken before another and committed after it: then all are read.
    """
    last = known[-1].number if known else 0
    before = select(func.count()).select_from(label_log).where(label_log.c.id <= last)
    if connection.execute(before).scalar() != len(known):
        known, last = (), 0
    query = select(label_log).where(label_log.c.id > last).order_by(label_log.c.id)
    return (*known, *(_event(row) for row in connection.execute(query)))


def _uuids(events: Sequence[LabelEvent]) -> list[str]:
    return [event.uuid for event in events]


def _check_samples(connection: Connection, events: Sequence[LabelEvent]) -> None:
    asked = {event.sample_id for event in events}
    missing = asked - {row.id for row in among(connection, samples.c.id, asked)}
    if missing:
        raise DataError(
            f"label of sample {min(missing)}: not in the study; expected one of its samples. "
            "List them: emboscope labels STUDY export FILE, also with --unlabeled."
        )


def _values(event: LabelEvent) -> dict[str, object]:
    """A row of the table."""
    shares = event.probabilities
    return {
        "uuid": event.uuid,
        "sample_id": int(event.sample_id),
        "annotator": event.annotator,
        "source": event.source,
        "probabilities": None if shares is None else [float(share) for share in shares],
        "comment": event.comment,
        "details": dict(event.details),
        "batch": event.batch or event.uuid,
    }


def _content(event: LabelEvent) -> tuple:
    """What two events with one uuid must agree in."""
    shares = event.probabilities
    said = None if shares is None else tuple(float(share) for share in shares)
    return event.sample_id, event.annotator, event.source, said


def _event(row: Row) -> LabelEvent:
    return LabelEvent(
        sample_id=row.sample_id,
        annotator=row.annotator,
        source=row.source,
        probabilities=None if row.probabilities is None else tuple(row.probabilities),
        comment=row.comment,
        details=row.details,
        batch=row.batch,
        uuid=row.uuid,
        number=row.id,
        when=row.created,
    )
