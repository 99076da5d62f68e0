"""What devices write down without the Doppler signal: event logs and trends.

Patients' names are never kept.

References
----------
.. [1] thewtex/dwl-multidop-l2-viewer, public domain: recordings of a DWL Multidop L2, by which the
   form of `NLA<n>.TX<m>` was read.
.. [2] phluentmed/spencer-tcd: an exporter of a Spencer ST3, by which the columns of its CSV were
   read.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from emboscope.errors import DataError

LINE = re.compile(r"\s*(\d+)\s+(\S+)\s*(.*?)\s*$")
HIT = re.compile(r"(-?\d+)dB\s+\S+\s+(\S+)")
NUMBERS = (
    "Time",
    "Channel",
    "Depth",
    "Power",
    "SampleRate",
    "EmboliCount",
    "PeakVelocity",
    "DiastolicVelocity",
    "MeanVelocity",
    "EmboliRate",
)


@dataclass(frozen=True)
class DeviceHit:
    """A HITS that the device reported.

    Attributes
    ----------
    time_s : float
        From the start of the log, by its clock of 1/100 s, which may drift against the wall clock.
    level_db : float
        As the device measures it; how is not known, so it compares with no other.
    gate : str
        The device's own name of the gate, such as `6000T2D048`.
    """

    time_s: float
    level_db: float
    gate: str


@dataclass(frozen=True)
class DeviceLog:
    """Log of a DWL Multidop L2.

    Attributes
    ----------
    prf_hz, carrier_hz : float, optional
        `SYS PRF`, and `SYS FDOP1` of the first channel.
    items : dict of str to str
        `START`, `STOP` and the other `SYS` lines, as they stand there.
    hits : tuple of DeviceHit
    marks : tuple of (float, str)
        Time in seconds and name of each operator's mark.
    """

    prf_hz: float | None
    carrier_hz: float | None
    items: dict[str, str]
    hits: tuple[DeviceHit, ...]
    marks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class TrendRow:
    """What a Spencer ST3 reports about once a second and channel, in the units that it shows."""

    time: float
    channel: int
    vessel: str
    depth_mm: float
    power: float
    sample_rate: float
    emboli_count: int
    peak_velocity: float
    diastolic_velocity: float
    mean_velocity: float
    emboli_rate: float


@dataclass(frozen=True)
class TrendLog:
    """Rows of a Spencer ST3, in the order of the file."""

    rows: tuple[TrendRow, ...]


def read_dwl_log(path: Path) -> DeviceLog:
    """Read `NLA<n>.TX<m>`: lines of a time in 1/100 s, a word, and what it says.

    The lines `PATIENT` are skipped whole; so are those of a kind that is not known.

    Raises
    ------
    DataError
        If it is no such log, or a `HIT` line is damaged, with its number.
    """
    lines = _text(path).splitlines()
    if not lines or "TEXT FILE VERSION" not in lines[0]:
        raise DataError(f"device log '{path}': no DWL text log; expected NLA<n>.TX<m>.")
    items: dict[str, str] = {}
    hits, marks = [], []
    for number, line in enumerate(lines[1:], 2):
        parts = LINE.match(line)
        if parts is None or parts[2] == "PATIENT":
            continue
        time_s, word, rest = int(parts[1]) / 100, parts[2], parts[3]
        if word == "HIT":
            hits.append(_hit(path, number, time_s, rest))
        elif word.startswith("MRK"):
            marks.append((time_s, " ".join(rest.split()[2:]) or word))  # after time and number
        elif word == "SYS":
            name, _, value = rest.partition(" ")
            items[name] = value.strip()
        elif word in {"START", "STOP"}:
            items[word] = rest
    prf, carrier = (_item(path, items, name) for name in ("PRF", "FDOP1"))
    carrier_hz = None if carrier is None else 1000 * carrier
    return DeviceLog(prf, carrier_hz, items, tuple(hits), tuple(marks))


def _hit(path: Path, number: int, time_s: float, rest: str) -> DeviceHit:
    found = HIT.match(rest)
    if found is None:
        raise DataError(
            f"device log '{path}' line {number}: {rest[:40]!r}; expected a level in dB, a time "
            "and a gate. Mend or remove that line."
        )
    return DeviceHit(time_s, float(found[1]), found[2])


def _item(path: Path, items: dict[str, str], name: str) -> float | None:
    if name not in items:
        return None
    try:
        return float(items[name])
    except ValueError as error:
        raise DataError(
            f"device log '{path}': {name} is {items[name]!r}; expected a number."
        ) from error


def read_spencer_trend(path: Path) -> TrendLog:
    """Read the CSV of the open exporter of a Spencer ST3.

    Raises
    ------
    DataError
        If a column is missing, or a row is damaged, with its number.
    """
    reader = csv.DictReader(_text(path).splitlines())
    missing = {*NUMBERS, "VesselLabel"} - set(reader.fieldnames or ())
    if missing:
        raise DataError(
            f"trend '{path}': no column {', '.join(sorted(missing))}; expected those of the "
            "Spencer exporter. Check the file."
        )
    return TrendLog(tuple(_trend_row(path, number, row) for number, row in enumerate(reader, 2)))


def _trend_row(path: Path, number: int, row: dict[str, str]) -> TrendRow:
    try:
        time, channel, depth, power, rate, count, *rest = (float(row[name]) for name in NUMBERS)
        return TrendRow(
            time, int(channel), _vessel(row["VesselLabel"]), depth, power, rate, int(count), *rest
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"trend '{path}' row {number}: {error}. Mend or remove that row."
        ) from error


def _vessel(text: str) -> str:
    """The label within b'...', padded with zeros, as the exporter writes it."""
    inside = re.sub(r"^b(['\"])(.*)\1$", r"\2", text)
    return inside.replace("\\x00", "").replace("\x00", "").strip()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="latin-1")
    except OSError as error:
        raise DataError(f"device file '{path}': {error.strerror}. Check the path.") from error
