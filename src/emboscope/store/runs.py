"""What was done with a study, and with which settings."""

from collections.abc import Mapping

from sqlalchemy import Connection, insert, select

from emboscope.store.database import new_key, now
from emboscope.store.tables import runs


def add_run(
    connection: Connection,
    kind: str,
    settings: Mapping[str, object],
    results: Mapping[str, object],
) -> int:
    """Number of a new run."""
    values = {"kind": kind, "settings": dict(settings), "results": dict(results)}
    return new_key(connection, insert(runs).values(**values, created=now()))


def read_runs(connection: Connection) -> tuple[dict[str, object], ...]:
    """Id, kind, settings, results and time of all runs, oldest first."""
    rows = connection.execute(select(runs).order_by(runs.c.id)).mappings()
    return tuple(dict(row) for row in rows)
