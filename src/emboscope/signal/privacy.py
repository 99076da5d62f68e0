"""Pseudonyms: a keyed hash in place of a name, the key kept apart from the data."""

import hmac
import os
import secrets
from pathlib import Path

from emboscope.errors import DataError

KEY_BYTES = 32
PSEUDONYM_LETTERS = 10  # 40 bits: two of 1000 patients agree with a chance of 5e-7


def pseudonym(subject: str, key: bytes) -> str:
    """The first ten hexadecimal digits of HMAC-SHA256 of a name.

    The same for the same key; without the key nobody can try names until one fits.

    Parameters
    ----------
    subject : str
        A name or number; blanks at the ends do not count.
    key : bytes
        Of `load_key`.

    Raises
    ------
    DataError
        If the name is empty.
    """
    if not subject.strip():
        raise DataError("subject: no name; expected one to make a pseudonym of. Name the file.")
    return hmac.new(key, subject.strip().encode(), "sha256").hexdigest()[:PSEUDONYM_LETTERS]


def load_key(path: Path) -> bytes:
    """The key in a file outside the study, made at the first call, readable by its owner only.

    Whoever loses it cannot make the same pseudonyms again; whoever has it can test names.

    Raises
    ------
    DataError
        If the file holds no 32 bytes, or others may read it.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_key(path)
    except OSError as error:
        raise DataError(f"key '{path}': {error.strerror}. Choose a folder of yours.") from error
    key = secrets.token_bytes(KEY_BYTES)
    with os.fdopen(handle, "wb") as file:
        file.write(key)
    return key


def _read_key(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except OSError as error:
        raise DataError(f"key '{path}': {error.strerror}. Choose another file.") from error
    if len(key) != KEY_BYTES:
        raise DataError(
            f"key '{path}': {len(key)} bytes; expected {KEY_BYTES}. Name the key, or a new file."
        )
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise DataError(f"key '{path}': others may read it; expected mode 600. Run: chmod 600.")
    return key
