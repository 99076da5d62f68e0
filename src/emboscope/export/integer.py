"""A program in whole numbers: activations of eight bits, which a device adds faster."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from emboscope.compression.encodings import is_ternary, is_uniform
from emboscope.export.interpreter import run_packed
from emboscope.export.packed import packed_bytes, read_packed
from emboscope.export.program import Buffer, Operation, Program

LARGEST = 127  # of a byte, on either side
_LEAST = 1e-12  # of a range, so that silence has a scale
_PERCENTILE = 99.99  # of the magnitudes of a sample: what is beyond is clipped


def observed_ranges(program: Program, views: Mapping[str, np.ndarray]) -> list[float]:
    """The largest magnitude that each operation writes, but for one number in ten thousand.

    Parameters
    ----------
    program : Program
        In single precision.
    views : mapping of ndarray
        (n, …) of each input: some of the training part, or simulated.
    """
    model = read_packed(packed_bytes(program, ["x"], "0" * 64))
    found = [0.0] * len(program.operations)

    def watch(number: int, written: np.ndarray) -> None:
        each = np.percentile(np.abs(written), _PERCENTILE, axis=1)
        found[number] = max(found[number], float(each.max()))

    run_packed(model, views, watch)
    return [max(each, _LEAST) for each in found]


def integer_program(program: Program, ranges: Sequence[float]) -> Program:
    """The same with convolutions, linear layers, pools and sums in whole numbers.

    Weights that are neither ternary nor of at most eight bits are rounded to eight, each output
    channel by its largest. What is left, from the front end to the softmax, stays as it is.

    Parameters
    ----------
    program : Program
        In single precision.
    ranges : sequence of float
        Of `observed_ranges`.
    """
    rewriter = _Rewriter(program, ranges)
    for number, operation in enumerate(program.operations):
        rewriter.take(number, operation)
    out = rewriter.as_float(program.out)
    return Program(program.inputs, tuple(rewriter.operations), rewriter.used_sizes(), out)


class _Rewriter:
    """Operations as they are rewritten; which buffers there are in bytes, and by which step."""

    def __init__(self, program: Program, ranges: Sequence[float]) -> None:
        self.operations: list[Operation] = []
        self.sizes = list(program.sizes)
        self.ranges = ranges
        self.written = _written(program, ranges)
        self.readers = _readers(program)
        self.bytes: dict[int, tuple[Buffer, float]] = {}  # of a float buffer's number
        self.floats: set[int] = set()  # buffers that are there in single precision

    def take(self, number: int, operation: Operation) -> None:
        """Write one operation down, in whole numbers where that can be."""
        first, kind = operation.first.number, operation.kind
        step = self.ranges[number] / LARGEST
        if kind == "convolution":
            self.convolution(operation, step)
        elif kind == "max_pool" and first in self.bytes:
            source, step = self.bytes[first]
            self.make(operation, "integer_pool", source, step)
        elif kind == "add" and self.both_in_bytes(operation):
            self.added(operation, step)
        elif kind == "affine" and self.is_only_scaled(operation):
            self.quantized(operation.first, step, operation)
        else:
            self.as_it_is(operation)

    def convolution(self, operation: Operation, step: float) -> None:
        """Bytes, or floats where nothing goes on in bytes."""
        source, step_in = self.as_bytes(operation.first)
        weight, scale = _whole(operation.tensors["weight"]), operation.tensors["scale"]
        to_float = not self.goes_on_in_bytes(operation.out.number)
        by = 1.0 if to_float else step
        tensors = {
            "weight": weight,
            "scale": (scale.astype(np.float64) * step_in / by).astype(np.float32),
            "shift": (operation.tensors["shift"].astype(np.float64) / by).astype(np.float32),
        }
        whole = replace(operation, tensors=tensors)
        if to_float:
            self.floats.add(operation.out.number)
            self.operations.append(replace(whole, kind="integer_logits", first=source))
        else:
            self.make(whole, "integer_convolution", source, step)

    def added(self, operation: Operation, step: float) -> None:
        """Two in bytes, brought to one scale."""
        assert operation.second is not None
        (source, one), (other, two) = (
            self.as_bytes(part) for part in (operation.first, operation.second)
        )
        tensors = {"scale": _one(one / step), "shift": _one(two / step)}
        whole = replace(operation, tensors=tensors, second=other)
        self.make(whole, "integer_add", source, step)

    def make(self, operation: Operation, kind: str, source: Buffer, step: float) -> None:
        """An operation on bytes whose output is in bytes."""
        out = self.new_bytes(operation.out)
        self.bytes[operation.out.number] = (out, step)
        self.operations.append(replace(operation, kind=kind, first=source, out=out))

    def as_it_is(self, operation: Operation) -> None:
        """In single precision, of what is there in it."""
        first = self.as_float(operation.first)
        second = None if operation.second is None else self.as_float(operation.second)
        self.operations.append(replace(operation, first=first, second=second))
        self.floats.add(operation.out.number)
        self.bytes.pop(operation.out.number, None)

    def as_bytes(self, buffer: Buffer) -> tuple[Buffer, float]:
        """The buffer in bytes and its step, made of floats where it is not there."""
        if buffer.number not in self.bytes:
            self.quantized(buffer, self.written.get(buffer.number, 1.0) / LARGEST)
        found, step = self.bytes[buffer.number]
        return Buffer(found.number, buffer.shape), step

    def as_float(self, buffer: Buffer) -> Buffer:
        """The buffer in single precision, made of bytes where it is not there."""
        if buffer.number >= 0 and buffer.number not in self.floats:
            source, step = self.bytes[buffer.number]
            tensors = {"scale": _one(step), "shift": _one(0)}
            whole = Buffer(buffer.number, source.shape)
            self.operations.append(Operation("dequantize", whole, source, tensors=tensors))
            self.floats.add(buffer.number)
        return buffer

    def quantized(self, buffer: Buffer, step: float, scaled: Operation | None = None) -> None:
        """Bytes of floats, scaled and shifted on the way."""
        scale = shift = 1.0
        number, shift = buffer.number, 0.0
        if scaled is not None:
            number = scaled.out.number
            scale, shift = (float(scaled.tensors[name][0]) for name in ("scale", "shift"))
        out = self.new_bytes(buffer)
        tensors = {"scale": _one(scale / step), "shift": _one(shift / step)}
        self.operations.append(Operation("quantize", out, self.as_float(buffer), tensors=tensors))
        self.bytes[number] = (out, step)

    def new_bytes(self, like: Buffer) -> Buffer:
        """A buffer of as many bytes."""
        self.sizes.append(-(-like.size // 4))
        return Buffer(len(self.sizes) - 1, like.shape)

    def used_sizes(self) -> tuple[int, ...]:
        """Sizes of the buffers, 0 of those that nothing writes any more."""
        written = {operation.out.number for operation in self.operations}
        return tuple(size if number in written else 0 for number, size in enumerate(self.sizes))

    def both_in_bytes(self, operation: Operation) -> bool:
        """Whether both parts of a sum are there in bytes."""
        parts = (operation.first, operation.second)
        return all(part is not None and part.number in self.bytes for part in parts)

    def goes_on_in_bytes(self, number: int) -> bool:
        """Whether any reader of a buffer takes bytes."""
        return any(
            kind in ("convolution", "max_pool", "add") for kind in self.readers.get(number, ())
        )

    def is_only_scaled(self, operation: Operation) -> bool:
        """Whether a scale for all is read by convolutions alone, so that bytes can be scaled."""
        readers = self.readers.get(operation.out.number, [])
        single = operation.tensors["scale"].size == 1 and operation.activation == "none"
        return single and bool(readers) and set(readers) == {"convolution"}


def _written(program: Program, ranges: Sequence[float]) -> dict[int, float]:
    """The range of each buffer at the end: what is written into parts of it counts together."""
    found: dict[int, float] = {}
    for operation, own in zip(program.operations, ranges, strict=True):
        number = operation.out.number
        part = operation.out.size < program.sizes[number]
        found[number] = max(found.get(number, 0.0), own) if part else own
    return found


def _readers(program: Program) -> dict[int, list[str]]:
    """Kinds of the operations that read each buffer."""
    found: dict[int, list[str]] = {}
    for operation in program.operations:
        for buffer in (operation.first, operation.second):
            if buffer is not None:
                found.setdefault(buffer.number, []).append(operation.kind)
    return found


def _whole(weight: np.ndarray) -> np.ndarray:
    """Weights as they are if ternary or of at most eight bits, else rounded to eight."""
    tensor = torch.from_numpy(weight)
    if is_ternary(tensor) or any(is_uniform(tensor, n_bits) for n_bits in (4, 8)):
        return weight
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    step = np.maximum(np.abs(rows).max(axis=1, keepdims=True) / LARGEST, 1e-30)
    return (np.round(rows / step) * step).reshape(weight.shape).astype(np.float32)


def _one(value: float) -> np.ndarray:
    return np.array([value], np.float32)
