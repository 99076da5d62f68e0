"""Immutable array files: written aside, flushed and renamed; checked before they are read."""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from emboscope.errors import DataError

HASH_LETTERS = 16
_ORPHAN_S = 3600.0  # a file without a row is younger than this while it is being written


def settings_hash(settings: Mapping[str, object]) -> str:
    """Hash of what an array was made by; the order of the keys does not matter.

    Raises
    ------
    DataError
        If a value is none that JSON can hold.
    """
    try:
        text = json.dumps(settings, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"settings of an array: {error}; expected plain numbers and texts."
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LETTERS]


def write_shard(folder: Path, kind: str, by: str, array: np.ndarray) -> tuple[str, str]:
    """Write an array under a name that its content and its settings give.

    Parameters
    ----------
    folder : Path
    kind : str
        What it is: begins the name.
    by : str
        Of `settings_hash`.
    array : ndarray
        Of numbers.

    Returns
    -------
    file, sha256 : str
        Name in the folder, and hash of the file.

    Raises
    ------
    DataError
        If it holds objects.
    """
    if array.dtype.hasobject:
        raise DataError(f"array '{kind}': holds objects; expected numbers. Convert it first.")
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{kind}.{uuid.uuid4().hex}.part"
    try:
        with aside.open("wb") as file:
            np.save(file, np.ascontiguousarray(array), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        digest = _sha256(aside)
        name = f"{kind}-{digest[:HASH_LETTERS]}-{by}.npy"
        aside.replace(folder / name)
    finally:
        aside.unlink(missing_ok=True)
    _flush_folder(folder)
    return name, digest


def read_shard(path: Path, sha256: str | None = None) -> np.ndarray:
    """An array as it lies on the disk, read-only; checked against its hash where one is given.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    remedy = "Delete what is left of it and make it again: repeat the command that made it."
    try:
        if sha256 is not None and _sha256(path) != sha256:
            raise DataError(f"array file '{path}': damaged, its hash is another. {remedy}")
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"array file '{path}': missing. {remedy}") from error
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"array file '{path}': damaged ({error}). {remedy}") from error


def sweep(folder: Path, known: set[str]) -> int:
    """Remove array files of which no table tells: of a process that was killed; how many."""
    if not folder.is_dir():
        return 0
    oldest = time.time() - _ORPHAN_S
    lost = [
        path
        for path in folder.iterdir()
        if path.suffix in {".npy", ".part"}
        and path.name not in known
        and path.stat().st_mtime < oldest
    ]
    for path in lost:
        path.unlink(missing_ok=True)
    return len(lost)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush_folder(folder: Path) -> None:
    """So that the new name outlives a power cut; not every system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
