"""The arrays of a study: files in `derived/`, told of by the tables."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from sqlalchemy import select

from emboscope.store.arrays import (
    ArrayInfo,
    Written,
    add_shard,
    check_ids,
    check_rows,
    gather,
    info_of,
    list_arrays,
    shards_of,
)
from emboscope.store.database import Database
from emboscope.store.samples import read_ids
from emboscope.store.shards import read_shard, settings_hash, sweep, write_shard
from emboscope.store.tables import shards


class Shelf:
    """Arrays of all samples by kind and settings; `Study` hands its calls on to it.

    Parameters
    ----------
    folder : Path
        `derived/`, made with the first array.
    database : Database
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder, self._database = folder, database
        self._checked: set[str] = set()  # files whose hash was compared

    def arrays(self, kind: str | None = None) -> tuple[ArrayInfo, ...]:
        """What arrays there are, of one kind or of all, oldest first."""
        with self._database.read() as connection:
            return list_arrays(connection, kind)

    def array(
        self, kind: str, settings_hash: str | None = None, ids: np.ndarray | None = None
    ) -> np.ndarray:
        """An array, a row a sample.

        Parameters
        ----------
        kind : str
            `segments`, `spectrogram`, `features`, `map`, ...
        settings_hash : str, optional
            Which of several, as `arrays` tells; the newest by default.
        ids : ndarray of int, optional
            Of which samples, in which order; all in the order of `Study.samples` by default.

        Returns
        -------
        array : ndarray, shape (n, ...)
            Mapped from the disk, read-only, where one file holds it all in this order.

        Raises
        ------
        DataError
            If there is none, a sample has no row, or a file is missing or damaged.
        """
        with self._database.read() as connection:
            asked = read_ids(connection) if ids is None else np.asarray(ids, np.int64)
            rows = shards_of(connection, kind, settings_hash)
        return gather(rows, asked, self._read)

    def put_array(
        self,
        kind: str,
        array: np.ndarray,
        settings: Mapping[str, object],
        ids: np.ndarray | None = None,
        parents: Iterable[ArrayInfo] = (),
    ) -> ArrayInfo:
        """Keep an array, which becomes the newest of its kind; the same again is kept once.

        Parameters
        ----------
        kind : str
            Small letters, digits and `_`.
        array : ndarray, shape (n, ...)
            A row a sample.
        settings : mapping
            What it was made by, of plain values; tells several of a kind apart.
        ids : ndarray of int, optional
            Sample of each row; all in the order of `Study.samples` by default.
        parents : iterable of ArrayInfo
            What it was made from.

        Raises
        ------
        DataError
            If a row is missing or too many, a sample is strange or there twice, or the array
            holds objects.
        """
        with self._database.read() as connection:
            all_ids = read_ids(connection)
        asked = all_ids if ids is None else np.asarray(ids, np.int64)
        check_ids(kind, asked, all_ids)
        shard = self.write(kind, np.asarray(array), settings, len(asked))
        made_from = [key for parent in parents for key in parent.shards]
        with self._database.write() as connection:
            add_shard(connection, shard, asked, made_from)
            return info_of(shards_of(connection, kind, shard.settings_hash))

    def write(
        self, kind: str, array: np.ndarray, settings: Mapping[str, object], n_rows: int
    ) -> Written:
        """Put an array on the disk; no table tells of it yet."""
        check_rows(kind, array, n_rows)
        by = settings_hash(settings)
        file, sha256 = write_shard(self._folder, kind, by, array)
        return Written(kind, settings, by, file, sha256)

    def sweep(self) -> int:
        """Remove the files that a killed process left; how many."""
        with self._database.read() as connection:
            known = set(connection.execute(select(shards.c.file)).scalars())
        return sweep(self._folder, known)

    def _read(self, file: str, sha256: str) -> np.ndarray:
        """An array file; its hash is compared at the first reading."""
        array = read_shard(self._folder / file, None if file in self._checked else sha256)
        self._checked.add(file)
        return array
