"""In what form the weights of an ONNX file are, and what is asked of each form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from emboscope.errors import DataError
from emboscope.export.onnx_int8 import in_eight_bits
from emboscope.export.onnx_low_bit import in_low_bits
from emboscope.registry import Registry

Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class WeightForm:
    """A form of the weights.

    Attributes
    ----------
    convert : callable (model, inputs) -> model
        From a graph in single precision; the inputs are those to calibrate with, if any.
    tolerance : float
        Largest difference of a probability that is accepted; with the front end inside ten times.
    least_same : float
        Least share of the decisions that must be those of PyTorch.
    calibrated : bool
        Whether it needs inputs.
    """

    convert: Callable[[onnx.ModelProto, Inputs | None], onnx.ModelProto]
    tolerance: float
    least_same: float = 0.0
    calibrated: bool = False


@dataclass(frozen=True)
class OnnxForm:
    """How an ONNX file is to be.

    Attributes
    ----------
    weights : str
        A name in `WEIGHTS`.
    front_end : bool
        Whether it takes the segment of signal instead of the views.
    calibration : dict of ndarray, optional
        Views of rows that the model learned from: `int8` needs them.
    """

    weights: str = "float"
    front_end: bool = False
    calibration: Inputs | None = None


def _as_it_is(model: onnx.ModelProto, inputs: Inputs | None) -> onnx.ModelProto:
    return model


def _ternary(model: onnx.ModelProto, inputs: Inputs | None) -> onnx.ModelProto:
    return in_low_bits(model)


def _int8(model: onnx.ModelProto, inputs: Inputs | None) -> onnx.ModelProto:
    assert inputs is not None
    return in_eight_bits(model, inputs)


def check_calibration(name: str, inputs: Inputs | None) -> None:
    """Refuse a form that needs inputs where there are none."""
    if WEIGHTS[name].calibrated and inputs is None:
        raise DataError(
            f"weights '{name}': no inputs to calibrate with; expected views of training rows. Give "
            "the data, in which the waveform tells the signal where the front end is inside."
        )


WEIGHTS: Registry[WeightForm] = Registry("form of weights")
WEIGHTS["float"] = WeightForm(_as_it_is, 1e-5)
WEIGHTS["int8"] = WeightForm(_int8, 1.0, least_same=0.95, calibrated=True)
WEIGHTS["ternary"] = WeightForm(_ternary, 1e-5)
