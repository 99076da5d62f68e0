"""I/Q samples in text and NumPy files."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.errors import DataError


@dataclass(frozen=True)
class NpzContent:
    """What an NPZ recording holds; exactly one of `samples` and `frames` is there."""

    sfreq: float
    samples: np.ndarray | None
    frames: np.ndarray
    carrier_hz: float | None


def read_csv(path: Path, sfreq: float | None) -> tuple[float, np.ndarray]:
    """Sampling frequency and columns I, Q of a text file.

    Three columns are t (seconds), I, Q; two are I, Q, and need `sfreq`. One header line may stand
    above; commas, semicolons or tabs separate.

    Raises
    ------
    DataError
        With the row that cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"recording '{path}': not a text file. Check its suffix.") from error
    separator = next((mark for mark in ",;\t" if lines and mark in lines[-1]), None)
    first = 0 if lines and _is_number(lines[0].split(separator)[0]) else 1
    rows = [line.split(separator) for line in lines[first:] if line.strip()]
    if not rows or len(rows[0]) not in {2, 3}:
        raise DataError(
            f"recording '{path}': {len(rows[0]) if rows else 0} columns; expected t, I, Q or I, Q."
        )
    table = np.array([_numbers(path, n, row, rows) for n, row in enumerate(rows, first + 1)])
    if table.shape[1] == 2:
        if sfreq is None:
            raise DataError(
                f"recording '{path}': columns I and Q without times. Pass --sfreq, in Hz."
            )
        return float(sfreq), table
    return _rate(path, table[:, 0]), table[:, 1:]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(path: Path, number: int, row: list[str], rows: list[list[str]]) -> list[float]:
    if len(row) != len(rows[0]):
        raise DataError(
            f"recording '{path}' row {number}: {len(row)} columns; expected {len(rows[0])}."
        )
    try:
        return [float(cell) for cell in row]
    except ValueError as error:
        raise DataError(f"recording '{path}' row {number}: {error}. Mend that row.") from error


def _rate(path: Path, times: np.ndarray) -> float:
    """Rate of a column of times, which must be even."""
    if times.size < 2 or not np.isfinite(times).all() or times[-1] <= times[0]:
        raise DataError(f"recording '{path}': the times in column 1 do not rise.")
    step = float(np.median(np.diff(times)))
    uneven = np.flatnonzero(np.abs(np.diff(times) - step) > 0.5 * step)
    if uneven.size:
        raise DataError(
            f"recording '{path}': the times jump after {times[uneven[0]]:g} s; expected an even "
            "rate. Fill or cut the gap."
        )
    return float(round((times.size - 1) / (times[-1] - times[0]), 3))


def read_npz(path: Path, sfreq: float | None) -> NpzContent:
    """Content of an NPZ recording, without running anything from it.

    Raises
    ------
    DataError
        If `sfreq` or the samples are missing.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"recording '{path}': not an NPZ file of plain arrays.") from error
    rate = float(content["sfreq"]) if "sfreq" in content else sfreq
    if rate is None:
        raise DataError(f"recording '{path}': no sfreq in it. Pass --sfreq, in Hz.")
    carrier = float(content["carrier_hz"]) if "carrier_hz" in content else None
    if "samples" in content and np.iscomplexobj(content["samples"]):
        samples = np.atleast_2d(content["samples"]).astype(np.complex64)
        return NpzContent(rate, samples, np.zeros((0, 2)), carrier)
    if "iq" not in content:
        raise DataError(
            f"recording '{path}': holds {', '.join(content) or 'nothing'}; expected iq (n, 2) or "
            "complex samples (n,)."
        )
    iq = content["iq"]
    scale = np.iinfo(iq.dtype).max + 1 if np.issubdtype(iq.dtype, np.integer) else 1
    return NpzContent(rate, None, iq / scale, carrier)
