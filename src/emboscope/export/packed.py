"""The packed model, `.emb`: one file that Python and C read.

All numbers are little-endian; every part begins at a multiple of 16 bytes.

========  ======================================================================================
header    64 bytes: `EMBOSCOP`, then as uint32 the version, the size of the file, the CRC-32 of all
          that follows the header, how many inputs, operations and tensors, how many floats the
          arena has, how many of them are scratch, how many classes, where in the arena the
          probabilities lie, where the notes begin and how long they are, where in the arena the
          scratch lies; a zero
inputs    8 bytes each: where in the caller's list (its number), how many floats
steps     96 bytes each, 24 int32: kind, out, first, second, channels, rows, columns, the same that
          come out, kernel, stride, padding (rows, columns), tensors of weight, scale and shift (−1:
          none), activation; four zeros. A buffer is its place in the arena, or −1 − input
tensors   32 bytes each: form, number of values, rows, offset, bytes (uint32), left, right (float),
          a zero
contents  of the tensors
notes     JSON: classes, inputs, source, notice
========  ======================================================================================
"""

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from emboscope.compression.encodings import stored_bits
from emboscope.errors import DataError
from emboscope.export.forms import FORMS, WHOLE_FORMS, Packed, pack
from emboscope.export.manifest import NOTICE
from emboscope.export.program import (
    ACTIVATIONS,
    KINDS,
    WEIGHTED,
    Buffer,
    Operation,
    Program,
    planned,
    scratch_of,
)

MAGIC = b"EMBOSCOP"
FORMAT_VERSION = 2
_HEADER = struct.Struct("<8s14I")
_INPUT = struct.Struct("<2I")
_STEP = struct.Struct("<24i")
_TENSOR = struct.Struct("<5I2fI")
_ALIGNED = 16
_NAMES = ("weight", "scale", "shift")


@dataclass(frozen=True)
class PackedModel:
    """What a packed file holds.

    Attributes
    ----------
    steps : ndarray of int32, shape (n_operations, 24)
    tensors : tuple of Packed
    n_arena, n_scratch, n_classes, out : int
    notes : dict
    """

    steps: np.ndarray
    tensors: tuple[Packed, ...]
    n_arena: int
    n_scratch: int
    n_classes: int
    out: int
    notes: Mapping[str, object]

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Shape of each view, in their order."""
        found = self.notes["inputs"]
        assert isinstance(found, dict)
        return {name: tuple(shape) for name, shape in found.items()}


def packed_bytes(program: Program, classes: Sequence[str], source: str, fast: bool = True) -> bytes:
    """A program as the bytes of an `.emb` file, each weight in the smallest form that is exact.

    Parameters
    ----------
    program : Program
    classes : sequence of str
    source : str
        Sum of the weights that it was made of.
    """
    offsets, n_arena = planned(program)
    tensors = _Tensors()
    steps = [_step(each, offsets, tensors) for each in program.operations]
    scratch = max(scratch_of(each) for each in program.operations)
    notes = json.dumps({
        "classes": list(classes),
        "inputs": {name: list(shape) for name, shape in program.inputs.items()},
        "source_weights_sha256": source,
        "notice": NOTICE,
    }).encode()
    inputs = b"".join(
        _INPUT.pack(number, int(np.prod(shape)))
        for number, shape in enumerate(program.inputs.values())
    )
    parts = [_padded(inputs), _padded(b"".join(_STEP.pack(*step) for step in steps))]
    start = (
        _HEADER.size + sum(map(len, parts)) + len(_padded(bytes(_TENSOR.size * len(tensors.kept))))
    )
    table, contents = bytearray(), bytearray()
    for tensor, n_rows in tensors.kept:
        place = start + len(contents)
        table += _TENSOR.pack(
            FORMS.index(tensor.form), tensor.n_values, n_rows, place, len(tensor.content),
            tensor.left, tensor.right, 0,
        )  # fmt: skip
        contents += _padded(tensor.content)
    parts += [_padded(bytes(table)), bytes(contents)]
    notes_at = _HEADER.size + sum(map(len, parts))
    body = b"".join([*parts, _padded(notes)])
    header = _HEADER.pack(
        MAGIC, FORMAT_VERSION, _HEADER.size + len(body), zlib.crc32(body), len(program.inputs),
        len(steps), len(tensors.kept), n_arena, scratch, program.out.size,
        offsets[program.out.number], notes_at, len(notes), 0, 0,  # scratch at the start
    )  # fmt: skip
    return header + body


def read_packed(content: bytes, where: str = "model.emb") -> PackedModel:
    """The model in the bytes of an `.emb` file.

    Raises
    ------
    DataError
        If it is no such file, of another version, cut off or damaged.
    """

    def refuse(what: str) -> DataError:
        return DataError(f"'{where}': {what}. Export the model again.")

    if len(content) < _HEADER.size or content[:8] != MAGIC:
        raise refuse("no packed model; expected one that begins with EMBOSCOP")
    (_, version, size, crc, n_inputs, n_steps, n_tensors, n_arena, n_scratch, n_classes, out,
     notes_at, notes_size, *_) = _HEADER.unpack_from(content)  # fmt: skip
    if version != FORMAT_VERSION:
        raise refuse(f"format version {version}; expected {FORMAT_VERSION}")
    if size != len(content):
        raise refuse(f"{len(content)} bytes; expected {size}")
    if zlib.crc32(content[_HEADER.size :]) != crc:
        raise refuse("damaged, its checksum differs")
    try:
        at = _HEADER.size + _aligned(n_inputs * _INPUT.size)
        sizes = [_INPUT.unpack_from(content, _HEADER.size + k * _INPUT.size)
                 for k in range(n_inputs)]  # fmt: skip
        steps = np.frombuffer(content, "<i4", 24 * n_steps, at).reshape(n_steps, 24)
        at += _aligned(n_steps * _STEP.size)
        tensors = []
        for number in range(n_tensors):
            form, n_values, _, place, n_bytes, left, right, _ = _TENSOR.unpack_from(
                content, at + number * _TENSOR.size
            )
            data = content[place : place + n_bytes]
            tensors.append(Packed(FORMS[form], n_values, data, left, right))
        notes = _notes(content[notes_at : notes_at + notes_size], sizes)
    except (ValueError, IndexError, struct.error) as error:
        raise refuse(f"malformed ({error})") from error
    return PackedModel(steps, tuple(tensors), n_arena, n_scratch, n_classes, out, notes)


def _notes(content: bytes, sizes: Sequence[tuple[int, int]]) -> dict[str, object]:
    """The notes, refused by ValueError where they do not agree with the table of inputs."""
    notes = json.loads(content)
    inputs = notes.get("inputs") if isinstance(notes, dict) else None
    if not isinstance(inputs, dict):
        raise ValueError("notes without inputs")
    for shape in inputs.values():
        if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
            raise ValueError("notes with a shape that is none")
    told = [(number, math.prod(shape)) for number, shape in enumerate(inputs.values())]
    if told != list(sizes):
        raise ValueError("inputs of the notes and of the table differ")
    return notes


def load_packed(path: Path) -> PackedModel:
    """The model in a file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"'{path}': not readable ({error.strerror}). Check the path.") from error
    return read_packed(content, str(path))


class _Tensors:
    """Those of a file, each with its rows; what several steps read is kept once."""

    def __init__(self) -> None:
        self.kept: list[tuple[Packed, int]] = []
        self._numbers: dict[tuple[object, ...], int] = {}

    def number(self, packed: Packed, n_rows: int) -> int:
        """Of a tensor, added where it is new."""
        key = (packed.form, packed.n_values, packed.content, packed.left, packed.right, n_rows)
        if key not in self._numbers:
            self._numbers[key] = len(self.kept)
            self.kept.append((packed, n_rows))
        return self._numbers[key]


def _step(operation: Operation, offsets: list[int], tensors: _Tensors) -> tuple[int, ...]:
    """One row of the table of steps; its tensors join the others."""
    given = dict(operation.tensors)
    weighted = operation.kind in WEIGHTED
    if weighted:
        whole = operation.kind in WEIGHTED[1:]
        packed = smallest(given["weight"], WHOLE_FORMS if whole else FORMS)
        if packed.row_scales is not None:
            given["scale"] = given["scale"] * packed.row_scales
    numbers = []
    for name in _NAMES:
        if name not in given:
            numbers.append(-1)
            continue
        found = packed if weighted and name == "weight" else pack(given[name], "float32")
        numbers.append(tensors.number(found, len(given[name])))
    second = operation.second or operation.first
    return (
        KINDS.index(operation.kind), _place(operation.out, offsets),
        _place(operation.first, offsets), _place(second, offsets),
        *operation.first.shape, *operation.out.shape, *operation.kernel, *operation.stride,
        *operation.padding, *numbers, ACTIVATIONS.index(operation.activation), 0, 0, 0, 0,
    )  # fmt: skip


def smallest(weight: np.ndarray, allowed: Sequence[str] = FORMS) -> Packed:
    """A weight tensor in the smallest of the allowed forms that gives it back.

    Where none does, in single precision, or in eight bits if that is not allowed.
    """
    forms = stored_bits(torch.from_numpy(weight))
    forms = {name: bits for name, bits in forms.items() if name in allowed}
    plain = "float32" if "float32" in allowed else "8-bit"
    return pack(weight, min(forms, key=lambda name: forms[name]) if forms else plain)


def _place(buffer: Buffer, offsets: list[int]) -> int:
    """Place in the arena, or −1 − input."""
    return buffer.number if buffer.number < 0 else offsets[buffer.number] + buffer.start


def _aligned(size: int) -> int:
    return size + -size % _ALIGNED


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % _ALIGNED)
