"""Steps in whole numbers in NumPy: the twin to which those in C are equal to the last bit."""

from collections.abc import Sequence

import numpy as np

from emboscope.errors import DataError
from emboscope.export.forms import WHOLE_FORMS, Packed, unpack
from emboscope.export.program import ACTIVATIONS, KINDS
from emboscope.export.steps import activated, convolved, pooled, read

_NOTHING = np.zeros(0, np.float32)


def run_integer(
    step: np.ndarray, arena: np.ndarray, inputs: list[np.ndarray],
    tensors: Sequence[Packed],
) -> np.ndarray:  # fmt: skip
    """A step that reads or writes bytes, four in the place of a float; else single precision."""
    kind, out, first, second = (int(value) for value in step[:4])
    given, name = tuple(map(int, step[4:7])), KINDS[kind]
    scale, shift = (unpack(tensors[n]) if n >= 0 else _NOTHING for n in step[17:19])
    size, activation = int(np.prod(given)), ACTIVATIONS[int(step[19])]
    if name == "quantize":
        y = _to_byte(read(arena, inputs, first, size) * scale[0] + shift[0])
    else:
        x = _bytes(arena, first, size)
        if name == "dequantize":
            y = x.astype(np.float32) * scale[0]
        elif name == "integer_pool":
            y = pooled(step, x.reshape(given), "max_pool").astype(np.int8)
        elif name == "integer_add":
            other = _bytes(arena, second, size).astype(np.float32)
            y = _to_byte(activated(x.astype(np.float32) * scale[0] + other * shift[0], activation))
        else:
            sums = (
                _whole_sums(step, x.reshape(given), tensors[step[16]], scale) + shift[:, None, None]
            )
            y = activated(sums.astype(np.float32), activation)
            y = y if name == "integer_logits" else _to_byte(y)
    values = np.ravel(y)
    if values.dtype == np.int8:
        arena.view(np.int8)[4 * out : 4 * out + values.size] = values
    else:
        arena[out : out + values.size] = values
    return values


def _whole_sums(
    step: np.ndarray, image: np.ndarray, packed: Packed, scale: np.ndarray
) -> np.ndarray:
    """Exact sums of bytes times whole numbers, then scaled; of ternary ones each side alone."""
    values = unpack(packed)
    if packed.form in ("8-bit", "4-bit"):
        sides = [(scale, values)]
    elif packed.form not in WHOLE_FORMS:
        raise DataError(
            f"packed model: weights of form '{packed.form}' in whole numbers. Export it again."
        )
    else:
        right, left = np.float32(packed.right), np.float32(packed.left)
        sides = [(scale * right, values > 0), (scale * left, values < 0)]
    wide = image.astype(np.float64)
    sums = [
        factor[:, None, None] * convolved(step, wide, part.astype(np.float64)).astype(np.float32)
        for factor, part in sides
    ]
    return sums[0] if len(sums) == 1 else sums[0] - sums[1]


def _to_byte(values: np.ndarray) -> np.ndarray:
    """To the nearest whole number from −127 to 127, ties to even."""
    return np.rint(np.clip(values, -127, 127)).astype(np.int8)


def _bytes(arena: np.ndarray, place: int, size: int) -> np.ndarray:
    return arena.view(np.int8)[4 * place : 4 * place + size]
