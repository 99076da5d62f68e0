"""A study: one folder that holds what a group of recordings leads to."""

import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from sqlalchemy import select, update

from emboscope.errors import DataError, SettingsError
from emboscope.events.event import LABELS, Event
from emboscope.store import folder
from emboscope.store.arrays import ArrayInfo
from emboscope.store.database import ConflictError, Database
from emboscope.store.folder import StoreSettings, StudySettings
from emboscope.store.labels import LabelEvent, Labels, fold, hard, undo_events, votes
from emboscope.store.log import append_events, read_log
from emboscope.store.provenance import files_of, recordings_of
from emboscope.store.recordings import RecordingInfo, add_all, read_recordings
from emboscope.store.runs import add_run, read_runs
from emboscope.store.samples import Samples, read_ids, read_samples
from emboscope.store.shelf import Shelf
from emboscope.store.splits import assign, read_splits
from emboscope.store.tables import about

DERIVED = "derived"


class Study:
    """A study folder: `study.toml`, the tables, `raw/` and `derived/`.

    Made by `create` or `open`. What a method has written when it returns outlives a kill of the
    process. Several processes may use a study at once.

    Attributes
    ----------
    path : Path
    classes : tuple of str
        Of the labels, in the order of their probabilities.
    """

    def __init__(self, path: Path, settings: StudySettings, database: Database) -> None:
        self.path = path
        self.classes: tuple[str, ...] = database.check(settings.study)
        self._id = settings.study
        self._database = database
        self._shelf = Shelf(path / DERIVED, database)
        self._read: tuple[LabelEvent, ...] = ()  # of the log, which only grows

    @classmethod
    def create(cls, path: Path | str, url: str | None = None) -> Self:
        """Make a new study.

        Parameters
        ----------
        path : Path
            A folder that is not there yet, or empty.
        url : str, optional
            Of a database, kept in `study.toml`. By default that of EMBOSCOPE_STORE_URL, which is
            not kept, else `tables.sqlite` in the folder.

        Raises
        ------
        DataError
            If the folder is not empty, or the database cannot be used or holds a study.
        SettingsError
            If the URL is none, or the folder cannot be made.
        """
        path = Path(path)
        folder.check_new(path)
        settings = StudySettings(study=uuid.uuid4().hex, store=StoreSettings(url=url))
        made = folder.make_new(path)
        try:
            database = Database(url or folder.database_url(path, settings))
            database.create(settings.study, LABELS)
            folder.write_settings(path, settings)
        except (DataError, SettingsError):
            if made:
                shutil.rmtree(path)
            raise
        return cls(path, settings, database)

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a study.

        Raises
        ------
        DataError
            If there is none, or its format, its tables or its database cannot be used.
        SettingsError
            If a setting in `study.toml` cannot be.
        """
        path = Path(path)
        settings = folder.read_settings(path)
        url = folder.database_url(path, settings)
        folder.check_tables(path, url)
        return cls(path, settings, Database(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections to the tables."""
        self._database.close()

    # --- recordings and samples -------------------------------------------------------------

    def samples(self) -> Samples:
        """All samples, in the order of their ids."""
        with self._database.read() as connection:
            return read_samples(connection)

    def recordings(self) -> tuple[RecordingInfo, ...]:
        """All recordings, in the order in which they came."""
        with self._database.read() as connection:
            return read_recordings(connection)

    def raw_path(self, recording: RecordingInfo) -> Path:
        """Where a recording lies."""
        return self.path / recording.path if recording.copied else Path(recording.path)

    def add_recording(
        self,
        info: RecordingInfo,
        found: Sequence[Event],
        made: Mapping[str, tuple[np.ndarray, Mapping[str, object]]],
    ) -> np.ndarray:
        """Add a recording, its events and their arrays: all of it, or nothing.

        Parameters
        ----------
        info : RecordingInfo
            Its subject must have a split.
        found : sequence of Event
            Each becomes a sample.
        made : mapping of str to (array, settings)
            By kind, a row an event; `segments` among them, the others were made from it.

        Returns
        -------
        ids : ndarray of int64, shape (n_events,)
            Of the new samples.

        Raises
        ------
        DataError
            If the recording or its name is there already, or an array does not fit the events.
        """
        written = {
            kind: self._shelf.write(kind, array, settings, len(found))
            for kind, (array, settings) in made.items()
            if found
        }
        with self._database.write() as connection:
            return add_all(connection, info, found, written)

    # --- splits ---------------------------------------------------------------------------------

    def splits(self) -> dict[str, str]:
        """`train` or `test` of each subject."""
        with self._database.read() as connection:
            return read_splits(connection)

    def assign_splits(
        self, subjects: Iterable[str], share: float, seed: int, test: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Draw the split of the subjects that have none; those that have keep it.

        Parameters
        ----------
        subjects : iterable of str
        share : float
            Of all subjects, that are the test part.
        seed : int
        test : iterable of str, optional
            Choose these in place of a draw.

        Raises
        ------
        SettingsError
            If a subject of `test` has been one to learn from.
        """
        with self._database.write() as connection:
            return assign(connection, subjects, share, seed, test)

    # --- arrays ---------------------------------------------------------------------------------

    def arrays(self, kind: str | None = None) -> tuple[ArrayInfo, ...]:
        """What arrays there are, of one kind or of all, oldest first."""
        return self._shelf.arrays(kind)

    def array(
        self, kind: str, settings_hash: str | None = None, ids: np.ndarray | None = None
    ) -> np.ndarray:
        """An array, a row a sample; see `Shelf.array`."""
        return self._shelf.array(kind, settings_hash, ids)

    def put_array(
        self,
        kind: str,
        array: np.ndarray,
        settings: Mapping[str, object],
        ids: np.ndarray | None = None,
        parents: Iterable[ArrayInfo] = (),
    ) -> ArrayInfo:
        """Keep an array; see `Shelf.put_array`."""
        return self._shelf.put_array(kind, array, settings, ids, parents)

    def write_again(
        self, made: Mapping[str, tuple[np.ndarray, Mapping[str, object]]]
    ) -> tuple[str, ...]:
        """Write array files of which the tables tell already, because they were lost; their names.

        Parameters
        ----------
        made : mapping of str to (array, settings)
            By kind, as `add_recording` takes them.
        """
        return tuple(
            self._shelf.write(kind, array, settings, len(array)).file
            for kind, (array, settings) in made.items()
        )

    def made_from(self, recording: str) -> tuple[str, ...]:
        """Files in `derived/` in which something of a recording stands, oldest first."""
        with self._database.read() as connection:
            return files_of(connection, recording)

    def recordings_of(self, array: ArrayInfo) -> tuple[str, ...]:
        """Names of the recordings that an array was made from."""
        with self._database.read() as connection:
            return recordings_of(connection, array.shards)

    def sweep(self) -> int:
        """Remove the files that a killed process left in `derived/`; how many."""
        return self._shelf.sweep()

    # --- labels ---------------------------------------------------------------------------------

    def append(self, events: Sequence[LabelEvent]) -> tuple[int, ...]:
        """Add events to the log, all or none; when this returns, they stay.

        The same event sent again, after an answer that was lost, stands in the log once.

        Returns
        -------
        numbers : tuple of int
            Places in the log.

        Raises
        ------
        DataError
            If an event cannot be kept; then none is.
        """
        try:
            return self._append(events)
        except ConflictError:  # another process has just sent the same: now it is there
            return self._append(events)

    def undo(self, batch: str, annotator: str) -> tuple[int, ...]:
        """Take back a batch of events, by as many that say so; of an undo: bring it again.

        Raises
        ------
        DataError
            If nothing of the batch stands, or another person said it.
        """
        return self.append(undo_events(self.log(), batch, annotator))

    def log(self) -> tuple[LabelEvent, ...]:
        """All events, in their order."""
        with self._database.read() as connection:
            self._read = read_log(connection, self._read)
        return self._read

    def labels(
        self,
        source: str | None = None,
        annotator: str | None = None,
        classes: Sequence[str] | None = None,
    ) -> Labels:
        """The labels that the log leads to; see `labels.fold`.

        Parameters
        ----------
        source, annotator : str, optional
            Only what has this source, or was said by this person.
        classes : sequence of str, optional
            Order of the columns; that of the study by default.

        Raises
        ------
        SettingsError
            If `classes` are not those of the study.
        """
        wanted = tuple(classes or self.classes)
        if set(wanted) != set(self.classes):
            raise SettingsError(
                f"classes {', '.join(wanted)}: expected those of the study, "
                f"{', '.join(self.classes)}, in any order."
            )
        found = fold(self.log(), self._ids(), len(self.classes), source, annotator)
        soft = found.soft[:, [self.classes.index(name) for name in wanted]]
        return Labels(hard(soft), soft, found.source, found.annotator)

    def votes(self) -> tuple[tuple[str, ...], np.ndarray]:
        """What each person says, kept apart; see `labels.votes`."""
        return votes(self.log(), self._ids(), len(self.classes))

    # --- runs -----------------------------------------------------------------------------------

    def record_run(
        self, kind: str, settings: Mapping[str, object], results: Mapping[str, object]
    ) -> int:
        """Note what was done with which settings; its number."""
        with self._database.write() as connection:
            return add_run(connection, kind, settings, results)

    def runs(self) -> tuple[dict[str, object], ...]:
        """What was done: id, kind, settings, results and time, oldest first."""
        with self._database.read() as connection:
            return read_runs(connection)

    def bind_key(self, check: str) -> None:
        """Note which pseudonym key is used; all recordings need the same.

        Parameters
        ----------
        check : str
            A hash that tells the key but does not give it away.

        Raises
        ------
        DataError
            If the study has been made with another.
        """
        with self._database.write() as connection:
            known = connection.execute(select(about.c.key_check)).scalar()
            if known is None:
                connection.execute(update(about).values(key_check=check))
        if known not in {None, check}:
            raise DataError(
                f"study '{self.path}': made with another pseudonym key; expected the same for all "
                "recordings. Name that key."
            )

    # --- within ---------------------------------------------------------------------------------

    def _append(self, events: Sequence[LabelEvent]) -> tuple[int, ...]:
        with self._database.write() as connection:
            return append_events(connection, events, len(self.classes))

    def _ids(self) -> np.ndarray:
        with self._database.read() as connection:
            return read_ids(connection)
