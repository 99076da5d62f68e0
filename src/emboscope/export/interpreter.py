"""A packed model in Python: slow, and what the C runtime must equal."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from emboscope.export.forms import unpack
from emboscope.export.front_end_steps import FRONT_END_STEPS, spectrum
from emboscope.export.integer_steps import run_integer
from emboscope.export.packed import PackedModel
from emboscope.export.program import ACTIVATIONS, INTEGER, KINDS
from emboscope.export.steps import activated, convolved, pooled, read, sigmoid

_COMPRESSION = 4.0
_LEAST_WIDTH = 1e-12
_AT_ONCE = 64  # rows


def run_packed(
    model: PackedModel,
    views: Mapping[str, np.ndarray],
    watch: Callable[[int, np.ndarray], None] | None = None,
) -> np.ndarray:
    """Probabilities (n, class) of views (n, …).

    Steps in single precision are computed in NumPy, one row after the other; those in whole numbers
    in PyTorch.

    Parameters
    ----------
    model : PackedModel
    views : mapping of ndarray
        Those that it names.
    watch : callable, optional
        Told the number of each step and what it wrote, (n_rows, n_values) of some rows.
    """
    tensors = [unpack(tensor) for tensor in model.tensors]
    n_rows = len(next(iter(views.values())))
    found = np.zeros((n_rows, model.n_classes), np.float32)
    for start in range(0, n_rows, _AT_ONCE):
        rows = slice(start, min(start + _AT_ONCE, n_rows))
        n = rows.stop - start
        inputs = [views[name][rows].reshape(n, -1).astype(np.float32) for name in model.inputs]
        arena = np.zeros((n, model.n_arena), np.float32)
        for number, step in enumerate(model.steps):
            if KINDS[step[0]] in INTEGER:
                written = run_integer(step, arena, inputs, model.tensors)
            else:
                written = np.stack([
                    _run_step(step, arena[row], [each[row] for each in inputs], tensors)
                    for row in range(n)
                ])
            if watch is not None:
                watch(number, written)
        found[rows] = arena[:, model.out : model.out + model.n_classes]
    return found


def _run_step(
    step: np.ndarray, arena: np.ndarray, inputs: list[np.ndarray], tensors: list[np.ndarray]
) -> np.ndarray:
    """What the step writes, once it is written."""
    kind, out, first, second = (int(value) for value in step[:4])
    given, made = tuple(map(int, step[4:7])), tuple(map(int, step[7:10]))
    weight, scale, shift = (tensors[n] if n >= 0 else np.zeros(0, np.float32) for n in step[16:19])
    x = read(arena, inputs, first, int(np.prod(given)))
    name = KINDS[kind]
    if name == "convolution":
        y = convolved(step, x.reshape(given), weight)
        y = y * scale[:, None, None] + shift[:, None, None]
    elif name in ("max_pool", "mean_pool"):
        y = pooled(step, x.reshape(given), name)
    elif name in _OF_TWO:
        size = {"attention": math.prod(made), "blend": given[0]}.get(name, x.size)
        y = _OF_TWO[name](x.reshape(given), read(arena, inputs, second, size), made)
    elif name == "spectrum":
        y = spectrum(step, x.reshape(given), weight, shift)
    elif name == "frame":
        y = _framed(step, x.reshape(given), made)
    else:
        y = _SIMPLE[name](x.reshape(given), made, weight, scale, shift)
    values = activated(np.ravel(y).astype(np.float32), ACTIVATIONS[int(step[19])])
    arena[out : out + values.size] = values
    return values


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
            cell = sigmoid(keep) * cell + sigmoid(enter) * np.tanh(new)
            state = sigmoid(leave) * np.tanh(cell)
            found[direction, :, step] = state
    return found


def _blend(x: np.ndarray, shares: np.ndarray, made: object) -> np.ndarray:
    return np.einsum("c,crs->rs", shares, x)


_OF_TWO: dict[str, Callable[..., np.ndarray]] = {
    "add": lambda x, other, _: np.ravel(x) + other,
    "multiply": lambda x, other, _: np.ravel(x) * other,
    "attention": _attention,
    "blend": _blend,
}
_SIMPLE: dict[str, Callable[..., np.ndarray]] = {
    **FRONT_END_STEPS,
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
