"""The user's own data: a CSV with one sample a row, or an NPZ."""

import csv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.datasets.dataset import Dataset
from emboscope.errors import DataError
from emboscope.representations.front_end import FrontEnd


@dataclass(frozen=True)
class OwnFile:
    """How to read the user's file.

    Attributes
    ----------
    sfreq : float, optional
        Hz; an NPZ may hold it.
    label_column, group_column : str, optional
        Names in the header of a CSV; the label is the last column otherwise.
    """

    sfreq: float | None = None
    label_column: str | None = None
    group_column: str | None = None


def load_own(path: Path, options: OwnFile) -> Dataset:
    """Read a CSV or NPZ.

    Raises
    ------
    DataError
        With the row and the column that cannot be used.
    """
    if not path.is_file():
        raise DataError(f"data '{path}': no such file or data set. Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"data '{path}': empty (0 bytes). Export it again.")
    reader = {".csv": _read_csv, ".npz": _read_npz}.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"data '{path}': format not read; expected .csv or .npz.")
    X, labels, groups, sfreq = reader(path, options)
    if sfreq is None or not sfreq > 0:
        raise DataError(f"data '{path}': sampling frequency not known. Pass --sfreq, in Hz.")
    return _dataset(path, X, labels, groups, float(sfreq))


def _dataset(
    path: Path, X: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, sfreq: float
) -> Dataset:
    signal = X[:, None, :] if X.ndim == 2 else X
    if signal.ndim != 3 or len(signal) != len(labels) or signal.shape[2] < 32:
        raise DataError(
            f"data '{path}': X {X.shape} and y {labels.shape}; expected (n, n_times) or "
            "(n, n_channels, n_times) with at least 32 samples a row, and n labels."
        )
    bad = np.argwhere(~np.isfinite(signal))
    if bad.size:
        row, _, column = bad[0]
        raise DataError(
            f"data '{path}' row {row + 1}, column {column + 1}: not a number. Repair or drop it."
        )
    classes, y = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"data '{path}': one class only ({classes[0]}); expected two or more.")
    if groups is not None and len(groups) != len(y):
        raise DataError(f"data '{path}': {len(groups)} groups for {len(y)} rows.")
    front_end = FrontEnd(sfreq=sfreq, n_channels=signal.shape[1], n_times=signal.shape[2])
    return Dataset(
        name=path.stem,
        views=front_end.compute(signal),
        y=y.astype(np.int64),
        groups=np.arange(len(y)) if groups is None else groups,
        sfreq=sfreq,
        classes=tuple(str(name) for name in classes),
        front_end=front_end,
        group_kind="row" if groups is None else "patient",
    )


Table = tuple[np.ndarray, np.ndarray, np.ndarray | None, float | None]


def _read_csv(path: Path, options: OwnFile) -> Table:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"data '{path}': not a CSV file ({error}).") from error
    header = rows[0] if not _is_number(rows[0][0]) else None
    label_at = _column(path, header, options.label_column, len(rows[0]) - 1)
    group_at = _column(path, header, options.group_column, None)
    body = rows[1:] if header else rows
    if not body:
        raise DataError(f"data '{path}': a header and no rows. Export it again.")
    apart = {label_at, group_at}
    columns = [index for index in range(len(rows[0])) if index not in apart]
    values = np.array([
        _values(path, n, row, columns, len(rows[0])) for n, row in enumerate(body, 2 - (not header))
    ])
    labels = np.array([row[label_at or 0] for row in body])
    groups = None if group_at is None else np.array([row[group_at] for row in body])
    return values, labels, groups, options.sfreq


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _column(
    path: Path, header: list[str] | None, name: str | None, default: int | None
) -> int | None:
    if name is None:
        return default
    if header is None or name not in header:
        raise DataError(f"data '{path}': no column '{name}' in its first line. Check the header.")
    return header.index(name)


def _values(path: Path, number: int, row: list[str], columns: list[int], width: int) -> list[float]:
    if len(row) != width:
        raise DataError(f"data '{path}' row {number}: {len(row)} columns; expected {width}.")
    try:
        return [float(row[index]) for index in columns]
    except ValueError as error:
        raise DataError(f"data '{path}' row {number}: {error}. Mend that row.") from error


def _read_npz(path: Path, options: OwnFile) -> Table:
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"data '{path}': not an NPZ file of plain arrays.") from error
    if not {"X", "y"} <= set(content):
        raise DataError(
            f"data '{path}': holds {', '.join(content) or 'nothing'}; expected X and y."
        )
    sfreq = options.sfreq or (float(content["sfreq"]) if "sfreq" in content else None)
    return content["X"], content["y"], content.get("groups"), sfreq
