"""The front end inside an ONNX graph: from the segment of signal to the probabilities."""

import math
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from emboscope.errors import SettingsError
from emboscope.learning.front_end import TorchFrontEnd
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.views import SpectrogramSettings, WaveformSettings, window

_FEW = 64  # numbers of a constant that is not worth a formula


class FromSignal(nn.Module):
    """Views by the front end's twin in PyTorch, and the class probabilities of them."""

    def __init__(self, network: nn.Module, front_end: FrontEnd) -> None:
        super().__init__()
        self.front = TorchFrontEnd(front_end)
        self.network = network

    def forward(self, *tensors: Tensor) -> Tensor:
        """Probabilities, shape (batch, class), of a signal (batch, channel, time)."""
        (signal,) = tensors
        scores = self.network(self.front(signal))
        return scores.softmax(dim=1)


def front_end_for(front_end: FrontEnd | None, views: Sequence[str]) -> FrontEnd:
    """The front end with those views alone.

    Raises
    ------
    SettingsError
        If it is missing, does not make a view, or one has no form in ONNX.
    """
    if front_end is None:
        raise SettingsError(
            "front end: this model has none; expected one to put into the graph. Export without it."
        )
    missing = [name for name in views if name not in front_end.views]
    if missing:
        raise SettingsError(
            f"front end: it does not make '{missing[0]}'; expected all of {', '.join(views)}. "
            "Export without it."
        )
    chosen = {name: front_end.views[name] for name in views}
    for name, settings in chosen.items():
        if not isinstance(settings, WaveformSettings | SpectrogramSettings):
            raise SettingsError(
                f"front end: '{name}' ({settings.kind}) has no form in ONNX; expected waveform and "
                "spectrogram alone. Export without it."
            )
    return front_end.model_copy(update={"views": chosen})


def with_formulas(model: onnx.ModelProto, front_end: FrontEnd) -> onnx.ModelProto:
    """The graph with formulas in place of the large constants of the front end.

    The matrices of the Fourier transform are a table of n_fft cosines and sines, read in steps, and
    the places of the frames are sums of first samples and of those in a frame. ONNX Runtime
    computes them once, when it loads the file.
    """
    constants = {each.name: each for each in model.graph.initializer}
    tensors: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []
    for view, settings in front_end.views.items():
        names = [f"front.spectrograms.{view}.{part}" for part in ("real", "imaginary")]
        if isinstance(settings, SpectrogramSettings) and set(names) & set(constants):
            there = [name if name in constants else "" for name in names]
            _add_transform(settings, view, there, tensors, nodes)
    for name, tensor in constants.items():
        if tensor.data_type == TensorProto.INT64 and math.prod(tensor.dims) > _FEW:
            _add_sums(name, numpy_helper.to_array(tensor), tensors, nodes)
    made = {output for node in nodes for output in node.output}
    kept = [each for each in model.graph.initializer if each.name not in made]
    others = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend([*kept, *tensors])
    model.graph.node.extend([*nodes, *others])
    return model


def _add_transform(
    settings: SpectrogramSettings,
    view: str,
    names: list[str],
    tensors: list[onnx.TensorProto],
    nodes: list[onnx.NodeProto],
) -> None:
    """Window times cos and −sin of 2π/n_fft · row · time, (time, row), under the given names."""
    n_fft, length = settings.n_fft, settings.frame_length
    turns = 2 * np.pi / n_fft * np.arange(n_fft)
    constants = {
        "rows": (np.arange(n_fft, dtype=np.int32) - n_fft // 2)[None],
        "times": np.arange(length, dtype=np.int32)[:, None],
        "n_fft": np.array(n_fft, np.int32),
        "window": window(settings).astype(np.float64)[:, None],
        "cos": np.cos(turns),
        "sin": -np.sin(turns),
    }
    at = {part: f"{view}_dft_{part}" for part in (*constants, "product", "step")}
    tensors += [numpy_helper.from_array(value, at[part]) for part, value in constants.items()]
    nodes.append(helper.make_node("Mul", [at["times"], at["rows"]], [at["product"]]))
    nodes.append(helper.make_node("Mod", [at["product"], at["n_fft"]], [at["step"]]))
    for name, part in zip(names, ("cos", "sin"), strict=True):
        if name:
            read = f"{at[part]}_read"
            nodes.append(helper.make_node("Gather", [at[part], at["step"]], [read]))
            nodes.append(helper.make_node("Mul", [read, at["window"]], [name]))


def _add_sums(
    name: str,
    values: np.ndarray,
    tensors: list[onnx.TensorProto],
    nodes: list[onnx.NodeProto],
) -> None:
    """A matrix of whole numbers that is a column plus a row, as their sum."""
    if values.ndim < 2 or math.prod(values.shape[2:]) != 1:
        return
    column, row = values[:, :1], values[:1] - values[:1, :1]
    if not np.array_equal(column + row, values):
        return
    parts = [f"{name}_column", f"{name}_row"]
    tensors += [
        numpy_helper.from_array(np.ascontiguousarray(each), part)
        for each, part in zip((column, row), parts, strict=True)
    ]
    nodes.append(helper.make_node("Add", parts, [name]))
