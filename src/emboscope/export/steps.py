"""What several steps of a packed model share in NumPy: convolution, pools, activations."""

import math
from collections.abc import Callable

import numpy as np

_erf = np.vectorize(math.erf, otypes=[float])
_LEAK = 0.01


def sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-values)))


def _gelu(values: np.ndarray) -> np.ndarray:
    return values * (1 + _erf(values / math.sqrt(2))) / 2


_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda values: values,
    "relu": lambda values: np.maximum(values, 0),
    "leaky_relu": lambda values: np.where(values > 0, values, _LEAK * values),
    "gelu": _gelu,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
}


def read(arena: np.ndarray, inputs: list[np.ndarray], place: int, size: int) -> np.ndarray:
    return inputs[-1 - place] if place < 0 else arena[place : place + size]


def activated(values: np.ndarray, name: str) -> np.ndarray:
    return _ACTIVATIONS[name](values)


def convolved(step: np.ndarray, image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Sums of the products, (n_out, row, column)."""
    kh, kw, sh, sw, ph, pw = map(int, step[10:16])
    padded = np.pad(image, ((0, 0), (ph, ph), (pw, pw)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))
    windows = windows[:, ::sh, ::sw]  # (channel, row, column, kh, kw)
    kernels = weight.reshape(int(step[7]), image.shape[0], kh, kw)
    return np.einsum("crsij,ocij->ors", windows, kernels, optimize=True)


def pooled(step: np.ndarray, image: np.ndarray, name: str) -> np.ndarray:
    """Of each window what there is of it."""
    n_channels, n_rows, n_columns = map(int, step[7:10])
    kh, kw, sh, sw = map(int, step[10:14])
    found = np.zeros((n_channels, n_rows, n_columns), np.float32)
    for row in range(n_rows):
        for column in range(n_columns):
            window = image[:, row * sh : row * sh + kh, column * sw : column * sw + kw]
            flat = window.reshape(n_channels, -1)
            found[:, row, column] = flat.max(1) if name == "max_pool" else flat.mean(1)
    return found
