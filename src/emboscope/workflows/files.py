"""The files that users and their scripts build on: events, their provenance, the truth."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from emboscope.errors import DataError, SettingsError
from emboscope.events.event import LABELS, VERDICTS, Event
from emboscope.signal.device_files import read_dwl_log

FORMAT_VERSION = 1
NOTICE = (
    "Research use only. Not a medical device. Not for diagnosis, monitoring or treatment "
    "decisions. Not evaluated by FDA or under MDR."
)
COLUMNS = (
    "onset_s", "duration_s", "peak_s", "hbr_db", "direction_db", "frequency_hz", "velocity_cm_s",
    "saturated", "aliased", "verdict", "label", "p_artifact", "p_gaseous", "p_solid",
)  # fmt: skip


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is never seen half written."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def fingerprint(path: Path) -> str:
    """Hash of the size and the first and last mebibyte of a file: tells recordings apart."""
    size, part = path.stat().st_size, 2**20
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(part))
        file.seek(max(0, size - part))
        digest.update(file.read(part))
    return digest.hexdigest()[:16]


def write_json(path: Path, content: object) -> None:
    """Write JSON that a person can read; NaN, which JSON lacks, becomes null."""
    write_text(path, json.dumps(_plain(content), indent=1, allow_nan=False) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value != value:
        return None
    return value.item() if hasattr(value, "item") else value


def read_json(path: Path) -> dict:
    """Content of one of our JSON files.

    Raises
    ------
    DataError
        If it is missing, no JSON, or of another format version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"'{path}': {error.strerror}. Check the path.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"'{path}': not JSON ({error}). Make it again.") from error
    if not isinstance(content, dict) or content.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"'{path}': format_version is not {FORMAT_VERSION}. Read it with the version of "
            "emboscope that wrote it, or make it again."
        )
    return content


def event_row(event: Event) -> dict[str, object]:
    """One row of `NAME.events.csv`: booleans as 0 and 1, unknown as empty."""
    row: dict[str, object] = {name: getattr(event, name) for name in COLUMNS[:11]}
    row["saturated"], row["aliased"] = int(event.saturated), int(event.aliased)
    row["velocity_cm_s"] = "" if event.velocity_cm_s is None else event.velocity_cm_s
    probabilities: Iterable[object] = event.probabilities or ("",) * len(LABELS)
    row.update(zip(COLUMNS[11:], probabilities, strict=True))
    return row


def write_events_csv(path: Path, events: Iterable[Event]) -> None:
    """Write `NAME.events.csv`; numbers with four decimals (0.1 ms)."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for event in events:
        row = event_row(event)
        writer.writerow({
            key: f"{cell:.4f}" if isinstance(cell, float) else cell for key, cell in row.items()
        })
    write_text(path, buffer.getvalue())


def read_events_csv(path: Path) -> list[Event]:
    """Read `NAME.events.csv`.

    Raises
    ------
    DataError
        With the row and the column that cannot be read.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise DataError(f"events '{path}': {error.strerror}. Check the path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"events '{path}': not a CSV file ({error}).") from error
    return [_event(path, number, row) for number, row in enumerate(rows, start=2)]


def _event(path: Path, number: int, row: dict[str, str]) -> Event:
    def cell(name: str) -> str:
        value = row.get(name)
        if value is None:
            raise DataError(
                f"events '{path}' row {number}: no column {name}; expected {', '.join(COLUMNS)}."
            )
        return value

    def figure(name: str) -> float:
        try:
            return float(cell(name))
        except ValueError as error:
            raise DataError(
                f"events '{path}' row {number}: {name} is '{cell(name)}'; expected a number."
            ) from error

    if cell("verdict") not in VERDICTS:
        raise DataError(
            f"events '{path}' row {number}: verdict is '{cell('verdict')}'; expected "
            f"{', '.join(VERDICTS)}."
        )
    known = all(cell(name) for name in COLUMNS[11:])
    return Event(
        **{name: figure(name) for name in COLUMNS[:6]},
        velocity_cm_s=figure("velocity_cm_s") if cell("velocity_cm_s") else None,
        saturated=cell("saturated") == "1",
        aliased=cell("aliased") == "1",
        verdict=cell("verdict"),
        label=cell("label"),
        probabilities=tuple(figure(name) for name in COLUMNS[11:]) if known else (),
    )


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    return {name: version(name) for name in ("emboscope", "numpy", "scipy")}


@dataclass(frozen=True)
class TruthEvent:
    """What scoring needs of an event of a truth sidecar."""

    peak_s: float
    label: str
    ebr_db: float


def read_truth(path: Path) -> list[TruthEvent]:
    """Events of the sidecar of a simulated recording, or of the log of a DWL device.

    What a device reported is a reference as good as the device: it calls every HITS an embolus,
    and its decibel is its own.

    Raises
    ------
    DataError
        If the file holds no list of events with peak_s, label and ebr_db.
    """
    if path.suffix.lower().startswith(".tx"):
        hits = read_dwl_log(path).hits
        return [TruthEvent(hit.time_s, "embolus", float("nan")) for hit in hits]
    try:
        return [
            TruthEvent(float(each["peak_s"]), str(each["label"]), float(each["ebr_db"]))
            for each in read_json(path)["events"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"reference '{path}': {error}; expected events with peak_s, label and ebr_db."
        ) from error


def plain_dict(value: object) -> dict:
    """A dataclass as a dict, for JSON."""
    return asdict(value)  # type: ignore[call-overload]


def prepare_folder(path: Path) -> Path:
    """Make an output folder; SettingsError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"folder '{path}': {error.strerror}. Choose another.") from error
    if not os.access(path, os.W_OK):
        raise SettingsError(f"folder '{path}': nothing can be written there. Choose another.")
    return path
