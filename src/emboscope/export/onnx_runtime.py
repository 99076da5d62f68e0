"""An exported ONNX file by ONNX Runtime, and the runtime that suits a folder of an export."""

import json
import re
from collections.abc import Mapping

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from emboscope.errors import DataError
from emboscope.export.onnx_graph import seal_of
from emboscope.export.runtime import checked_view

_AT_ONCE = 256  # rows
_LONGEST = 160  # characters of what ONNX Runtime says
_PLACE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |/onnxruntime_src/.*\) ")
_REFUSED = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoModel,
    state.NotImplemented,
    state.RuntimeException,
)


class OnnxRuntime:
    """A `model.onnx` of ours that runs in ONNX Runtime, where there is no compiler for C.

    Parameters
    ----------
    content : bytes
        Of the file.

    Attributes
    ----------
    inputs : dict of tuple
        Shape of each input without the batch: the views, or `signal` with the front end inside.
    classes : tuple of str

    Raises
    ------
    DataError
        If it is not ours, damaged, cut off, or of a newer version than ONNX Runtime knows.
    """

    def __init__(self, content: bytes) -> None:
        if seal_of(content) is None:
            raise DataError(
                "ONNX model: damaged, cut off, or not of 'emboscope export'; expected the sum of "
                "its bytes in its notes. Export the model again."
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what is wrong is raised, and said once
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except _REFUSED as error:
            reason = _PLACE.sub("", str(error).partition("\n")[0])[:_LONGEST].rstrip(". ")
            raise DataError(
                f"ONNX model: not readable by ONNX Runtime {onnxruntime.__version__} ({reason}). "
                "Export the model again, or install a newer ONNX Runtime."
            ) from error
        self.inputs = {each.name: tuple(each.shape[1:]) for each in self._session.get_inputs()}
        notes = self._session.get_modelmeta().custom_metadata_map
        self.classes = tuple(json.loads(notes["classes"]))

    def predict_proba(self, views: Mapping[str, np.ndarray]) -> np.ndarray:
        """Probabilities (n, class) of views (n, …), or of `signal` (n, channel, time).

        Raises
        ------
        DataError
            If an input is missing or has another shape.
        """
        rows = {name: checked_view(views, name, shape) for name, shape in self.inputs.items()}
        n_rows = len(next(iter(rows.values())))
        found = np.zeros((n_rows, len(self.classes)), np.float32)
        for start in range(0, n_rows, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            given = {name: view[part] for name, view in rows.items()}
            (found[part],) = self._session.run(["probabilities"], given)
        return found
