"""Steps in whole numbers in PyTorch: the twin to which those in C are equal to the last bit."""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from emboscope.errors import DataError
from emboscope.export.forms import WHOLE_FORMS, Packed, unpack
from emboscope.export.program import ACTIVATIONS, KINDS
from emboscope.export.steps import activated

_NOTHING = torch.zeros(0)
_LEAST = -128  # beyond the end of a window


def run_integer(
    step: np.ndarray, arena: np.ndarray, inputs: Sequence[np.ndarray], tensors: Sequence[Packed]
) -> np.ndarray:
    """A step that reads or writes bytes, four in the place of a float, for many rows at once.

    Parameters
    ----------
    step : ndarray
        Of a packed model.
    arena : ndarray of float32, shape (n_rows, n_arena)
        Written in place.
    inputs : sequence of ndarray, shape (n_rows, n_values) each
    tensors : sequence of Packed

    Returns
    -------
    written : ndarray of int8 or float32, shape (n_rows, n_values)
    """
    kind, out, first, second = (int(value) for value in step[:4])
    given, name = tuple(map(int, step[4:7])), KINDS[kind]
    scale, shift = (_values(tensors[n]) if n >= 0 else _NOTHING for n in step[17:19])
    memory, size, activation = torch.from_numpy(arena), prod(given), ACTIVATIONS[int(step[19])]
    if name == "quantize":
        x = torch.from_numpy(inputs[-1 - first]) if first < 0 else memory[:, first : first + size]
        y = _to_byte(x * scale[0] + shift[0])
    else:
        x = _bytes(memory, first, size)
        image = x.reshape(-1, *given)
        if name == "dequantize":
            y = x.float() * scale[0]
        elif name == "integer_pool":
            y = _pooled(step, image)
        elif name == "integer_add":
            other = _bytes(memory, second, size).float()
            y = _to_byte(_active(x.float() * scale[0] + other * shift[0], activation))
        else:
            sums = _whole_sums(step, image, tensors[step[16]], scale) + shift[:, None, None]
            y = _active(sums, activation)
            y = y if name == "integer_logits" else _to_byte(y)
    values = y.reshape(len(arena), -1)
    if values.dtype == torch.int8:
        _bytes(memory, out, values.shape[1])[...] = values
    else:
        memory[:, out : out + values.shape[1]] = values
    return np.asarray(values.numpy())


def _whole_sums(step: np.ndarray, image: Tensor, packed: Packed, scale: Tensor) -> Tensor:
    """Exact sums of bytes times whole numbers, then scaled; of ternary ones each side alone."""
    values = _values(packed)
    if packed.form in ("8-bit", "4-bit"):
        sides = [(scale, values)]
    elif packed.form not in WHOLE_FORMS:
        raise DataError(
            f"packed model: weights of form '{packed.form}' in whole numbers. Export it again."
        )
    else:
        right, left = np.float32(packed.right), np.float32(packed.left)
        sides = [(scale * float(right), values > 0), (scale * float(left), values < 0)]
    kh, kw, sh, sw, ph, pw = map(int, step[10:16])
    sums = [
        factor[:, None, None]
        * functional.conv2d(  # of whole numbers in double precision: exact
            image.double(),
            part.double().reshape(int(step[7]), image.shape[1], kh, kw),
            stride=(sh, sw),
            padding=(ph, pw),
        ).float()
        for factor, part in sides
    ]
    return sums[0] if len(sums) == 1 else sums[0] - sums[1]


def _pooled(step: np.ndarray, image: Tensor) -> Tensor:
    """The largest of each window, of those at the end of what there is."""
    n_rows, n_columns, kh, kw, sh, sw = map(int, step[8:14])
    height, width = (n_rows - 1) * sh + kh, (n_columns - 1) * sw + kw
    beyond = (0, max(0, width - image.shape[3]), 0, max(0, height - image.shape[2]))
    whole = functional.pad(image.float(), beyond, value=_LEAST)[:, :, :height, :width]
    return functional.max_pool2d(whole, (kh, kw), (sh, sw)).to(torch.int8)


def _values(packed: Packed) -> Tensor:
    return torch.from_numpy(np.asarray(unpack(packed)))


def _active(values: Tensor, activation: str) -> Tensor:
    return torch.from_numpy(activated(values.numpy(), activation))


def _to_byte(values: Tensor) -> Tensor:
    """To the nearest whole number from −127 to 127, ties to even."""
    return values.clamp(-127, 127).round().to(torch.int8)


def _bytes(memory: Tensor, place: int, size: int) -> Tensor:
    return memory.view(torch.int8)[:, 4 * place : 4 * place + size]
