"""NPZ, HDF5 and MAT: arrays with names.

A file holds complex `samples`, (n_times,) or (n_gates, n_times), or `iq`, (n_times, 2 n_gates) with
columns I1, Q1, I2, Q2, ...; `sfreq` or `fs`, in Hz; and optionally `carrier_hz`. Of two axes the
longer one is time, so that MATLAB's orientation is read as well. Integers are divided by their
range.
"""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from emboscope.errors import DataError
from emboscope.signal.mat_files import read_mat5
from emboscope.signal.source import (
    Raw,
    check_channels,
    check_claim,
    load_library,
    pair_channels,
    reading,
    to_full_scale,
)

KNOWN = ("samples", "iq", "sfreq", "fs", "carrier_hz")
MOST_BYTES = 4 * 2**30  # of samples in a file that is read whole

Arrays = Mapping[str, np.ndarray]  # or h5py's data sets, which slice alike
Opened = Callable[[], AbstractContextManager[Arrays]]


@dataclass(frozen=True)
class _Place:
    """Where the samples stand in a file."""

    name: str
    time_axis: int
    n_times: int
    n_gates: int


def open_npz(path: Path, sfreq: float | None) -> Raw:
    """NPZ; read block by block where it was written without compression.

    Raises
    ------
    DataError
        If it holds anything but plain arrays, or no samples or rate.
    """
    with reading(path, "an NPZ file of plain arrays"), zipfile.ZipFile(path) as archive:
        packed = any(info.compress_type for info in archive.infolist())
    if not packed:
        return _open_arrays(path, lambda: _npz(path), sfreq)
    with reading(path, "an NPZ file of plain arrays"), _npz(path) as arrays:
        return _open_arrays(path, lambda: nullcontext(arrays), sfreq)


def open_hdf5(path: Path, sfreq: float | None) -> Raw:
    """HDF5, read block by block; `sfreq` and `carrier_hz` may be attributes of the file.

    Raises
    ------
    DataError
        If it holds no samples or rate; what lies in another file is not there.
    """
    load_library("h5py", "HDF5")
    return _open_arrays(path, lambda: _hdf5(path), sfreq)


def open_mat(path: Path, sfreq: float | None) -> Raw:
    """MAT; version 7.3 is HDF5, version 5 is read whole.

    Raises
    ------
    DataError
        If it holds no samples or rate.
    """
    with path.open("rb") as file:
        if file.read(128).startswith(b"MATLAB 7.3"):
            return open_hdf5(path, sfreq)
    _check_whole(path, path.stat().st_size)
    arrays = read_mat5(path, KNOWN, MOST_BYTES)
    return _open_arrays(path, lambda: nullcontext(arrays), sfreq)


def _open_arrays(path: Path, opened: Opened, sfreq: float | None) -> Raw:
    with reading(path, "a file of named arrays"), opened() as arrays:
        place = _place(path, arrays)
        told = _scalar(path, arrays, "sfreq", "fs")
        carrier = _scalar(path, arrays, "carrier_hz")
    rate = sfreq if told is None else told
    if rate is None:
        raise DataError(f"recording '{path}': no sfreq in it. Pass --sfreq, in Hz.")

    def read(start: int, stop: int) -> np.ndarray:
        with reading(path, f"a file of named arrays at sample {start}"), opened() as arrays:
            return _block(path, arrays[place.name], place, start, stop)

    return Raw(rate, place.n_times, read, place.n_gates, carrier)


def _place(path: Path, arrays: Arrays) -> _Place:
    """Which array holds the samples, and how."""
    name = next((n for n in ("samples", "iq") if n in arrays and _fits(arrays[n], n)), None)
    if name is None:
        found = ", ".join(" ".join(each.split())[:20] for each in list(arrays)[:10])
        raise DataError(
            f"recording '{path}': holds {found or 'nothing'}; expected iq (n, 2) or "
            "complex samples (n,), in the file itself."
        )
    shape = arrays[name].shape
    if len(shape) == 1:
        return _Place(name, 0, shape[0], 1)
    usual = 1 if name == "samples" else 0
    time_axis = usual if shape[0] == shape[1] else int(shape[1] > shape[0])
    n_rows = shape[1 - time_axis]
    n_gates = n_rows if name == "samples" else check_channels(path, n_rows)
    return _Place(name, time_axis, shape[time_axis], n_gates)


def _fits(array: np.ndarray, name: str) -> bool:
    """Whether an array can be the samples of that name."""
    if name == "samples":
        return array.ndim in {1, 2} and (array.dtype.kind == "c" or bool(_parts(array.dtype)))
    return array.ndim == 2 and array.dtype.kind in "iuf"


def _parts(dtype: np.dtype) -> tuple[str, str] | None:
    """Fields of a complex number in MATLAB's HDF5."""
    return ("real", "imag") if dtype.names == ("real", "imag") else None


def _block(path: Path, array: np.ndarray, place: _Place, start: int, stop: int) -> np.ndarray:
    """Samples start to stop of each gate."""
    cut = slice(start, stop)
    part = np.asarray(array[cut] if place.time_axis == 0 else array[:, cut])
    if place.name == "iq":
        return pair_channels(path, part if place.time_axis == 0 else part.T)
    if _parts(part.dtype):
        part = to_full_scale(part["real"]) + 1j * to_full_scale(part["imag"])
    if part.ndim == 1:
        part = part[:, np.newaxis]
    return np.ascontiguousarray(part.T if place.time_axis == 0 else part, np.complex64)


def _scalar(path: Path, arrays: Arrays, *names: str) -> float | None:
    """The first of these numbers that is there."""
    for name in names:
        if name not in arrays:
            continue
        array = arrays[name]
        if array.size != 1 or array.dtype.kind not in "iuf":
            raise DataError(f"recording '{path}': {name} is no number; expected one, in Hz.")
        return float(np.asarray(array[()]).reshape(-1)[0])
    return None


def _check_whole(path: Path, n_bytes: float) -> None:
    check_claim(path, int(n_bytes))
    if n_bytes > MOST_BYTES:
        raise DataError(
            f"recording '{path}': {n_bytes / 2**30:.1f} GiB that can only be read whole; expected "
            "4 at most. Save it as HDF5, NPZ without compression, or WAV."
        )


@contextmanager
def _hdf5(path: Path) -> Iterator[Arrays]:
    """The arrays at the root of an HDF5 file, while it is open."""
    h5py = load_library("h5py", "HDF5")
    with h5py.File(path, "r") as file:
        arrays = {name: np.asarray(file.attrs[name]) for name in KNOWN[2:] if name in file.attrs}
        for name in file:
            arrays.setdefault(name, _dataset(path, file, name))
        yield arrays


def _dataset(path: Path, file, name: str):  # type: ignore[no-untyped-def]
    """A data set of the file that can be read safely; text for what is none of ours."""
    h5py = load_library("h5py", "HDF5")
    if name not in KNOWN or file.get(name, getclass=True, getlink=True) is h5py.ExternalLink:
        return np.array("elsewhere")
    item = file[name]
    if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
        return np.array("elsewhere")
    if item.id.get_type() != h5py.h5t.py_create(item.dtype):
        raise DataError(  # the library can crash while it converts such numbers
            f"recording '{path}': {name} is of an unusual type, or damaged. Save it as int16, "
            "float or complex."
        )
    check_claim(path, item.size * item.dtype.itemsize)
    return item


@contextmanager
def _npz(path: Path) -> Iterator[Arrays]:
    """The arrays of an NPZ file: mapped where stored as they are, else read."""
    with zipfile.ZipFile(path) as archive:
        yield {
            info.filename.removesuffix(".npy"): _npz_array(path, archive, info)
            for info in archive.infolist()
        }


def _npz_array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as member:
        old = npy.read_magic(member) == (1, 0)
        shape, fortran, dtype = (npy.read_array_header_1_0 if old else npy.read_array_header_2_0)(
            member
        )
        n_bytes = int(np.prod(shape, dtype=float)) * dtype.itemsize
        if dtype.hasobject or n_bytes > info.file_size:
            raise DataError(f"recording '{path}': {info.filename} is no plain array.")
        if info.compress_type or not shape or not n_bytes:
            _check_whole(path, n_bytes)
            flat = np.frombuffer(member.read(n_bytes), dtype)
            return flat.reshape(shape, order="F" if fortran else "C")
        header = member.tell()
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
    start = info.header_offset + 30 + name + extra + header
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")
