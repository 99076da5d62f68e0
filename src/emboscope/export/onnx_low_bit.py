"""Weights of an ONNX graph in two, four or eight bits, each with the numbers that it had.

Quantized weights are found by their values, as for `.emb`: a ternary tensor has at most one value
on each side of 0 in an output channel, also where a batch normalization was folded into it.
"""

from dataclasses import dataclass

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from emboscope.compression.encodings import is_uniform
from emboscope.errors import EmboscopeError, SettingsError

OPSET, IR_VERSION = 25, 13  # the first with INT2
_WHOLE = {4: "INT4", 8: "INT8"}
_SMALLEST = 8  # weights


@dataclass(frozen=True)
class Weight:
    """The weight of a layer in a graph.

    Attributes
    ----------
    name : str
        Of the initializer.
    values : ndarray of float32
    axis : int
        Of the output channels.
    """

    name: str
    values: np.ndarray
    axis: int

    @property
    def rows(self) -> np.ndarray:
        """(n_out, …)."""
        return np.moveaxis(self.values, self.axis, 0).reshape(self.values.shape[self.axis], -1)

    def along(self, scales: np.ndarray) -> np.ndarray:
        """One number an output channel, so that it multiplies the values; one in all if equal."""
        if (scales == scales[0]).all():
            return scales[:1].reshape(())
        shape = [1] * self.values.ndim
        shape[self.axis] = -1
        return scales.reshape(shape)


def weights_of(model: onnx.ModelProto) -> list[Weight]:
    """The constant matrices and kernels of its layers, in single precision, each once."""
    constants = {each.name: each for each in model.graph.initializer}
    found: dict[str, Weight] = {}
    for node in model.graph.node:
        name = node.input[1] if node.op_type in {"Conv", "Gemm", "MatMul"} else ""
        if name not in constants or constants[name].data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(constants[name])
        if values.ndim >= 2:
            found[name] = Weight(name, values, _output_axis(node, values.ndim))
    return list(found.values())


def in_low_bits(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its ternary weights in INT2; those of 4 or 8 bits in INT4 or INT8.

    The whole numbers are turned to single precision and multiplied by the scales of their channel,
    which ONNX Runtime does once, when it loads the file.

    Raises
    ------
    SettingsError
        If no weight is ternary.
    EmboscopeError
        If the installed onnx has no INT2.
    """
    if not hasattr(TensorProto, "INT2"):
        raise EmboscopeError(
            f"onnx {onnx.__version__}: no INT2; expected 1.20 or later. Upgrade onnx and "
            "onnxruntime."
        )
    model = onnx.version_converter.convert_version(model, OPSET)
    model.ir_version = IR_VERSION
    ternary = 0
    for weight in weights_of(model):
        if is_ternary_by_row(weight):
            _replace(model, weight.name, *_ternary(weight))
            ternary += 1
            continue
        n_bits = next((n for n in _WHOLE if is_uniform(torch.tensor(weight.rows), n)), None)
        if n_bits is not None:
            _replace(model, weight.name, *_whole(weight, n_bits))
    if not ternary:
        raise SettingsError(
            "weights 'ternary': no layer of this model has ternary weights; expected a model that "
            "was compressed by ttq, pttq, twn or attq. Compress it first, or choose float."
        )
    return model


def is_ternary_by_row(weight: Weight) -> bool:
    """At most one value on each side of 0 in each output channel, and smaller so than as it is."""
    rows = weight.rows
    up, down = _levels(rows)
    shown = np.where(rows > 0, up[:, None], np.where(rows < 0, -down[:, None], 0))
    bits = 2 * rows.size + 64 * len(rows)
    return rows.size >= _SMALLEST and bits < 32 * rows.size and np.array_equal(shown, rows)


def _levels(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sizes of the positive and of the negative value of each row; the other's where one lacks."""
    up, down = np.maximum(rows.max(axis=1), 0), np.maximum(-rows.min(axis=1), 0)
    up, down = np.where(up > 0, up, down), np.where(down > 0, down, up)
    empty = up == 0
    return np.where(empty, 1, up).astype(np.float32), np.where(empty, 1, down).astype(np.float32)


Parts = tuple[list[onnx.TensorProto], list[onnx.NodeProto]]


def _ternary(weight: Weight) -> Parts:
    """−1, 0, 1; the negative ones by a slope where the two scales differ; both by the positive."""
    up, down = _levels(weight.rows)
    signs = np.sign(weight.values)
    name = f"{weight.name}_signs"
    tensors, nodes = [_whole_numbers(name, signs, "INT2")], [_as_float(name)]
    last = nodes[-1].output[0]
    if not np.array_equal(up, down):
        tensors.append(_constant(f"{weight.name}_slope", weight.along(down / up)))
        nodes.append(helper.make_node("PRelu", [last, tensors[-1].name], [f"{weight.name}_sides"]))
        last = nodes[-1].output[0]
    return _scaled(weight, up, last, (tensors, nodes))


def _whole(weight: Weight, n_bits: int) -> Parts:
    """Whole numbers times the step of their channel."""
    most = 2 ** (n_bits - 1) - 1
    steps = np.abs(weight.rows).max(axis=1) / most
    steps = np.where(steps > 0, steps, 1).astype(np.float32)
    shape = [1] * weight.values.ndim
    shape[weight.axis] = -1
    name = f"{weight.name}_codes"
    codes = np.round(weight.values / steps.reshape(shape))
    parts = [_whole_numbers(name, codes, _WHOLE[n_bits])], [_as_float(name)]
    return _scaled(weight, steps, parts[1][0].output[0], parts)


def _scaled(weight: Weight, scales: np.ndarray, last: str, parts: Parts) -> Parts:
    """What was decoded, times a scale of each channel, under the name of the weight."""
    tensors, nodes = parts
    scale = _constant(f"{weight.name}_scale", weight.along(scales))
    node = helper.make_node("Mul", [last, scale.name], [weight.name])
    return [*tensors, scale], [*nodes, node]


def _whole_numbers(name: str, values: np.ndarray, kind: str) -> onnx.TensorProto:
    dtype = helper.tensor_dtype_to_np_dtype(getattr(TensorProto, kind))
    return numpy_helper.from_array(values.astype(np.int8).astype(dtype), name)


def _as_float(name: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT)


def _constant(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def _output_axis(node: onnx.NodeProto, n_axes: int) -> int:
    """Of a convolution the first axis; of a matrix the last, unless it is transposed."""
    transposed = any(each.name == "transB" and each.i for each in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else n_axes - 1


def _replace(
    model: onnx.ModelProto,
    name: str,
    tensors: list[onnx.TensorProto],
    nodes: list[onnx.NodeProto],
) -> None:
    """Put nodes that make a constant, before all others, in the place of the constant."""
    graph = model.graph
    kept = [each for each in graph.initializer if each.name != name]
    others = list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *tensors])
    graph.node.extend([*nodes, *others])
