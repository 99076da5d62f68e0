"""Programs: lists of operations on numbered buffers, which the C runtime computes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from emboscope.representations.hits_frames import HOP, WINDOW

KINDS = (
    "convolution", "max_pool", "mean_pool", "moments", "mean", "add", "multiply", "affine",
    "signed_log", "quantiles", "copy", "layer_norm", "mix", "softmax",
    "frame", "channel_norm", "attention", "lstm", "blend",
    "spectrum", "decibels", "min_max", "over_median", "measures",
    "quantize", "dequantize", "integer_convolution", "integer_logits", "integer_pool",
    "integer_add",
)  # fmt: skip
INTEGER = KINDS[KINDS.index("quantize") :]  # those that read or write bytes
WEIGHTED = ("convolution", "integer_convolution", "integer_logits")  # their weights are packed
ACTIVATIONS = ("none", "relu", "leaky_relu", "gelu", "sigmoid", "tanh")
N_QUERIES = 16  # of attention, computed at a time
_BLOCK = 16  # bytes that are summed at once
Shape = tuple[int, int, int]  # (channel, row, column)


@dataclass(frozen=True)
class Buffer:
    """What an operation reads or writes.

    Attributes
    ----------
    number : int
        Of the buffer; −1 − k for input k.
    shape : tuple of int
        (channel, row, column).
    start : int
        Where in the buffer it begins.
    """

    number: int
    shape: Shape
    start: int = 0

    @property
    def size(self) -> int:
        """How many numbers."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Operation:
    """One step of a program.

    Attributes
    ----------
    kind : str
        A name in `KINDS`.
    out, first : Buffer
    second : Buffer, optional
    tensors : dict of ndarray
        `weight` (n_out, …), `scale`, `shift`, one a channel or one in all.
    kernel, stride, padding : tuple of int
        Of rows and columns.
    activation : str
        A name in `ACTIVATIONS`.
    """

    kind: str
    out: Buffer
    first: Buffer
    second: Buffer | None = None
    tensors: Mapping[str, np.ndarray] = field(default_factory=dict)
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    activation: str = "none"


@dataclass(frozen=True)
class Program:
    """All steps from the views to the probabilities.

    Attributes
    ----------
    inputs : dict of tuple
        Shape of each view, in the order of their numbers.
    operations : tuple of Operation
    sizes : tuple of int
        Numbers in each buffer.
    out : Buffer
        Probabilities.
    """

    inputs: Mapping[str, tuple[int, ...]]
    operations: tuple[Operation, ...]
    sizes: tuple[int, ...]
    out: Buffer


def planned(program: Program) -> tuple[list[int], int]:
    """Where each buffer lies in one arena, so that none overlaps another that is still needed.

    Each step has its scratch at the start of the arena: what it needs of it is left free.

    Returns
    -------
    offsets : list of int
        Of each buffer, in numbers.
    total : int
        Length of the arena.
    """
    spans = {number: [len(program.operations), -1] for number in range(len(program.sizes))}
    for step, operation in enumerate(program.operations):
        for buffer in (operation.out, operation.first, operation.second):
            if buffer is not None and buffer.number >= 0:
                span = spans[buffer.number]
                spans[buffer.number] = [min(span[0], step), max(span[1], step)]
    spans[program.out.number][1] = len(program.operations)
    scratch = [scratch_of(operation) for operation in program.operations]
    offsets, placed = [0] * len(program.sizes), list[int]()
    for number in sorted(spans, key=lambda each: -program.sizes[each]):
        begin, end = spans[number]
        taken = sorted(
            (offsets[other], offsets[other] + program.sizes[other])
            for other in placed
            if spans[other][0] <= end and begin <= spans[other][1]
        )
        left_free = max(scratch[begin : end + 1], default=0)
        offsets[number] = _first_gap([(0, left_free), *taken], program.sizes[number])
        placed.append(number)
    ends = [offset + size for offset, size in zip(offsets, program.sizes, strict=True)]
    return offsets, max(*scratch, *ends)


def scratch_of(operation: Operation) -> int:
    """Floats that a step needs for itself while it runs: the least, with which it is slow."""
    made = operation.out.shape
    if operation.kind == "attention":
        return N_QUERIES * (operation.first.shape[2] + made[1])  # scores, a block of queries
    if operation.kind == "lstm":
        return 6 * made[1] + operation.first.shape[0]  # gates, state, cell; the channels of a step
    if operation.kind == "spectrum":
        return 4 * made[1]
    if operation.kind == "measures":
        return (WINDOW + 5) * ((operation.first.shape[2] - WINDOW) // HOP + 1) + 4 * WINDOW
    if operation.kind in WEIGHTED[1:]:
        return _integer_scratch(operation)
    return 0 if operation.kind in INTEGER else made[1] * made[2]


def _integer_scratch(operation: Operation) -> int:
    """The input by phases of its strides, in bytes, and places and values of the weights."""
    n_channels, *sides = operation.first.shape
    phases = [
        step * ((side + 2 * pad) // step + 1)
        for side, step, pad in zip(sides, operation.stride, operation.padding, strict=True)
    ]
    taps = n_channels * int(np.prod(operation.kernel))
    n_bytes = n_channels * int(np.prod(phases)) + _BLOCK
    return -(-n_bytes // 4) + taps + -(-taps // 4)


def _first_gap(taken: list[tuple[int, int]], size: int) -> int:
    """The lowest place between what is taken, sorted."""
    place = 0
    for start, stop in taken:
        if start - place >= size:
            return place
        place = max(place, stop)
    return place
