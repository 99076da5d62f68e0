"""Damaged files: opened and read whole, each gives samples or one sentence, and nothing else.

As a program, `damaged_recordings.py KIND N FOLDER`, it tries N damaged files of a format with
1.5 GiB of memory and 20 s a file, and prints what it found.
"""

import resource
import signal
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from emboscope.errors import DataError, SettingsError
from emboscope.signal.readers import read_recording
from recording_files import write_recording

MEMORY = 3 * 2**29
HEAD = 512
DAMAGES = ("flip", "cut", "insert", "head", "field")


def damaged(content: bytes, damage: str, rng: np.random.Generator) -> bytes:
    """The bytes of a file with one kind of damage."""
    mutable = bytearray(content)
    size = max(1, len(mutable))
    if damage == "flip":
        for at in rng.integers(0, size, rng.integers(1, 20)):
            mutable[at] ^= 1 << rng.integers(8)
    elif damage == "cut":
        del mutable[rng.integers(0, size) :]
    elif damage == "insert":
        at = rng.integers(0, size)
        mutable[at:at] = rng.bytes(rng.integers(1, 300))
    elif damage == "head":
        at = rng.integers(0, min(size, HEAD))
        mutable[at : at + 16] = rng.bytes(16)
    else:  # a number of the header that is far too large, or text where a number stood
        at = rng.integers(0, min(size, HEAD))
        number = (
            b"\xff" * 8,
            b"99999999",
            b"\x7f\xff\xff\xff",
            b"-1",
            b"1e99",
            b"nan",
            b"\x00" * 8,
        )
        word = number[rng.integers(len(number))]
        mutable[at : at + len(word)] = word
    return bytes(mutable)


def outcome(path: Path) -> str:
    """`read` or the sentence by which the file is refused; any other error is let through."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            recording = read_recording(
                path, sfreq=4385 if path.suffix in {".csv", ".txt"} else None
            )
    except (DataError, SettingsError) as error:
        sentence = str(error)
        assert "\n" not in sentence, sentence
        assert str(path.parent) in sentence, sentence
        return sentence.replace(str(path.parent), "")
    assert recording.samples.dtype == np.complex64
    return "read"


def frames() -> np.ndarray:
    """Two seconds of a gate."""
    rng = np.random.default_rng(5)
    return (4000 * rng.standard_normal((8770, 2))).astype(np.int16)


def targets(path: Path) -> list[Path]:
    """The files of a recording that can be damaged; the header comes first."""
    beside = [path.with_suffix(".json"), path.with_suffix(".dat")]
    return [path, *(file for file in beside if file.is_file())]


def try_damaged(kind: str, n: int, folder: Path) -> Counter[str]:
    """Outcomes of n damaged files of a format."""
    path = write_recording(folder, kind, frames())
    assert outcome(path) == "read"
    whole = {file: file.read_bytes() for file in targets(path)}
    found: Counter[str] = Counter()
    for number in range(n):
        rng = np.random.default_rng(number)
        file = list(whole)[number % len(whole)]
        file.write_bytes(damaged(whole[file], DAMAGES[number % len(DAMAGES)], rng))
        signal.alarm(20)
        try:
            found[outcome(path)[:60]] += 1
        except BaseException as error:
            error.add_note(f"{kind}, file number {number}: {file.name}")
            raise
        finally:
            signal.alarm(0)
            file.write_bytes(whole[file])
    return found


if __name__ == "__main__":
    base = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (base + MEMORY, base + MEMORY))
    outcomes = try_damaged(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    for text, count in outcomes.most_common():
        sys.stdout.write(f"{count} {text}\n")
