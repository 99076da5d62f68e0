"""WAV, RF64, W64 and FLAC, read block by block by libsndfile."""

from pathlib import Path

import numpy as np
import soundfile

from emboscope.errors import DataError
from emboscope.signal.source import Raw, check_channels, pair_channels, reading

UNKNOWN_LENGTH = {0, 2**32 - 1, 2**64 - 1}  # of a file whose writer could not go back


def open_audio(path: Path, sfreq: float | None) -> Raw:
    """Channels I1, Q1, I2, Q2, ... of an audio file; its tags are never read.

    Raises
    ------
    DataError
        If it is no audio file, is cut off, or has an odd number of channels.
    """
    with reading(path, "an audio file"):
        info = soundfile.info(str(path))
    n_gates = check_channels(path, info.channels)
    _check_length(path)

    def read(start: int, stop: int) -> np.ndarray:
        with reading(path, f"an audio file at sample {start}"):
            frames, _ = soundfile.read(
                str(path), start=start, stop=stop, dtype="float32", always_2d=True
            )
        if len(frames) != stop - start:
            raise DataError(
                f"recording '{path}': cut off after {start + len(frames)} of {info.frames} "
                "samples. Copy it again from the device."
            )
        return pair_channels(path, frames)

    return Raw(float(info.samplerate), int(info.frames), read, n_gates)


def _check_length(path: Path) -> None:
    """DataError if the container says that it is longer than the file; libsndfile shortens it."""
    with path.open("rb") as file:
        head = file.read(28)
    length, extra = {
        b"RIFF": (head[4:8], 8),
        b"RF64": (head[20:28], 8),
        b"riff": (head[16:24], 0),
    }.get(head[:4], (b"", 0))
    promised = int.from_bytes(length, "little")
    size = path.stat().st_size
    if promised not in UNKNOWN_LENGTH and promised + extra > size + 8:  # some count themselves
        raise DataError(
            f"recording '{path}': cut off after {size} of {promised + extra} bytes. "
            "Copy it again from the device."
        )
