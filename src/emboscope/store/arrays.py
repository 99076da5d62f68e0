"""Arrays of all samples, put together of the shards that hold them."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Row, func, insert, select, update

from emboscope.errors import DataError
from emboscope.store.database import new_key, now
from emboscope.store.tables import origins, shards

_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
_IDS = np.dtype("<i8")


@dataclass(frozen=True)
class ArrayInfo:
    """An array of a study: the shards of one kind that were made by the same settings.

    Attributes
    ----------
    kind, settings_hash : str
    settings : dict
    shards : tuple of int
        Keys; the later hold against the earlier.
    files : tuple of str
        In `derived/`.
    n_rows : int
    created : str
        Of the latest shard, UTC.
    """

    kind: str
    settings_hash: str
    settings: Mapping[str, object]
    shards: tuple[int, ...]
    files: tuple[str, ...]
    n_rows: int
    created: str


@dataclass(frozen=True)
class Written:
    """A shard on the disk, before the tables tell of it."""

    kind: str
    settings: Mapping[str, object]
    settings_hash: str
    file: str
    sha256: str


def check_rows(kind: str, array: np.ndarray, n_rows: int) -> None:
    """DataError unless the kind can begin a file name and the array has a row a sample."""
    if not _KIND.fullmatch(kind):
        raise DataError(
            f"array '{kind}': expected a name of small letters, digits and _. Rename it."
        )
    if array.ndim == 0 or len(array) != n_rows or n_rows == 0:
        raise DataError(
            f"array '{kind}': shape {array.shape} for {n_rows} samples; expected a row a sample. "
            "Pass ids= for a part of them."
        )


def check_ids(kind: str, ids: np.ndarray, known: np.ndarray) -> None:
    """DataError unless each is a sample of the study, and stands there once."""
    strange = np.setdiff1d(ids, known)
    if strange.size or np.unique(ids).size != ids.size:
        what = f"sample {strange[0]} is not in the study" if strange.size else "a sample twice"
        raise DataError(f"array '{kind}': {what}; expected ids of Study.samples, each once.")


def add_shard(
    connection: Connection,
    shard: Written,
    ids: np.ndarray,
    parents: Iterable[int] = (),
    recordings: Iterable[int] = (),
) -> int:
    """Key of a shard, with what it was made from.

    The same as the newest of its kind is the same row; the same as an older one becomes the newest.
    """
    packed = np.asarray(ids, _IDS).tobytes()
    newest = select(func.max(shards.c.id)).where(shards.c.kind == shard.kind).scalar_subquery()
    same = select(shards.c.id, shards.c.ids).where(
        shards.c.id == newest,
        shards.c.settings_hash == shard.settings_hash,
        shards.c.sha256 == shard.sha256,
    )
    row = connection.execute(same).first()
    if row is not None and bytes(row.ids) == packed:
        return row.id
    values = {name: getattr(shard, name) for name in Written.__dataclass_fields__}
    values["settings"] = dict(shard.settings)
    key = new_key(connection, insert(shards).values(**values, ids=packed, created=now()))
    rows = [{"shard_id": key, "parent_id": each, "recording_id": None} for each in parents]
    rows += [{"shard_id": key, "parent_id": None, "recording_id": each} for each in recordings]
    if rows:
        connection.execute(insert(origins), rows)
    return key


def set_ids(connection: Connection, shard: int, ids: np.ndarray) -> None:
    """Tell which samples the rows of a new shard are."""
    packed = np.asarray(ids, _IDS).tobytes()
    connection.execute(update(shards).where(shards.c.id == shard).values(ids=packed))


def shards_of(connection: Connection, kind: str, by: str | None = None) -> list[Row]:
    """Shards of a kind made by the same settings, oldest first; by default the newest settings.

    Raises
    ------
    DataError
        If there are none.
    """
    query = select(shards).where(shards.c.kind == kind).order_by(shards.c.id)
    rows = connection.execute(query).all()
    wanted = [row for row in rows if row.settings_hash == (by or rows[-1].settings_hash)]
    if not wanted:
        known = sorted(connection.execute(select(shards.c.kind).distinct()).scalars())
        which = f"array '{kind}'" + (f" by settings {by}" if rows else "")
        raise DataError(
            f"{which}: not in the study; expected one of {', '.join(known) or 'none yet'}. "
            "Make it first."
        )
    return wanted


def list_arrays(connection: Connection, kind: str | None = None) -> tuple[ArrayInfo, ...]:
    """What arrays there are, of one kind or of all, oldest first."""
    query = select(shards).order_by(shards.c.id)
    if kind is not None:
        query = query.where(shards.c.kind == kind)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in connection.execute(query):
        groups.setdefault((row.kind, row.settings_hash), []).append(row)
    infos = [info_of(rows) for rows in groups.values()]
    return tuple(sorted(infos, key=lambda info: info.shards[-1]))


def info_of(rows: Sequence[Row]) -> ArrayInfo:
    """What the shards of one array are together."""
    last = rows[-1]
    ids = {sample for row in rows for sample in np.frombuffer(row.ids, _IDS).tolist()}
    return ArrayInfo(
        kind=last.kind,
        settings_hash=last.settings_hash,
        settings=last.settings,
        shards=tuple(row.id for row in rows),
        files=tuple(dict.fromkeys(row.file for row in rows)),
        n_rows=len(ids),
        created=last.created,
    )


def gather(
    rows: Sequence[Row], ids: np.ndarray, read: Callable[[str, str], np.ndarray]
) -> np.ndarray:
    """One row a sample, of the shards that hold them.

    Parameters
    ----------
    rows : sequence of Row
        Of `shards_of`; where two hold a sample, the later does.
    ids : ndarray of int64, shape (n,)
    read : callable (file, sha256) -> ndarray

    Returns
    -------
    array : ndarray, shape (n, ...)
        Mapped from the disk, read-only, where one shard holds just these samples in this order.

    Raises
    ------
    DataError
        If a sample has no row, or the shards do not fit each other.
    """
    holders = [(row, np.frombuffer(row.ids, _IDS)) for row in rows]
    row, held = holders[-1]
    if np.array_equal(held, ids):
        return read(row.file, row.sha256)
    found, out = np.zeros(len(ids), bool), None
    for row, held in holders:
        mine = np.isin(ids, held)
        if not mine.any():
            continue
        part = read(row.file, row.sha256)
        if out is None:
            out = np.empty((len(ids), *part.shape[1:]), part.dtype)
        if part.shape[1:] != out.shape[1:] or part.dtype != out.dtype:
            raise DataError(
                f"array '{row.kind}': rows of shape {part.shape[1:]} after {out.shape[1:]}; "
                "expected one shape. Make it again for all samples."
            )
        order = np.argsort(held, kind="stable")
        out[mine] = part[order[np.searchsorted(held, ids[mine], sorter=order)]]
        found |= mine
    if out is None or not found.all():
        raise DataError(
            f"array '{rows[-1].kind}': {int((~found).sum())} of {len(ids)} samples have no row; "
            "expected all. Make it again: recordings were added since."
        )
    return out
