"""The user's own data: a CSV with one sample a row, an NPZ, or an HDF5 of HITS."""

import csv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.datasets.dataset import Dataset, own_name
from emboscope.datasets.hits_file import SUFFIXES, load_hits_file
from emboscope.errors import DataError
from emboscope.progress import Progress, silent
from emboscope.representations.front_end import FrontEnd

UNLABELLED = {"", "-1"}
MOST_CLASSES = 20  # that a small table may have, before a label column is doubted


@dataclass(frozen=True)
class OwnFile:
    """How to read the user's file.

    Attributes
    ----------
    sfreq : float, optional
        Hz; an NPZ may hold it.
    label_column, group_column : str, optional
        Names in the header of a CSV, or numbers from 1; the label is the last column otherwise.
    """

    sfreq: float | None = None
    label_column: str | None = None
    group_column: str | None = None


def load_own(path: Path, options: OwnFile, progress: Progress = silent) -> Dataset:
    """Read a CSV, with one sample a row, or an NPZ with `X`, `y`, and maybe `groups` and `sfreq`.

    Commas, semicolons or tabs separate a CSV; a header line may stand above. A label that is
    empty or −1 is unlabelled. An HDF5 holds HITS: see `load_hits_file`.

    Raises
    ------
    DataError
        With the row and the column that cannot be used.
    """
    if path.is_dir():
        raise DataError(f"data '{path}': a folder; expected a .csv or .npz file. Name the file.")
    if not path.is_file():
        raise DataError(f"data '{path}': no such file or data set. Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"data '{path}': empty (0 bytes). Export it again.")
    if path.suffix.lower() in SUFFIXES:
        return load_hits_file(path, progress)
    reader = {".csv": _read_csv, ".npz": _read_npz}.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"data '{path}': format not read; expected .csv, .npz or .h5.")
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
        row, channel, column = bad[0]
        raise DataError(
            f"data '{path}': X[{row}, {channel}, {column}] is {signal[row, channel, column]}; "
            "expected finite numbers. Repair or drop that row."
        )
    classes, y = _classes(path, labels)
    if groups is not None and groups.shape != y.shape:
        raise DataError(
            f"data '{path}': groups {groups.shape} for {len(y)} rows; expected one a row."
        )
    front_end = FrontEnd(sfreq=sfreq, n_channels=signal.shape[1], n_times=signal.shape[2])
    return Dataset(
        name=own_name(path),
        views=front_end.compute(signal),
        y=y,
        groups=np.arange(len(y)) if groups is None else groups,
        sfreq=sfreq,
        classes=classes,
        front_end=front_end,
        group_kind="row" if groups is None else "patient",
    )


def _classes(path: Path, labels: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the classes, numbers in their order before texts in theirs, and their indices."""
    texts = [_label(label) for label in labels.tolist()]
    names = sorted(
        set(texts) - UNLABELLED,
        key=lambda text: (not _is_number(text), float(text) if _is_number(text) else 0.0, text),
    )
    if len(names) < 2:
        found = f"one class only ({names[0]})" if names else "no label"
        raise DataError(f"data '{path}': {found}; expected two classes or more. Label more rows.")
    if len(names) > MOST_CLASSES and len(names) > len(texts) / 2:
        raise DataError(
            f"data '{path}': {len(names)} different labels in {len(texts)} rows; expected few. "
            "Name the label column with --label-column."
        )
    index = {name: n for n, name in enumerate(names)}
    return tuple(names), np.array([index.get(text, -1) for text in texts], dtype=np.int64)


def _label(label: object) -> str:
    """A label as text: 1.0 and 1 are one class."""
    text = str(label).strip()
    return str(int(float(text))) if _is_number(text) and float(text).is_integer() else text


Table = tuple[np.ndarray, np.ndarray, np.ndarray | None, float | None]


def _read_csv(path: Path, options: OwnFile) -> Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            separator = next((mark for mark in ",;\t" if mark in file.readline()), ",")
            file.seek(0)
            reader = csv.reader(file, delimiter=separator)
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"data '{path}': not a CSV file ({error}). Check its suffix.") from error
    if not rows:
        raise DataError(f"data '{path}': blank lines only. Export it again.")
    top = rows[0][1]
    named = {options.label_column, options.group_column} & {cell.strip() for cell in top}
    header = [cell.strip() for cell in top] if named or not any(map(_is_number, top)) else None
    label_at = _column(path, header, len(top), options.label_column or str(len(top)))
    apart = {label_at}
    if options.group_column is not None:
        apart.add(group_at := _column(path, header, len(top), options.group_column))
    body = rows[1:] if header else rows
    if not body:
        raise DataError(f"data '{path}': a header and no rows. Export it again.")
    columns = [index for index in range(len(top)) if index not in apart]
    values = np.stack([_values(path, number, row, columns, len(top)) for number, row in body])
    labels = np.array([row[label_at] for _, row in body])
    groups = None if len(apart) == 1 else np.array([row[group_at] for _, row in body])
    return values, labels, groups, options.sfreq


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _column(path: Path, header: list[str] | None, width: int, name: str) -> int:
    """Index of a column that is named in the header, or numbered from 1."""
    if header and name in header:
        return header.index(name)
    if name.isdecimal() and 1 <= int(name) <= width:
        return int(name) - 1
    raise DataError(
        f"data '{path}': no column '{name}' in its first line; expected a name of the header or a "
        f"number from 1 to {width}. Check the header."
    )


def _values(path: Path, number: int, row: list[str], columns: list[int], width: int) -> np.ndarray:
    """The samples of a row, all finite."""
    if len(row) != width:
        raise DataError(
            f"data '{path}' row {number}: {len(row)} columns; expected {width}. Mend that row."
        )
    for index in columns:
        if not _is_number(row[index]) or not np.isfinite(float(row[index])):
            raise DataError(
                f"data '{path}' row {number}, column {index + 1}: '{row[index]}' is not a number. "
                "Mend or drop that row."
            )
    return np.array([row[index] for index in columns], dtype=np.float64)


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
    X, y = content["X"], content["y"]
    if X.dtype.kind not in "iuf" or y.ndim != 1:
        raise DataError(
            f"data '{path}': X of {X.dtype} and y of shape {y.shape}; expected real numbers and "
            "one label a row. Convert them."
        )
    sfreq = options.sfreq or (float(content["sfreq"]) if "sfreq" in content else None)
    return X, y, content.get("groups"), sfreq
