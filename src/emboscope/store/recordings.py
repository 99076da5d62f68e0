"""Recordings and what comes with them: events, samples, shards; all of it, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection, insert, select

from emboscope.errors import DataError
from emboscope.events.event import Event
from emboscope.store.arrays import Written, add_shard, set_ids
from emboscope.store.database import new_key, now
from emboscope.store.tables import (
    FLAGS,
    MEASURES,
    NUMBER_ITEMS,
    TEXT_ITEMS,
    events,
    recordings,
    samples,
)

SEGMENTS = "segments"
_PLAIN = ("name", "subject", "path", "copied", "sha256", "sfreq", "duration_s", "evaluable_s")


@dataclass(frozen=True)
class RecordingInfo:
    """A recording of the study.

    Attributes
    ----------
    name, subject : str
        Pseudonyms of the file and of the patient.
    path : str
        Where it lies; of a copy relative to the study.
    copied : bool
    sha256 : str
        Of the file that was ingested.
    sfreq, duration_s, evaluable_s : float
        In Hz and seconds.
    flags : tuple of str
        What the detector says of it.
    items : dict
        The 14 acquisition items as far as they are known; see `tables.TEXT_ITEMS`.
    """

    name: str
    subject: str
    path: str
    copied: bool
    sha256: str
    sfreq: float
    duration_s: float
    evaluable_s: float
    flags: tuple[str, ...] = ()
    items: Mapping[str, str | float] = field(default_factory=dict)


def read_recordings(connection: Connection) -> tuple[RecordingInfo, ...]:
    """All recordings, in the order in which they came."""
    return tuple(
        RecordingInfo(
            **{name: row[name] for name in _PLAIN},
            flags=tuple(row["flags"]),
            items={k: row[k] for k in (*TEXT_ITEMS, *NUMBER_ITEMS) if row[k] is not None},
        )
        for row in connection.execute(select(recordings).order_by(recordings.c.id)).mappings()
    )


def add_all(
    connection: Connection,
    info: RecordingInfo,
    found: Sequence[Event],
    written: Mapping[str, Written],
) -> np.ndarray:
    """Add a recording with its events; event i is row i of each shard.

    Parameters
    ----------
    written : mapping of str to Written
        By kind; the others were made from `segments`.

    Returns
    -------
    ids : ndarray of int64, shape (n_events,)
        Of the new samples.
    """
    recording = add_recording(connection, info)
    if not found:
        return np.empty(0, np.int64)
    nobody = np.empty(0, np.int64)  # the samples that refer to the shard come after it
    segments = add_shard(connection, written[SEGMENTS], nobody, recordings=[recording])
    keys = add_events(connection, recording, found)
    ids = np.array(add_samples(connection, keys, segments), np.int64)
    set_ids(connection, segments, ids)
    for kind, shard in written.items():
        if kind != SEGMENTS:
            add_shard(connection, shard, ids, parents=[segments])
    return ids


def add_recording(connection: Connection, info: RecordingInfo) -> int:
    """Key of a new recording.

    Raises
    ------
    DataError
        If its name is taken, or an acquisition item is none of the fourteen.
    """
    unknown = set(info.items) - {*TEXT_ITEMS, *NUMBER_ITEMS}
    if unknown:
        raise DataError(
            f"recording '{info.name}': item '{min(unknown)}' is unknown; expected "
            f"{', '.join((*TEXT_ITEMS, *NUMBER_ITEMS))}."
        )
    taken = select(recordings.c.sha256).where(recordings.c.name == info.name)
    if connection.execute(taken).first():
        raise DataError(
            f"recording '{info.name}': another of that name is in the study; expected one file "
            "of a name. Rename the file."
        )
    plain = {name: getattr(info, name) for name in RecordingInfo.__dataclass_fields__}
    items = plain.pop("items")
    values = {**plain, **items, "flags": list(info.flags), "created": now()}
    return new_key(connection, insert(recordings).values(**values))


def add_events(connection: Connection, recording: int, found: Sequence[Event]) -> list[int]:
    """Keys of new events of a recording, in their order."""
    rows = [
        {
            "recording_id": recording,
            "verdict": event.verdict,
            **{name: getattr(event, name) for name in (*MEASURES, *FLAGS)},
        }
        for event in found
    ]
    made = insert(events).returning(events.c.id, sort_by_parameter_order=True)
    return list(connection.execute(made, rows).scalars())


def add_samples(connection: Connection, of_events: Sequence[int], shard: int) -> list[int]:
    """Ids of new samples: event i is row i of the shard."""
    rows = [{"event_id": key, "shard_id": shard, "row": row} for row, key in enumerate(of_events)]
    made = insert(samples).returning(samples.c.id, sort_by_parameter_order=True)
    return list(connection.execute(made, rows).scalars())
