"""I/Q samples in text: columns t, I, Q or I, Q."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from emboscope.errors import DataError
from emboscope.signal.sidecar import number, read_sidecar
from emboscope.signal.source import Raw, in_memory, pair_channels

LINES = 8192  # read at a time


def open_table(path: Path, sfreq: float | None) -> Raw:
    """Text with columns t (seconds), I, Q, or I, Q and a given rate; read in one pass.

    One header line may stand above; commas, semicolons, tabs or blanks separate. Values are
    fractions of full scale, or of `full_scale` in the sidecar.

    Raises
    ------
    DataError
        With the row that cannot be read, or if a value is far beyond full scale.
    """
    table = _read(path)
    full_scale = number(path, "full_scale", read_sidecar(path).get("full_scale", 1.0))
    if not full_scale or full_scale < 0:
        raise DataError(f"sidecar of '{path}': full_scale is {full_scale}; expected above 0.")
    columns = table[:, -2:] / full_scale
    largest = float(np.max(np.abs(columns), initial=0.0, where=np.isfinite(columns)))
    if largest > 2:
        raise DataError(
            f"recording '{path}': values up to {largest:g}; expected fractions of full scale, "
            "-1 to 1. Tell the largest value of the device as full_scale in the sidecar."
        )
    if table.shape[1] == 3:
        return in_memory(_rate(path, table[:, 0]), pair_channels(path, columns))
    if sfreq is None:
        raise DataError(f"recording '{path}': columns I and Q without times. Pass --sfreq, in Hz.")
    return in_memory(float(sfreq), pair_channels(path, columns))


def _read(path: Path) -> np.ndarray:
    """All rows, (n_times, 2 or 3), through blocks of lines."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            top = file.readline(), file.readline()
            header = not _is_number(re.split(r"[,;\t ]", top[0].strip())[0])
            sample = top[1] if header else top[0]
            separator = next((mark for mark in ",;\t" if mark in sample), None)
            file.seek(0)
            blocks = list(_blocks(path, islice(file, int(header), None), separator, header))
    except UnicodeDecodeError as error:
        raise DataError(f"recording '{path}': not a text file. Check its suffix.") from error
    widths = {block.shape[1] for block in blocks}
    if len(widths) != 1 or not widths <= {2, 3}:
        found = " or ".join(map(str, sorted(widths))) or "no"
        raise DataError(f"recording '{path}': {found} columns; expected t, I, Q or I, Q.")
    return np.concatenate(blocks)


def _blocks(
    path: Path, lines: Iterator[str], separator: str | None, header: bool
) -> Iterator[np.ndarray]:
    done = int(header)
    while block := list(islice(lines, LINES)):
        if any(line.strip() for line in block):
            try:
                yield np.loadtxt(block, delimiter=separator, comments=None, ndmin=2)
            except ValueError as error:
                raise _row_error(path, block, separator, done) from error
        done += len(block)


def _row_error(path: Path, block: list[str], separator: str | None, done: int) -> DataError:
    """Which line of a block cannot be read, and why."""
    width = 0
    for row, line in enumerate(block, done + 1):
        cells = line.split(separator)
        if not line.strip():
            continue
        if width and len(cells) != width:
            return DataError(
                f"recording '{path}' row {row}: {len(cells)} columns; expected {width}."
            )
        width = len(cells)
        bad = next((cell.strip() for cell in cells if not _is_number(cell)), None)
        if bad is not None:
            return DataError(
                f"recording '{path}' row {row}: {bad[:20]!r} is no number. Mend that row."
            )
    return DataError(f"recording '{path}': not a table of numbers after row {done}.")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _rate(path: Path, times: np.ndarray) -> float:
    """Rate of a column of times, which must be even."""
    if times.size < 2 or not np.isfinite(times).all() or times[-1] <= times[0]:
        raise DataError(f"recording '{path}': the times in column 1 do not rise.")
    steps = np.diff(times)
    step = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - step) > 0.5 * step)
    if uneven.size:
        raise DataError(
            f"recording '{path}': the times jump after {times[uneven[0]]:g} s; expected an even "
            "rate. Fill or cut the gap."
        )
    duration = float(times[-1] - times[0])
    rate = (times.size - 1) / duration
    whole = round(
        rate
    )  # taken where the two differ by less than a twentieth of a sample at the end
    return float(whole) if abs(rate - whole) * duration < 0.05 else rate
