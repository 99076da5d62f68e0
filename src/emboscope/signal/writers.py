"""Recordings as audio files."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile

from emboscope.errors import DataError, SettingsError

BYTES = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}
LARGEST_WAV = 2**32 - 1024  # bytes of samples; beyond, RF64
PART = 2**20  # samples written at a time


class WavWriter:
    """Writes complex samples block by block: channels I1, Q1, I2, Q2, ...

    The file stands under its name only after a clean exit of the `with` block; an error removes
    what was written.

    Parameters
    ----------
    path : Path
    sfreq : float
        A whole number of Hz.
    n_channels : int
        Two a gate.
    subtype : str
        `PCM_16`, `PCM_24` or `FLOAT`.
    expected_samples : int
        Samples to come; RF64 where a WAV could not hold them.

    Raises
    ------
    DataError
        If `sfreq` is not whole: the header cannot hold it.
    SettingsError
        If `subtype` is unknown.
    """

    def __init__(
        self,
        path: Path,
        sfreq: float,
        n_channels: int = 2,
        subtype: str = "PCM_16",
        expected_samples: int = 0,
    ) -> None:
        if sfreq != round(sfreq):
            raise DataError(f"recording '{path}': {sfreq} Hz; a WAV header holds whole Hz only.")
        if subtype not in BYTES:
            raise SettingsError(f"WAV subtype '{subtype}': unknown; expected {', '.join(BYTES)}.")
        self._path, self._subtype, self._n_channels = Path(path), subtype, n_channels
        self._aside = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        large = n_channels * BYTES[subtype] * expected_samples > LARGEST_WAV
        self._file = soundfile.SoundFile(
            str(self._aside),
            "w",
            round(sfreq),
            n_channels,
            subtype,
            format="RF64" if large else "WAV",
        )

    def __enter__(self) -> Self:
        return self

    def write(self, samples: np.ndarray) -> None:
        """Append (n_times,) or (n_gates, n_times), complex, in fractions of full scale.

        What is beyond full scale is clipped, each channel by itself.

        Raises
        ------
        DataError
            If there are not `n_channels / 2` gates.
        """
        gates = np.atleast_2d(samples)
        if 2 * len(gates) != self._n_channels:
            raise DataError(
                f"recording '{self._path}': {len(gates)} gates; expected {self._n_channels // 2}."
            )
        for start in range(0, gates.shape[1], PART):
            part = gates[:, start : start + PART]
            frames = np.stack([part.real, part.imag], axis=1).reshape(self._n_channels, -1).T
            self._file.write(_encode(frames, self._subtype))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if kind is None:
            self._aside.replace(self._path)
        else:
            self._aside.unlink(missing_ok=True)


def _encode(frames: np.ndarray, subtype: str) -> np.ndarray:
    """Fractions of full scale as the file's numbers: 16 bits are the value times 32768."""
    if subtype == "FLOAT":
        return frames.astype(np.float32)
    bits = 8 * BYTES[subtype]
    half = 2 ** (bits - 1)
    whole = np.clip(np.rint(frames.astype(np.float64) * half), -half, half - 1)
    return whole.astype(np.int16) if bits == 16 else whole.astype(np.int32) << 8


def write_wav(path: Path, samples: np.ndarray, sfreq: float, subtype: str = "PCM_16") -> None:
    """Write complex samples as a WAV, I left and Q right of each gate; RF64 above 4 GiB.

    Parameters
    ----------
    path : Path
    samples : ndarray, shape (n_times,) or (n_gates, n_times), complex
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
    gates = np.atleast_2d(samples)
    with WavWriter(path, sfreq, 2 * len(gates), subtype, gates.shape[1]) as writer:
        writer.write(gates)
