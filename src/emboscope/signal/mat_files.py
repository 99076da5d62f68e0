"""MAT files of version 5: the numeric arrays at their top, read without running anything.

A header of 128 bytes, then elements: a tag of type and length, and data padded to 8 bytes. An
array is an element of elements: flags, sizes, name, real part and, if complex, imaginary part.
Cells, structures, text and objects are named, not read. The layout is that of MathWorks, "MAT-File
Format".
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.errors import DataError
from emboscope.signal.source import reading, to_full_scale

MATRIX, COMPRESSED = 14, 15
STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
CLASSES = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")  # from number 6
COMPLEX = 0x0800


@dataclass(frozen=True)
class _Element:
    """A stretch of a file: the type of what stands there, and its bytes."""

    kind: int
    content: memoryview


def read_mat5(path: Path, wanted: tuple[str, ...], most_bytes: int) -> dict[str, np.ndarray]:
    """Arrays by name; an empty array of text for what is not wanted or not numeric.

    Parameters
    ----------
    path : Path
    wanted : tuple of str
        Arrays to read.
    most_bytes : int
        An array that unpacks to more is refused.

    Raises
    ------
    DataError
        If the file is damaged or no MAT file of version 5.
    """
    content = memoryview(path.read_bytes())
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[126:128]))
    if len(content) < 128 or order is None:
        raise DataError(f"recording '{path}': not a MAT file of version 5 or 7. Check its suffix.")
    arrays = {}
    with reading(path, "a MAT file"):
        for element in _elements(content[128:], order):
            if element.kind == COMPRESSED:
                element = _unpack(path, element, order, most_bytes)
            if element.kind == MATRIX:
                name, array = _array(element, order, wanted)
                arrays[name] = array
    return arrays


def _elements(content: memoryview, order: str) -> Iterator[_Element]:
    """The elements that stand one after the other."""
    while len(content) >= 8:
        kind, size = (int(word) for word in np.frombuffer(content[:8], f"{order}u4"))
        first, padded = 8, -(-size // 8) * 8
        if kind >> 16:  # up to four bytes within the tag
            kind, size, first, padded = kind & 0xFFFF, kind >> 16, 4, 4
        elif kind == COMPRESSED:
            padded = size
        if first + size > len(content) or (first == 4 and size > 4):
            raise ValueError(f"an element of {size} bytes where {len(content)} are left")
        yield _Element(kind, content[first : first + size])
        content = content[first + padded :]


def _unpack(path: Path, element: _Element, order: str, most_bytes: int) -> _Element:
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(element.content, most_bytes + 1)
    if len(content) > most_bytes:
        raise DataError(
            f"recording '{path}': an array of more than {most_bytes / 2**30:.1f} GiB that can only "
            "be read whole. Save it as version 7.3, or as HDF5."
        )
    return next(_elements(memoryview(content), order))


def _array(element: _Element, order: str, wanted: tuple[str, ...]) -> tuple[str, np.ndarray]:
    """Name and content of an array."""
    parts = _elements(element.content, order)
    flags = int(np.frombuffer(next(parts).content, f"{order}u4")[0])
    shape = np.frombuffer(next(parts, _Element(0, memoryview(b""))).content, f"{order}i4")
    name = bytes(next(parts, _Element(0, memoryview(b""))).content).decode("latin-1")
    number = (flags & 0xFF) - 6
    if name not in wanted or not 0 <= number < len(CLASSES):
        return name, np.array("")
    sizes = tuple(int(size) for size in shape)
    real = _numbers(next(parts), order, CLASSES[number], sizes)
    if flags & COMPLEX:
        imaginary = _numbers(next(parts), order, CLASSES[number], sizes)
        return name, to_full_scale(real) + 1j * to_full_scale(imaginary)
    return name, real


def _numbers(element: _Element, order: str, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """One part of an array, which may be stored in fewer bytes than its class."""
    stored = np.frombuffer(element.content, order + STORED[element.kind])
    return stored.reshape(shape, order="F").astype(kind, copy=False)
