"""Samples without a header; `NAME.json` beside them says what they are."""

from pathlib import Path

import numpy as np

from emboscope.errors import DataError
from emboscope.signal.sidecar import number, read_sidecar
from emboscope.signal.source import Raw, check_channels, pair_channels

DTYPES = {"int16": "<i2", "int32": "<i4", "float32": "<f4"}


def open_raw(path: Path, sfreq: float | None) -> Raw:
    """Interleaved little-endian samples I1, Q1, I2, Q2, ...

    The sidecar must tell `sfreq`, `n_channels` and `dtype`.

    Raises
    ------
    DataError
        If it does not, or the file does not hold whole samples.
    """
    side = read_sidecar(path)
    missing = [key for key in ("sfreq", "n_channels", "dtype") if key not in side]
    if missing:
        raise DataError(
            f"recording '{path}': {path.with_suffix('.json').name} beside it lacks "
            f"{', '.join(missing)}; expected sfreq, n_channels and dtype. Write them there."
        )
    if side["dtype"] not in DTYPES:
        raise DataError(
            f"sidecar of '{path}': dtype is {side['dtype']!r}; expected {', '.join(DTYPES)}."
        )
    rate, channels = (number(path, key, side[key]) for key in ("sfreq", "n_channels"))
    dtype, n_channels = np.dtype(DTYPES[str(side["dtype"])]), int(channels or 0)
    n_gates = check_channels(path, n_channels)
    width, size = n_channels * dtype.itemsize, path.stat().st_size
    if size % width:
        raise DataError(
            f"recording '{path}': {size} bytes; expected a multiple of {width}, one {dtype.name} "
            f"of each of {n_channels} channels. Copy it again, or correct the sidecar."
        )

    def read(start: int, stop: int) -> np.ndarray:
        with path.open("rb") as file:
            file.seek(start * width)
            values = np.frombuffer(file.read((stop - start) * width), dtype)
        return pair_channels(path, values.reshape(-1, n_channels))

    return Raw(rate or 0.0, size // width, read, n_gates)
