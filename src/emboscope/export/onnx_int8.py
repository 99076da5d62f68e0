"""An ONNX graph that computes in eight bits: QuantizeLinear, DequantizeLinear, calibrated.

Weights are symmetric with a step for each output channel, and of seven bits: sums of products of
eight-bit activations and eight-bit weights overflow in 16 bits on processors without VNNI, so that
the same file would decide otherwise there. The last layers give single precision.
"""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from emboscope.export.onnx_low_bit import weights_of

_AT_ONCE = 64  # rows of a calibration
_LAYERS = ("Conv", "Gemm", "MatMul")


class Batches(CalibrationDataReader):
    """Inputs of a calibration, some rows at a time."""

    def __init__(self, inputs: Mapping[str, np.ndarray]) -> None:
        n_rows = len(next(iter(inputs.values())))
        self._batches = iter([
            {name: rows[start : start + _AT_ONCE] for name, rows in inputs.items()}
            for start in range(0, n_rows, _AT_ONCE)
        ])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next rows, or None."""
        return next(self._batches, None)


def in_eight_bits(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """The graph with layers of eight bits, whose activations span what these inputs make of them.

    Parameters
    ----------
    model : ModelProto
        In single precision; it is not changed. Parts in double precision stay.
    inputs : mapping of ndarray
        Of its inputs: rows that the model may learn from.
    """
    constant = {weight.name for weight in weights_of(model)}
    layers = [
        node.name
        for node in model.graph.node
        if node.op_type in _LAYERS and node.input[1] in constant
    ]
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    with tempfile.TemporaryDirectory() as folder, _silent_logging():
        path = Path(folder) / "model.onnx"
        quantize_static(
            whole,
            path,
            Batches(inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_LAYERS),
            nodes_to_quantize=layers,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"]},
        )
        return onnx.load(path)


@contextmanager
def _silent_logging() -> Iterator[None]:
    """Without advice on the root logger, which would also be given a handler for good."""
    root, nothing, disabled = logging.getLogger(), logging.NullHandler(), logging.root.manager
    level = disabled.disable
    root.addHandler(nothing)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
        root.removeHandler(nothing)
