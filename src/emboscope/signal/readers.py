"""Recordings on disk: opened by suffix, read block by block.

Channel 1 is I and channel 2 is Q, in fractions of full scale. A `NAME.json` beside the recording
tells the carrier, the angle and the sign of Q. Names in headers are never read.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emboscope.errors import DataError, SettingsError
from emboscope.registry import Registry
from emboscope.signal.recording import Recording
from emboscope.signal.tables import read_csv, read_npz

Read = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Raw:
    """What a file holds: rate, length, how to read I + jQ, gates, and the carrier if it is told."""

    sfreq: float
    n_times: int
    read: Read  # (start, stop) -> complex64 (n_gates, stop - start)
    n_gates: int = 1
    carrier_hz: float | None = None


@dataclass(frozen=True)
class Source:
    """An open recording.

    Attributes
    ----------
    name : str
        Stem of the file.
    sfreq : float
        Pulse repetition frequency, in Hz.
    n_times : int
        Samples.
    channels : tuple of str
        One complex channel a gate: `gate 1`, `gate 2`, ...
    read : callable (start, stop) -> ndarray (n_gates, stop - start), complex64
        I + jQ in fractions of full scale, Q with its true sign.
    carrier_hz, angle_deg, sound_speed_m_s, subject_id
        Of the options or the sidecar.
    items : dict of str to str
        How the signal was acquired, as far as the sidecar tells; see `ITEMS`.
    layout : str
        What the channels of the file were: `iq` or `forward_reverse`.
    """

    name: str
    sfreq: float
    n_times: int
    channels: tuple[str, ...]
    read: Read
    carrier_hz: float | None
    angle_deg: float
    sound_speed_m_s: float
    subject_id: str
    items: dict[str, str] = field(default_factory=dict)
    layout: str = "iq"


ITEMS = {  # key of the sidecar: acquisition item
    "device": "ultrasound_device",
    "ultrasound_device": "ultrasound_device",
    "transducer": "transducer",
    "artery": "artery",
    "side": "side",
    "indication": "indication",
    "recorded_on": "recorded_on",
    "depth_mm": "insonation_depth_mm",
    "insonation_depth_mm": "insonation_depth_mm",
    "sample_volume_mm": "sample_volume_mm",
    "scale_settings": "scale_settings",
}

READERS: Registry[Callable[[Path, float | None], Raw]] = Registry("file format")


def open_source(
    path: Path | str,
    carrier_mhz: float | None = None,
    q_sign: str = "auto",
    sfreq: float | None = None,
) -> Source:
    """Open a recording without reading its samples.

    Parameters
    ----------
    path : Path
    carrier_mhz : float, optional
        Wins over the sidecar.
    q_sign : str
        `+`, `-`, or `auto`: the sidecar's, else +.
    sfreq : float, optional
        Hz, for files that do not say it; another rate than the file's is an error.

    Raises
    ------
    DataError
        If the file is missing, empty, of an unknown format, or holds no I/Q pair.
    SettingsError
        If an option is out of range.
    """
    path = Path(path)
    if q_sign not in {"auto", "+", "-"}:
        raise SettingsError(f"--q-sign '{q_sign}': unknown; expected auto, + or -.")
    if carrier_mhz is not None and not 0.5 <= carrier_mhz <= 20:
        raise SettingsError(f"--carrier-mhz {carrier_mhz}: expected 0.5 to 20, in MHz.")
    _check_file(path)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise DataError(
            f"recording '{path}': format '{suffix or 'without suffix'}' is not read; expected "
            f"{', '.join(READERS)}. Convert it to a stereo WAV (I left, Q right)."
        )
    raw = READERS[suffix](path, sfreq)
    _check_rate(path, raw, sfreq)
    side = _sidecar(path)
    sign = q_sign if q_sign != "auto" else str(side.get("q_sign", "+"))
    carrier = carrier_mhz * 1e6 if carrier_mhz else side.get("carrier_hz") or raw.carrier_hz
    return Source(
        name=path.stem,
        sfreq=raw.sfreq,
        n_times=raw.n_times,
        channels=tuple(f"gate {number}" for number in range(1, raw.n_gates + 1)),
        read=raw.read if sign == "+" else lambda start, stop: raw.read(start, stop).conj(),
        carrier_hz=_number(path, "carrier_hz", carrier),
        angle_deg=_number(path, "angle_deg", side.get("angle_deg")) or 0.0,
        sound_speed_m_s=_number(path, "sound_speed_m_s", side.get("sound_speed_m_s")) or 1540.0,
        subject_id=str(side.get("subject_id", "")),
        items=_items(side),
    )


def read_recording(
    path: Path | str,
    carrier_mhz: float | None = None,
    q_sign: str = "auto",
    sfreq: float | None = None,
) -> Recording:
    """Read a whole recording; see `open_source`.

    Raises
    ------
    DataError
        Also if a sample is not finite.
    """
    source = open_source(path, carrier_mhz, q_sign, sfreq)
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
    if sfreq is not None and abs(raw.sfreq - sfreq) > 1e-6 * sfreq:
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


def _sidecar(path: Path) -> dict[str, object]:
    """What NAME.json beside the recording says; empty where there is none."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        content = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"sidecar '{beside}': not JSON ({error}). Mend or remove it.") from error
    if not isinstance(content, dict):
        raise DataError(f"sidecar '{beside}': expected one JSON object. Mend or remove it.")
    if content.get("q_sign", "+") not in {"+", "-"}:
        raise DataError(f"sidecar '{beside}': q_sign is {content['q_sign']!r}; expected + or -.")
    return content


def _number(path: Path, name: str, value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not np.isfinite(value):
        raise DataError(f"sidecar of '{path}': {name} is {value!r}; expected a number.")
    return float(value)


def _items(side: dict[str, object]) -> dict[str, str]:
    """The acquisition items of a sidecar; whatever else it holds stays there."""
    return {
        item: str(side[key])
        for key, item in ITEMS.items()
        if isinstance(side.get(key), str | int | float)
    }


def _gates(path: Path, frames: np.ndarray) -> np.ndarray:
    """Columns I1, Q1, I2, Q2, ... as one row of I + jQ a gate."""
    n_channels = 1 if frames.ndim == 1 else frames.shape[-1]
    if frames.ndim != 2 or n_channels % 2 or n_channels == 0:
        raise DataError(
            f"recording '{path}': {'mono' if n_channels == 1 else f'{n_channels} channels'}; "
            "expected two channels a gate, I and Q. Export the quadrature signal, not the audio."
        )
    gates = frames[:, 0::2].astype(np.complex64)
    gates.imag = frames[:, 1::2]
    return np.ascontiguousarray(gates.T)


def _open_audio(path: Path, sfreq: float | None) -> Raw:
    """WAV, RF64, W64 and FLAC through libsndfile."""
    import soundfile

    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"recording '{path}': not an audio file ({error.error_string.rstrip('.')}). "
            "Check that it was not renamed or cut."
        ) from error
    _gates(path, np.zeros((0, info.channels)))

    def read(start: int, stop: int) -> np.ndarray:
        try:
            frames, _ = soundfile.read(
                str(path), start=start, stop=stop, dtype="float32", always_2d=True
            )
        except soundfile.LibsndfileError as error:
            raise DataError(f"recording '{path}': unreadable at sample {start}.") from error
        if len(frames) != stop - start:
            raise DataError(
                f"recording '{path}': cut off after {start + len(frames)} of {info.frames} "
                "samples. Copy it again from the device."
            )
        return _gates(path, frames)

    return Raw(float(info.samplerate), int(info.frames), read, info.channels // 2)


def _in_memory(sfreq: float, gates: np.ndarray, carrier_hz: float | None = None) -> Raw:
    """What is read from an array (n_gates, n_times)."""
    return Raw(
        sfreq, gates.shape[1], lambda start, stop: gates[:, start:stop], len(gates), carrier_hz
    )


def _open_table(path: Path, sfreq: float | None) -> Raw:
    """CSV with columns t, I, Q, or I, Q and a given rate."""
    rate, frames = read_csv(path, sfreq)
    return _in_memory(rate, _gates(path, frames))


def _open_npz(path: Path, sfreq: float | None) -> Raw:
    """NPZ with `iq` (n, 2) or complex `samples` (n,), `sfreq`, and optionally `carrier_hz`."""
    content = read_npz(path, sfreq)
    samples = content.samples if content.samples is not None else _gates(path, content.frames)
    return _in_memory(content.sfreq, samples, content.carrier_hz)


def _open_edf(path: Path, sfreq: float | None) -> Raw:
    """EDF and EDF+ with two signals, I and Q, whose physical range is full scale."""
    try:
        import edfio
    except ImportError as error:
        raise DataError(
            f"recording '{path}': EDF needs the extra files. Run: pip install \"emboscope[files]\""
        ) from error
    try:
        file = edfio.read_edf(path)
        signals = file.signals
        rates = {signal.sampling_frequency for signal in signals}
        frames = np.stack([signal.data for signal in signals[:2]], axis=1) if signals else None
    except (ValueError, OSError, IndexError, UnicodeDecodeError) as error:
        raise DataError(f"recording '{path}': not an EDF file ({error}).") from error
    if frames is None or len(signals) != 2 or len(rates) != 1:
        raise DataError(
            f"recording '{path}': {len(signals)} signals; expected two of one rate, I and Q."
        )
    rate = float(rates.pop())
    ends = [note.onset for note in file.annotations if note.text == "recording ends"]
    n_times = min(len(frames), round(ends[0] * rate)) if ends else len(frames)
    return _in_memory(rate, _gates(path, frames[:n_times]))


READERS[".wav"] = READERS[".rf64"] = READERS[".w64"] = READERS[".flac"] = _open_audio
READERS[".csv"] = _open_table
READERS[".npz"] = _open_npz
READERS[".edf"] = _open_edf


def write_wav(path: Path, samples: np.ndarray, sfreq: float, subtype: str = "PCM_16") -> None:
    """Write complex samples as a stereo WAV, I left and Q right; RF64 above 4 GiB.

    Parameters
    ----------
    path : Path
    samples : ndarray, shape (n_times,), complex
        In fractions of full scale; what is beyond is clipped.
    sfreq : float
        A whole number of Hz.
    subtype : str
        `PCM_16`, `PCM_24` or `FLOAT`.

    Raises
    ------
    DataError
        If `sfreq` is not whole: the header cannot hold it.
    """
    import soundfile

    if sfreq != round(sfreq):
        raise DataError(f"recording '{path}': {sfreq} Hz; a WAV header holds whole Hz only.")
    width = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[subtype]
    container = "RF64" if 2 * width * samples.size > 2**32 - 1024 else "WAV"
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with soundfile.SoundFile(str(aside), "w", round(sfreq), 2, subtype, format=container) as file:
        for start in range(0, samples.size, 2**20):
            part = samples[start : start + 2**20]
            file.write(np.stack([part.real, part.imag], axis=1))
    aside.replace(path)
