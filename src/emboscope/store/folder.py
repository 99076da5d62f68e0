"""`study.toml`: which study a folder is, and where its tables are."""

import os
from pathlib import Path

import tomli_w
from sqlalchemy import URL

from emboscope.errors import DataError, SettingsError
from emboscope.settings import Settings, read_toml

FORMAT_VERSION = 1
URL_VARIABLE = "EMBOSCOPE_STORE_URL"
FILE, TABLES = "study.toml", "tables.sqlite"


class StoreSettings(Settings):
    """Where the tables are."""

    url: str | None = None  # of SQLAlchemy; tables.sqlite in the folder without one


class StudySettings(Settings):
    """What `study.toml` holds."""

    format_version: int = FORMAT_VERSION
    study: str  # which study the tables must be of
    store: StoreSettings = StoreSettings()


def is_study(path: Path) -> bool:
    """Whether a folder is a study."""
    return (path / FILE).is_file()


def check_new(path: Path) -> None:
    """DataError unless a study can be made there: nothing, or an empty folder."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DataError(
            f"study '{path}': something else is there; expected a study, or a new or empty "
            "folder. Name another."
        )


def make_new(path: Path) -> bool:
    """Make the folder of a new study; whether it was not there. SettingsError if it cannot be."""
    made = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"study '{path}': {error.strerror}. Choose another folder.") from error
    return made


def write_settings(path: Path, settings: StudySettings) -> None:
    """Write `study.toml`, aside first."""
    aside = path / f".{FILE}.{os.getpid()}.part"
    content = settings.model_dump(mode="json", exclude_none=True)
    with aside.open("w", encoding="utf-8") as file:
        file.write(tomli_w.dumps({key: value for key, value in content.items() if value != {}}))
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path / FILE)


def read_settings(path: Path) -> StudySettings:
    """Read `study.toml`.

    Raises
    ------
    DataError
        If there is none, or its format is unknown.
    SettingsError
        If it is no TOML, or a setting cannot be.
    """
    if not is_study(path):
        raise DataError(
            f"study '{path}': no study.toml in it; expected a study folder. "
            "Make one: emboscope ingest STUDY RECORDING..."
        )
    content = read_toml(path / FILE)
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise DataError(
            f"study '{path}': format_version {version}; expected {FORMAT_VERSION}. "
            "Open it with the version of emboscope that wrote it."
        )
    return StudySettings.parse(content, FILE.removesuffix(".toml"))


def database_url(path: Path, settings: StudySettings) -> str:
    """Where the tables are: EMBOSCOPE_STORE_URL, else `study.toml`, else the folder itself."""
    return os.environ.get(URL_VARIABLE) or settings.store.url or local_url(path)


def local_url(path: Path) -> str:
    """The URL of `tables.sqlite` in the folder."""
    return URL.create("sqlite", database=str(path.resolve() / TABLES)).render_as_string()


def check_tables(path: Path, url: str) -> None:
    """DataError where the tables should be in the folder, and are not."""
    if url == local_url(path) and not (path / TABLES).is_file():
        raise DataError(
            f"study '{path}': {TABLES} is missing; expected it beside {FILE}. "
            "Restore it from a copy; where the tables are on a server set EMBOSCOPE_STORE_URL."
        )
