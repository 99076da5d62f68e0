"""A connection to the tables, by any SQLAlchemy URL; errors of the database in one sentence."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Insert,
    Table,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from emboscope.errors import DataError, SettingsError
from emboscope.store.tables import METADATA, SCHEMA_VERSION, about

BUSY_S = 60.0  # that a writer waits for another
FILE_REMEDY = "See that you may write there, or restore the file from a copy."
SERVER_REMEDY = "Is it running, and may you use it?"
CHUNK = 1000  # values asked for in one statement


class ConflictError(DataError):
    """Another process wrote the same thing first."""


class Database:
    """Transactions on one database.

    A write is acknowledged by the end of its `with` block, and then stays whatever happens. SQLite
    keeps a write-ahead log that is flushed at each commit; other servers do so by default.

    Parameters
    ----------
    url : str
        Of SQLAlchemy: `sqlite:///path`, `postgresql+psycopg://user@host/name`.

    Raises
    ------
    SettingsError
        If the URL is none, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
            local = parsed.get_backend_name() == "sqlite"
            self._engine = create_engine(parsed, connect_args={"timeout": BUSY_S} if local else {})
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise SettingsError(
                f"store.url: {error}; expected a URL of SQLAlchemy such as "
                'postgresql+psycopg://USER@HOST/NAME. For PostgreSQL: pip install "emboscope[pg]".'
            ) from error
        self.url = parsed.render_as_string(hide_password=True)
        self._remedy = FILE_REMEDY if local else SERVER_REMEDY
        if local:
            _flush_each_commit(self._engine)
        self._writer = self._engine.execution_options(writes=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block, or leaves nothing."""
        with self._translated(), self._writer.begin() as connection:
            yield connection

    def create(self, study: str, classes: Sequence[str]) -> None:
        """Make the tables of a new study.

        Raises
        ------
        DataError
            If the database holds a study already.
        """
        with self._kept_if_right(), self.write() as connection:
            METADATA.create_all(connection)
            if connection.execute(select(about.c.study)).first():
                raise DataError(
                    f"store '{self.url}': holds a study already; expected an empty database. "
                    "Name another."
                )
            values = {"study": study, "schema_version": SCHEMA_VERSION, "classes": list(classes)}
            connection.execute(insert(about).values(**values, created=now()))

    def check(self, study: str) -> tuple[str, ...]:
        """The classes of the study.

        Raises
        ------
        DataError
            If the tables are missing, of an unknown version, or of another study.
        """
        remedy = (
            "Restore the tables, see that you may write to them, or mend [store] url of study.toml "
            "or EMBOSCOPE_STORE_URL."
        )
        with self._kept_if_right():
            with self._translated(remedy), self._engine.begin() as connection:
                row = connection.execute(select(about)).first()
            if row is None or row.study != study:
                raise DataError(
                    f"store '{self.url}': not the tables of this study; expected study {study}. "
                    + remedy
                )
            if row.schema_version != SCHEMA_VERSION:
                raise DataError(
                    f"store '{self.url}': schema version {row.schema_version}; expected "
                    f"{SCHEMA_VERSION}. Open it with the version of emboscope that wrote it."
                )
        return tuple(row.classes)

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    @contextmanager
    def _kept_if_right(self) -> Iterator[None]:
        """Gives the connections back where a study cannot be made or opened."""
        try:
            yield
        except DataError:
            self.close()
            raise

    @contextmanager
    def _translated(self, remedy: str = "") -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            words = " ".join(str(error.orig).split())
            raise ConflictError(f"store '{self.url}': {words}. Repeat the command.") from error
        except SQLAlchemyError as error:
            words = " ".join(str(getattr(error, "orig", None) or error).split()).rstrip(".")
            raise DataError(f"store '{self.url}': {words}. {remedy or self._remedy}") from error
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DataError(
                f"store '{self.url}': damaged ({error}). Restore the tables from a copy."
            ) from error


def _flush_each_commit(engine: Engine) -> None:
    """SQLite: a write-ahead log, flushed at each commit; writers take their turn from the start.

    The driver is kept from opening transactions by itself, as SQLAlchemy advises.
    """

    @event.listens_for(engine, "connect")
    def prepare(connection, _) -> None:  # type: ignore[no-untyped-def]
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def now() -> str:
    """This moment, in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def new_key(connection: Connection, statement: Insert) -> int:
    """Key of the row that a statement inserts."""
    made = connection.execute(statement).inserted_primary_key
    if made is None:
        raise DataError("store: the database tells no key of a new row. Use another driver.")
    return int(made[0])


def among(
    connection: Connection, column: Column, values: Iterable, *wanted: Column | Table
) -> list:
    """Rows in which a column has one of the values; the column itself, or what is wanted."""
    known = list(dict.fromkeys(values))
    rows: list = []
    for start in range(0, len(known), CHUNK):
        part = known[start : start + CHUNK]
        rows += connection.execute(select(*(wanted or (column,))).where(column.in_(part))).all()
    return rows
