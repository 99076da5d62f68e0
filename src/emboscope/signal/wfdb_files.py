"""WFDB records: a header .hea and its signal files, read block by block."""

from pathlib import Path

import numpy as np

from emboscope.errors import DataError
from emboscope.signal.source import (
    Raw,
    check_channels,
    check_claim,
    load_library,
    pair_channels,
    reading,
)

BITS = {"80": 8, "310": 10, "311": 10, "212": 12, "24": 24, "32": 32, "524": 24}  # of a format


def open_wfdb(path: Path, sfreq: float | None) -> Raw:
    """Signals I1, Q1, I2, Q2, ... whose physical value is a fraction of full scale.

    With a gain of 32768 a sample of 16 bits is divided by its range. Comments are skipped.

    Raises
    ------
    DataError
        If the record is damaged, has several segments, another full scale, or lies elsewhere.
    """
    wfdb = load_library("wfdb", "WFDB")
    record = str(path.with_suffix(""))
    with reading(path, "a WFDB header"):
        header = wfdb.rdheader(record)
        _check_header(path, header)
        rate, n_times = float(header.fs), _n_times(path, header)
        gain, baseline = np.array(header.adc_gain, float), np.array(header.baseline, float)
    n_gates = check_channels(path, header.n_sig)

    def read(start: int, stop: int) -> np.ndarray:
        if start == stop:
            return np.zeros((n_gates, 0), np.complex64)
        with reading(path, f"a WFDB record at sample {start}"):
            part = wfdb.rdrecord(record, sampfrom=start, sampto=stop, physical=False)
            frames = (part.d_signal - baseline) / gain
        if len(frames) != stop - start:
            raise DataError(f"recording '{path}': cut off after sample {start}. Copy it again.")
        return pair_channels(path, frames)

    return Raw(rate, n_times, read, n_gates)


def _check_header(path: Path, header) -> None:  # type: ignore[no-untyped-def]
    """DataError unless the header tells of one segment beside it with a gain."""
    if getattr(header, "n_seg", None) or not header.n_sig:
        raise DataError(f"recording '{path}': no signals or several segments; expected one record.")
    if any(Path(name).name != name for name in header.file_name):
        raise DataError(f"recording '{path}': its signals lie in another folder. Move them beside.")
    for gain, kind in zip(header.adc_gain, header.fmt, strict=True):
        bits = BITS.get(kind, 16)
        if not np.isfinite(gain) or not 2 ** (bits - 2) <= abs(gain):
            raise DataError(
                f"recording '{path}': a gain of {gain:g} (200 where none is told); expected "
                f"{2 ** (bits - 1)}, so that 1 is full scale. Repair the header."
            )
    if set(header.samps_per_frame) != {1}:
        raise DataError(f"recording '{path}': signals of several rates; expected one, of I and Q.")


def _n_times(path: Path, header) -> int:  # type: ignore[no-untyped-def]
    """Length by the header, checked against the signal files."""
    files = [path.with_name(name) for name in dict.fromkeys(header.file_name)]
    for file in files:
        if not file.is_file():
            raise DataError(f"recording '{path}': '{file.name}' is not beside it. Copy both.")
    n_times = int(header.sig_len or 0)
    if n_times < 1:
        raise DataError(f"recording '{path}': its header tells no length. Add it in line 1.")
    check_claim(files[0], n_times)
    return n_times
