"""What a reader gives: an open recording whose samples are read block by block."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from emboscope.errors import DataError

Read = Callable[[int, int], np.ndarray]
MOST_COMPRESSED = 2000  # bytes of samples a byte of file; deflate reaches 1032


@dataclass(frozen=True)
class Raw:
    """What a file holds.

    Attributes
    ----------
    sfreq : float
        In Hz.
    n_times : int
        Samples a channel.
    read : callable (start, stop) -> ndarray (n_gates, stop - start), complex64
        Channel 1 + j channel 2 of each gate, in fractions of full scale.
    n_gates : int
        Pairs of channels.
    carrier_hz : float, optional
        Where the file tells it.
    """

    sfreq: float
    n_times: int
    read: Read
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
        How the signal was acquired, as far as the sidecar tells; see `sidecar.ITEMS`.
    layout : str
        What the channels of the file are: `iq`, or `forward_reverse` audio.
    sign_known : bool
        Whether the sidecar or an option tells the sign of Q.
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
    sign_known: bool = False


def check_channels(path: Path, n_channels: int) -> int:
    """Number of gates of so many channels; DataError unless they are pairs."""
    if n_channels < 2 or n_channels % 2:
        raise DataError(
            f"recording '{path}': {'mono' if n_channels == 1 else f'{n_channels} channels'}; "
            "expected two channels a gate, I and Q. Export the quadrature signal, not the audio."
        )
    return n_channels // 2


def pair_channels(path: Path, frames: np.ndarray) -> np.ndarray:
    """I + jQ of each gate, (n_gates, n_times) complex64, of columns I1, Q1, I2, Q2, ...

    Integers are divided by their range: -32768 of 16 bits is -1.
    """
    if frames.ndim != 2:
        check_channels(path, 1)
    check_channels(path, frames.shape[1])
    scaled = to_full_scale(frames)
    gates = np.empty((frames.shape[1] // 2, len(frames)), np.complex64)
    gates.real, gates.imag = scaled[:, 0::2].T, scaled[:, 1::2].T
    return gates


def to_full_scale(values: np.ndarray) -> np.ndarray:
    """Integers as fractions of their range; floating-point numbers as they are."""
    if not np.issubdtype(values.dtype, np.integer):
        return values
    half = 2 ** (8 * values.dtype.itemsize - 1)
    middle = half if np.issubdtype(values.dtype, np.unsignedinteger) else 0
    return (values.astype(np.float64) - middle) / half


def in_memory(sfreq: float, gates: np.ndarray, carrier_hz: float | None = None) -> Raw:
    """What is read from an array, shape (n_gates, n_times)."""
    return Raw(
        sfreq, gates.shape[1], lambda start, stop: gates[:, start:stop], len(gates), carrier_hz
    )


def check_claim(path: Path, n_bytes: int) -> None:
    """DataError if a header promises more bytes of samples than any packing could hold."""
    if n_bytes > MOST_COMPRESSED * path.stat().st_size:
        raise DataError(
            f"recording '{path}': its header promises {n_bytes:.3g} bytes of samples in a file "
            f"of {path.stat().st_size} bytes. Copy it again from the device."
        )


def load_library(name: str, what: str) -> ModuleType:
    """A library of the extra `files`; its own warnings while it loads are none of the user's.

    Raises
    ------
    DataError
        If it is not installed, with the command that installs it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return import_module(name)
    except ImportError as error:
        raise DataError(
            f'{what} needs the library {name}. Run: pip install "emboscope[files]"'
        ) from error


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Around the library of a format: whatever it raises on a bad file becomes one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
        raise DataError(
            f"recording '{path}': not {what}, or damaged ({words}). "
            "Check that it was not renamed or cut."
        ) from error
