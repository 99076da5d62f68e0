"""EDF, EDF+ and BDF, read block by block.

A header of fixed-width text, then records of whole seconds or so, each with a stretch of every
signal as little-endian integers of 16 (EDF) or 24 (BDF) bits. The patient and recording fields
are skipped.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.errors import DataError
from emboscope.signal.source import Raw, check_channels, pair_channels, reading

FIELDS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)  # bytes a signal; label first, see _Header
NOTES = ("Annotations", "Status")  # how the label of what is no signal ends
MOST = 2.0  # beyond that no range is meant in fractions of full scale
ANNOTATIONS = re.compile(r"\+(\d+(?:\.\d*)?)[^\x14]*\x14recording ends\x14")


@dataclass(frozen=True)
class _Header:
    """What is needed to find the samples of each signal, and to scale them."""

    offset: int
    n_records: int
    record_s: float
    width: int  # bytes a sample
    labels: list[str]
    counts: list[int]  # samples a record of each signal
    gains: list[float]
    offsets: list[float]

    @property
    def record_bytes(self) -> int:
        return self.width * sum(self.counts)

    @property
    def signals(self) -> list[int]:
        """Which are no annotations."""
        return [n for n, label in enumerate(self.labels) if not label.endswith(NOTES)]


def open_edf(path: Path, sfreq: float | None) -> Raw:
    """Signals I1, Q1, I2, Q2, ... of one rate, whose physical range is full scale.

    An annotation `recording ends` in the last record marks the true end, as records are whole.

    Raises
    ------
    DataError
        If the header is damaged, the file cut off, interrupted (EDF+D), or a gain is zero.
    """
    with reading(path, "an EDF or BDF file"):
        header = _read_header(path)
    counts = {header.counts[n] for n in header.signals}
    n_gates = check_channels(path, len(header.signals))
    if len(counts) != 1:
        raise DataError(f"recording '{path}': signals of several rates; expected one, of I and Q.")
    count = counts.pop()
    rate = count / header.record_s
    n_times = min(header.n_records * count, _marked_end(path, header, rate))

    def read(start: int, stop: int) -> np.ndarray:
        first, last = start // count, -(-stop // count)
        records = _read_records(path, header, first, last)
        columns = [_signal(header, records, n)[start - first * count :] for n in header.signals]
        return pair_channels(path, np.stack(columns, axis=1)[: stop - start])

    return Raw(rate, n_times, read, n_gates)


def _read_header(path: Path) -> _Header:
    with path.open("rb") as file:
        head = file.read(256)
        if head[:8] not in {b"0       ", b"\xffBIOSEMI"}:
            raise DataError(f"recording '{path}': not an EDF or BDF file. Check its suffix.")
        n_signals = int(head[252:256])
        if not 0 < n_signals <= 1024:
            raise DataError(f"recording '{path}': {n_signals} signals; expected two, I and Q.")
        columns = [
            [file.read(size).decode("latin-1").strip() for _ in range(n_signals)] for size in FIELDS
        ]
    if head[192:197] in {b"EDF+D", b"BDF+D"}:
        raise DataError(f"recording '{path}': interrupted (EDF+D). Export it without gaps.")
    width = 3 if head[:1] == b"\xff" else 2
    record_s, counts = float(head[244:252]), [int(text) for text in columns[8]]
    scales = [
        (1.0, 0.0) if label.endswith(NOTES) else _scale(path, *values)
        for label, *values in zip(columns[0], *columns[3:7], strict=True)
    ]
    header = _Header(
        offset=256 * (n_signals + 1),
        n_records=int(head[236:244]),
        record_s=record_s,
        width=width,
        labels=columns[0],
        counts=counts,
        gains=[gain for gain, _ in scales],
        offsets=[offset for _, offset in scales],
    )
    _check_header(path, header)
    return header


def _check_header(path: Path, header: _Header) -> None:
    if not 0 < header.record_s < 1e6 or min(header.counts) < 1 or header.n_records < -1:
        raise DataError(
            f"recording '{path}': a record of {header.record_s:g} s with {min(header.counts)} "
            "samples; expected both above 0. Repair the header."
        )
    expected = header.offset + header.n_records * header.record_bytes
    size = path.stat().st_size
    if header.n_records < 0 or size < expected:
        raise DataError(
            f"recording '{path}': cut off after {size} bytes; expected "
            f"{header.n_records} whole records. Copy it again from the device."
        )


def _scale(path: Path, low: str, high: str, first: str, last: str) -> tuple[float, float]:
    """Gain and offset of a signal: physical over digital range.

    The header rounds the range to eight characters, so a gain that is a power of two within
    1e-4 is taken as that: 16-bit samples over -1 to 1 are divided by 32768.
    """
    physical, digital = float(high) - float(low), int(last) - int(first)
    if not np.isfinite(physical) or physical == 0 or digital == 0:
        raise DataError(
            f"recording '{path}': physical range {low} to {high} over {first} to {last}, a gain "
            "of zero; expected -1 to 1. Repair the header."
        )
    if max(abs(float(low)), abs(float(high))) > MOST:
        raise DataError(
            f"recording '{path}': physical range {low} to {high}; expected -1 to 1, fractions of "
            "full scale. Repair the header."
        )
    gain = physical / digital
    power = float(np.sign(gain) * 2.0 ** np.round(np.log2(abs(gain))))
    gain = power if abs(gain / power - 1) < 1e-4 else gain
    offset = float(low) - gain * int(first)
    return gain, 0.0 if abs(offset) < abs(gain) else offset


def _read_records(path: Path, header: _Header, first: int, last: int) -> np.ndarray:
    """Records first to last, (n_records, record_bytes) of bytes."""
    with path.open("rb") as file:
        file.seek(header.offset + first * header.record_bytes)
        content = file.read((last - first) * header.record_bytes)
    if len(content) < (last - first) * header.record_bytes:
        raise DataError(f"recording '{path}': cut off in record {first}. Copy it again.")
    return np.frombuffer(content, np.uint8).reshape(-1, header.record_bytes)


def _bytes_of(header: _Header, records: np.ndarray, signal: int) -> np.ndarray:
    first = header.width * sum(header.counts[:signal])
    return records[:, first : first + header.width * header.counts[signal]]


def _signal(header: _Header, records: np.ndarray, signal: int) -> np.ndarray:
    """Physical values of a signal in these records, in one row."""
    raw = np.ascontiguousarray(_bytes_of(header, records, signal))
    if header.width == 2:
        digital = raw.view("<i2").reshape(-1).astype(np.int32)
    else:
        padded = np.zeros((raw.size // 3, 4), np.uint8)
        padded[:, 1:] = raw.reshape(-1, 3)
        digital = padded.view("<i4").reshape(-1) >> 8
    return digital * header.gains[signal] + header.offsets[signal]


def _marked_end(path: Path, header: _Header, rate: float) -> int:
    """Samples before the annotation `recording ends`; beyond all where there is none."""
    if header.n_records == 0 or len(header.signals) == len(header.labels):
        return header.n_records * max(header.counts)
    last = _read_records(path, header, header.n_records - 1, header.n_records)
    notes = [n for n in range(len(header.labels)) if n not in header.signals]
    text = b"".join(_bytes_of(header, last, n).tobytes() for n in notes).decode("latin-1")
    ends = ANNOTATIONS.search(text)
    return round(float(ends[1]) * rate) if ends else header.n_records * max(header.counts)
