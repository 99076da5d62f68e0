"""From a recording to all that was made of it, and back."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from emboscope.errors import DataError
from emboscope.store.tables import origins, recordings, shards


def files_of(connection: Connection, name: str) -> tuple[str, ...]:
    """Array files in which something of a recording stands, oldest first.

    Raises
    ------
    DataError
        If there is no such recording.
    """
    key = connection.execute(select(recordings.c.id).where(recordings.c.name == name)).scalar()
    if key is None:
        raise DataError(f"recording '{name}': not in the study; expected the name of one of its.")
    links = connection.execute(select(origins)).all()
    found = {link.shard_id for link in links if link.recording_id == key}
    grown = True
    while grown:
        more = {link.shard_id for link in links if link.parent_id in found} - found
        found |= more
        grown = bool(more)
    rows = connection.execute(select(shards.c.id, shards.c.file).order_by(shards.c.id))
    return tuple(dict.fromkeys(row.file for row in rows if row.id in found))


def recordings_of(connection: Connection, of_shards: Iterable[int]) -> tuple[str, ...]:
    """Names of the recordings that shards were made from, in alphabetical order."""
    links = connection.execute(select(origins)).all()
    found, waiting = set(of_shards), list(of_shards)
    while waiting:
        child = waiting.pop()
        more = {link.parent_id for link in links if link.shard_id == child} - found - {None}
        found |= more
        waiting += more
    keys = {link.recording_id for link in links if link.shard_id in found} - {None}
    rows = connection.execute(select(recordings.c.id, recordings.c.name))
    return tuple(sorted(row.name for row in rows if row.id in keys))
