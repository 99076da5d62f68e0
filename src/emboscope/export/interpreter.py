"""A packed model in NumPy: slow, and what the C runtime must equal."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from emboscope.export.forms import unpack
from emboscope.export.packed import PackedModel
from emboscope.export.program import ACTIVATIONS, KINDS

_erf = np.vectorize(math.erf, otypes=[float])
_LEAK = 0.01
_COMPRESSION = 4.0
_LEAST_WIDTH = 1e-12


def run_packed(model: PackedModel, views: Mapping[str, np.ndarray]) -> np.ndarray:
    """Probabilities (n, class) of views (n, …), one row after the other.

    Parameters
    ----------
    model : PackedModel
    views : mapping of ndarray
        Those that it names.
    """
    tensors = [unpack(tensor) for tensor in model.tensors]
    n_rows = len(next(iter(views.values())))
    found = np.zeros((n_rows, model.n_classes), np.float32)
    for row in range(n_rows):
        inputs = [np.ravel(views[name][row]).astype(np.float32) for name in model.inputs]
        arena = np.zeros(model.n_arena, np.float32)
        for step in model.steps:
            _run_step(step, arena, inputs, tensors)
        found[row] = arena[model.out : model.out + model.n_classes]
    return found


def _run_step(
    step: np.ndarray, arena: np.ndarray, inputs: list[np.ndarray], tensors: list[np.ndarray]
) -> None:
    kind, out, first, second = (int(value) for value in step[:4])
    given, made = tuple(map(int, step[4:7])), tuple(map(int, step[7:10]))
    weight, scale, shift = (tensors[n] if n >= 0 else np.zeros(0, np.float32) for n in step[16:19])
    x = _read(arena, inputs, first, int(np.prod(given)))
    name = KINDS[kind]
    if name == "convolution":
        y = _convolved(step, x.reshape(given), weight)
        y = y * scale[:, None, None] + shift[:, None, None]
    elif name in ("max_pool", "mean_pool"):
        y = _pooled(step, x.reshape(given), name)
    elif name in _OF_TWO:
        size = {"attention": math.prod(made), "blend": given[0]}.get(name, x.size)
        y = _OF_TWO[name](x.reshape(given), _read(arena, inputs, second, size), made)
    elif name == "frame":
        y = _framed(step, x.reshape(given), made)
    else:
        y = _SIMPLE[name](x.reshape(given), made, weight, scale, shift)
    values = _activated(np.ravel(y).astype(np.float32), ACTIVATIONS[int(step[19])])
    arena[out : out + values.size] = values


def _read(arena: np.ndarray, inputs: list[np.ndarray], place: int, size: int) -> np.ndarray:
    return inputs[-1 - place] if place < 0 else arena[place : place + size]


def _activated(values: np.ndarray, name: str) -> np.ndarray:
    return _ACTIVATIONS[name](values)


def _convolved(step: np.ndarray, image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Sums of the products, (n_out, row, column)."""
    kh, kw, sh, sw, ph, pw = map(int, step[10:16])
    padded = np.pad(image, ((0, 0), (ph, ph), (pw, pw)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))
    windows = windows[:, ::sh, ::sw]  # (channel, row, column, kh, kw)
    kernels = weight.reshape(int(step[7]), image.shape[0], kh, kw)
    return np.einsum("crsij,ocij->ors", windows, kernels, optimize=True)


def _pooled(step: np.ndarray, image: np.ndarray, name: str) -> np.ndarray:
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


def _framed(step: np.ndarray, image: np.ndarray, made: tuple[int, ...]) -> np.ndarray:
    """The image, moved by the padding, cut off or followed by zeros."""
    ph, pw = map(int, step[14:16])
    found = np.zeros(made, np.float32)
    inside = found[:, ph : ph + image.shape[1], pw : pw + image.shape[2]]
    inside[...] = image[:, : inside.shape[1], : inside.shape[2]]
    return found


def _moments(x: np.ndarray, *_: object) -> np.ndarray:
    flat = x.reshape(len(x), -1)
    return np.concatenate([flat.mean(axis=1), flat.max(axis=1)])


def _mean(x: np.ndarray, *_: object) -> np.ndarray:
    return x.reshape(len(x), -1).mean(axis=1)


def _affine(
    x: np.ndarray, made: object, weight: object, scale: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """One scale for all, or one a number."""
    return np.ravel(x) * scale + shift


def _signed_log(x: np.ndarray, *_: object) -> np.ndarray:
    return np.concatenate([x, np.sign(x) * np.log1p(_COMPRESSION * np.abs(x))])


def _quantiles(x: np.ndarray, made: tuple[int, ...], weight: np.ndarray, *_: object) -> np.ndarray:
    edges = weight.reshape(x.size, -1)
    low, high = edges[:, :-1], edges[:, 1:]
    passed = (np.ravel(x)[:, None] - low) / np.maximum(high - low, _LEAST_WIDTH)
    return 2 * np.clip(passed, 0, 1) - 1


def _copy(x: np.ndarray, *_: object) -> np.ndarray:
    return x


def _layer_norm(
    x: np.ndarray, made: object, weight: np.ndarray, scale: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    flat = np.ravel(x).astype(np.float64)
    return (flat - flat.mean()) / np.sqrt(flat.var() + weight[0]) * scale + shift


def _mix(x: np.ndarray, made: tuple[int, ...], weight: np.ndarray, *_: object) -> np.ndarray:
    """Log of the mixture of the members' probabilities, renormalized."""
    logits = x.reshape(-1, made[2]).astype(np.float64)
    shares = _softmax(logits)
    mixed = (shares * weight.reshape(logits.shape)).sum(axis=0)
    return np.log(mixed / mixed.sum())


def _probabilities(
    x: np.ndarray, made: object, weight: object, scale: np.ndarray, shift: object
) -> np.ndarray:
    return _softmax(np.ravel(x).astype(np.float64) * scale[0])


def _softmax(logits: np.ndarray) -> np.ndarray:
    rising = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return rising / rising.sum(axis=-1, keepdims=True)


def _channel_norm(
    x: np.ndarray, made: object, weight: np.ndarray, scale: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    flat = x.reshape(len(x), -1).astype(np.float64)
    sizes = np.sqrt(flat.var(axis=0) + weight[0])
    return (flat - flat.mean(axis=0)) / sizes * scale[:, None] + shift[:, None]


def _attention(x: np.ndarray, queries: np.ndarray, made: tuple[int, ...]) -> np.ndarray:
    """Means of the values, weighted by what queries and keys have in common."""
    keys, values = x.astype(np.float64).reshape(2, made[0], *x.shape[1:])  # (head, feature, token)
    weights = _softmax(np.einsum("hdt,hdq->hqt", keys, queries.reshape(made)))
    return np.einsum("hdt,hqt->hdq", values, weights)


def _lstm(
    x: np.ndarray, made: tuple[int, ...], weight: np.ndarray, scale: object, shift: np.ndarray
) -> np.ndarray:
    """Hidden states (direction, unit, step) of channels (channel, 1, step)."""
    n_directions, n_units, n_steps = made
    weights = weight.reshape(n_directions, len(x) + n_units, 4 * n_units).astype(np.float64)
    found = np.zeros(made)
    for direction, bias in enumerate(shift.reshape(n_directions, -1)):
        cell, state = np.zeros(n_units), np.zeros(n_units)
        for step in range(n_steps)[:: -1 if direction else 1]:
            gates = bias + np.concatenate([x[:, 0, step], state]) @ weights[direction]
            enter, keep, new, leave = gates.reshape(4, n_units)
            cell = _sigmoid(keep) * cell + _sigmoid(enter) * np.tanh(new)
            state = _sigmoid(leave) * np.tanh(cell)
            found[direction, :, step] = state
    return found


def _blend(x: np.ndarray, shares: np.ndarray, made: object) -> np.ndarray:
    return np.einsum("c,crs->rs", shares, x)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-values)))


def _gelu(values: np.ndarray) -> np.ndarray:
    return values * (1 + _erf(values / math.sqrt(2))) / 2


_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda values: values,
    "relu": lambda values: np.maximum(values, 0),
    "leaky_relu": lambda values: np.where(values > 0, values, _LEAK * values),
    "gelu": _gelu,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
}
_OF_TWO: dict[str, Callable[..., np.ndarray]] = {
    "add": lambda x, other, _: np.ravel(x) + other,
    "multiply": lambda x, other, _: np.ravel(x) * other,
    "attention": _attention,
    "blend": _blend,
}
_SIMPLE: dict[str, Callable[..., np.ndarray]] = {
    "moments": _moments,
    "mean": _mean,
    "affine": _affine,
    "signed_log": _signed_log,
    "quantiles": _quantiles,
    "copy": _copy,
    "layer_norm": _layer_norm,
    "mix": _mix,
    "softmax": _probabilities,
    "channel_norm": _channel_norm,
    "lstm": _lstm,
}
