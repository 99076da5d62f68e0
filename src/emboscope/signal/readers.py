"""Recordings on disk: opened by suffix, read block by block.

The channels are I1, Q1, I2, Q2, ..., two a gate, in fractions of full scale. A `NAME.json` beside
the recording tells the carrier, the angle, the sign of Q and how it was acquired. Names in headers
are never read.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from emboscope.errors import DataError, SettingsError
from emboscope.registry import Registry
from emboscope.signal.array_files import open_hdf5, open_mat, open_npz
from emboscope.signal.audio_files import open_audio
from emboscope.signal.edf_files import open_edf
from emboscope.signal.layout import (
    LAYOUTS,
    LOOK_S,
    check_alive,
    read_directions,
    recognize_layout,
)
from emboscope.signal.plugins import plugin_reader, plugin_suffixes
from emboscope.signal.raw_files import open_raw
from emboscope.signal.recording import Recording
from emboscope.signal.sidecar import acquisition_items, number, read_sidecar
from emboscope.signal.source import Raw, Read, Source
from emboscope.signal.tables import open_table
from emboscope.signal.wfdb_files import open_wfdb
from emboscope.signal.writers import write_wav

__all__ = ["READERS", "Raw", "Source", "open_source", "read_recording", "write_wav"]

READERS: Registry[Callable[[Path, float | None], Raw]] = Registry("file format")
READERS |= dict.fromkeys((".wav", ".rf64", ".w64", ".flac"), open_audio)
READERS |= dict.fromkeys((".iq", ".raw", ".bin"), open_raw)
READERS |= dict.fromkeys((".csv", ".txt"), open_table)
READERS |= dict.fromkeys((".h5", ".hdf5"), open_hdf5)
READERS |= dict.fromkeys((".edf", ".bdf"), open_edf)
READERS[".npz"] = open_npz
READERS[".mat"] = open_mat
READERS[".hea"] = open_wfdb


def open_source(
    path: Path | str,
    carrier_mhz: float | None = None,
    q_sign: str = "auto",
    sfreq: float | None = None,
    layout: str = "auto",
) -> Source:
    """Open a recording; its first 10 s are looked at, and its last sample.

    Parameters
    ----------
    path : Path
    carrier_mhz : float, optional
        Wins over the sidecar.
    q_sign : str
        `+`, `-`, or `auto`: the sidecar's, else +.
    sfreq : float, optional
        Hz, for files that do not say it; another rate than the file's is an error.
    layout : str
        `iq`, `forward_reverse`, or `auto`: the sidecar's, else by `recognize_layout`.

    Raises
    ------
    DataError
        If the file is missing, empty, cut off, of an unknown format, or holds no I/Q pair.
    SettingsError
        If an option is out of range.
    """
    path = Path(path)
    _check_options(carrier_mhz, q_sign, layout)
    _check_file(path)
    raw = _reader(path)(path, sfreq)
    _check_rate(path, raw, sfreq)
    raw.read(raw.n_times - 1, raw.n_times)
    side = read_sidecar(path)
    layout = _layout(path, raw, side, layout)
    sign = q_sign if q_sign != "auto" else str(side.get("q_sign", "+"))
    carrier = carrier_mhz * 1e6 if carrier_mhz else side.get("carrier_hz", raw.carrier_hz)
    return Source(
        name=path.stem,
        sfreq=raw.sfreq,
        n_times=raw.n_times,
        channels=tuple(f"gate {gate}" for gate in range(1, raw.n_gates + 1)),
        read=_read(raw, layout, sign),
        carrier_hz=number(path, "carrier_hz", carrier, (0.5e6, 20e6)),
        angle_deg=number(path, "angle_deg", side.get("angle_deg"), (0, 89)) or 0.0,
        sound_speed_m_s=number(path, "sound_speed_m_s", side.get("sound_speed_m_s"), (1000, 2000))
        or 1540.0,
        subject_id=str(side.get("subject_id", "")),
        items=acquisition_items(side),
        layout=layout,
        sign_known=q_sign != "auto" or "q_sign" in side or layout == "forward_reverse",
    )


def read_recording(
    path: Path | str,
    carrier_mhz: float | None = None,
    q_sign: str = "auto",
    sfreq: float | None = None,
    layout: str = "auto",
) -> Recording:
    """Read a whole recording; see `open_source`.

    Raises
    ------
    DataError
        Also if a sample is not finite.
    """
    source = open_source(path, carrier_mhz, q_sign, sfreq, layout)
    samples = source.read(0, source.n_times)
    bad = np.flatnonzero(~np.isfinite(samples).all(axis=0))
    if bad.size:
        raise DataError(
            f"recording '{path}': not a number at {bad[0] / source.sfreq:.3f} s. "
            "Cut or repair that stretch."
        )
    return Recording(
        samples=samples,
        sfreq=source.sfreq,
        channels=source.channels,
        unit="full scale",
        subject_id=source.subject_id,
        carrier_hz=source.carrier_hz,
        angle_deg=source.angle_deg,
        sound_speed_m_s=source.sound_speed_m_s,
        name=source.name,
    )


def _check_options(carrier_mhz: float | None, q_sign: str, layout: str) -> None:
    if q_sign not in {"auto", "+", "-"}:
        raise SettingsError(f"--q-sign '{q_sign}': unknown; expected auto, + or -.")
    if layout not in {"auto", *LAYOUTS}:
        raise SettingsError(f"--layout '{layout}': unknown; expected auto, {' or '.join(LAYOUTS)}.")
    if carrier_mhz is not None and not 0.5 <= carrier_mhz <= 20:
        raise SettingsError(f"--carrier-mhz {carrier_mhz}: expected 0.5 to 20, in MHz.")


def _reader(path: Path) -> Callable[[Path, float | None], Raw]:
    """The reader of a suffix; those of plug-ins come last."""
    suffix = path.suffix.lower()
    if suffix in READERS:
        return READERS[suffix]
    plugins = plugin_suffixes()
    if suffix in plugins:
        return plugin_reader(suffix, plugins[suffix])
    raise DataError(
        f"recording '{path}': format '{suffix or 'without suffix'}' is not read; expected "
        f"{', '.join([*READERS, *plugins])}. Convert it to a stereo WAV (I left, Q right)."
    )


def _layout(path: Path, raw: Raw, side: dict[str, object], layout: str) -> str:
    """The layout that is declared, else recognized; I and Q must both be alive."""
    declared = layout if layout != "auto" else str(side.get("layout", "auto"))
    if declared == "forward_reverse":
        return declared
    start = raw.read(0, min(raw.n_times, int(LOOK_S * raw.sfreq)))
    check_alive(path, start)
    return recognize_layout(start[0], raw.sfreq) if declared == "auto" else declared


def _read(raw: Raw, layout: str, sign: str) -> Read:
    """Reads I + jQ with the true sign of Q, whatever the layout."""
    read = raw.read
    if layout == "forward_reverse":
        read = read_directions(raw.read, raw.n_times, raw.sfreq)
    return read if sign == "+" else lambda start, stop: read(start, stop).conj()


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"recording '{path}': a folder; expected a file. Name the files in it.")
    if not path.is_file():
        raise DataError(f"recording '{path}': no such file. Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"recording '{path}': empty (0 bytes). Copy it again from the device.")


def _check_rate(path: Path, raw: Raw, sfreq: float | None) -> None:
    if not np.isfinite(raw.sfreq) or raw.sfreq <= 0:
        raise DataError(
            f"recording '{path}': sfreq is {raw.sfreq}; expected a positive number of Hz. "
            "Pass --sfreq if the header is wrong."
        )
    if sfreq is not None and not abs(raw.sfreq - sfreq) <= 1e-6 * sfreq:
        raise DataError(
            f"recording '{path}': the file says {raw.sfreq:g} Hz and --sfreq {sfreq:g}. "
            "Leave --sfreq out, or correct the file."
        )
    if not 1000 <= raw.sfreq <= 20000:
        raise DataError(
            f"recording '{path}': sampled at {raw.sfreq:g} Hz; expected a pulse repetition "
            "frequency of 1000 to 20000 Hz. Give the raw I/Q signal of the device."
        )
    if raw.n_times == 0:
        raise DataError(f"recording '{path}': no samples. Copy it again from the device.")
