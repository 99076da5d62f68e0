"""Export of a classifier to ONNX, proved equal to the original on 256 inputs."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from emboscope.compression.quantizers import settle
from emboscope.errors import DataError, EmboscopeError, SettingsError
from emboscope.export.manifest import SIGNAL, Manifest, check_difference, export_of
from emboscope.export.onnx_forms import WEIGHTS, OnnxForm, check_calibration
from emboscope.export.onnx_front_end import (
    FromSignal,
    front_end_for,
    with_formulas,
)
from emboscope.export.onnx_graph import Probabilities, converted, serialized
from emboscope.export.views import signals
from emboscope.learning.estimator import SignalClassifier
from emboscope.representations.front_end import FrontEnd

N_CHECKED = 256
_LOOSER = 10  # times the tolerance where the front end, in decibels, is inside


def export_onnx(
    classifier: SignalClassifier,
    folder: Path,
    views: Mapping[str, np.ndarray] | None = None,
    classes: Sequence[str] | None = None,
    metrics: Mapping[str, object] | None = None,
    tolerance: float | None = None,
    form: OnnxForm | None = None,
) -> Manifest:
    """Write `model.onnx`, `check.json` and `manifest.json`, and prove that the model is the same.

    The batch is dynamic, the inputs are named as the views, the output is `probabilities`. With the
    front end inside the one input is `signal`, in the unit of the recordings. Quantized weights are
    written as the values that they show, unless the form asks for fewer bits.

    Parameters
    ----------
    classifier : SignalClassifier
        Fitted. It is not changed.
    folder : Path
        Made when it is missing.
    views : dict of ndarray, optional
        Real inputs for the check, the first 256 of which are used; random ones without.
    classes : sequence of str, optional
        Names of the classes, in the order of `classifier.classes_`, which stands in without.
    metrics : dict, optional
        Scores of the classifier, copied to the manifest.
    tolerance : float, optional
        Largest difference of a probability that is accepted; that of the form without.
    form : OnnxForm, optional
        Weights in single precision, and views as inputs, without.

    Returns
    -------
    manifest : Manifest

    Raises
    ------
    SettingsError
        If the form does not suit the model.
    DataError
        If views are missing, or those to calibrate with.
    EmboscopeError
        If ONNX Runtime and PyTorch differ by more than `tolerance`; nothing is written then.
    """
    form = form or OnnxForm()
    weights = WEIGHTS[form.weights]
    export = export_of(classifier, "onnx", classes, metrics)
    network = settle(copy.deepcopy(classifier.network_)).cpu().eval()
    task = _task(network, export.shapes, classifier.front_end, form, views)
    check_calibration(form.weights, task.calibration)
    model = converted(task.graph, {name: torch.from_numpy(x) for name, x in task.inputs.items()})
    plain = len(serialized(_finished(model, task), export.classes))
    model = _finished(weights.convert(model, task.calibration), task)
    content = serialized(model, export.classes)
    found = compare(content, task.expected, task.inputs)
    if tolerance is None:
        tolerance = min(1.0, weights.tolerance * (_LOOSER if form.front_end else 1))
    check_difference("model.onnx", found.largest, tolerance)
    _check_form(form.weights, found, len(content), plain)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    check = {
        "n_inputs": N_CHECKED,
        "inputs": "real" if task.real else "random",
        "largest_difference": found.largest,
        "tolerance": tolerance,
        "same_decisions": found.same,
        "least_same_decisions": weights.least_same,
        "weights": form.weights,
        "front_end_inside": form.front_end,
        "bytes": len(content),
        "bytes_in_float": plain,
    }
    export = replace(export, shapes={name: x.shape[1:] for name, x in task.inputs.items()})
    more = {"weights": form.weights, "front_end_inside": form.front_end}
    return export.finish(folder, check, ("model.onnx",), more)


@dataclass(frozen=True)
class Difference:
    """How two models differ on the same inputs.

    Attributes
    ----------
    largest : float
        Of a probability.
    same : float
        Share of the inputs of which the likeliest class is the same.
    """

    largest: float
    same: float


def compare(content: bytes, expected: np.ndarray, inputs: Mapping[str, np.ndarray]) -> Difference:
    """How ONNX Runtime differs from the expected probabilities.

    All inputs at once, and the first alone, so that the dynamic batch is tried too.
    """
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, dict(inputs))
    (first,) = session.run(None, {name: x[:1] for name, x in inputs.items()})
    differences = np.abs(np.concatenate([found - expected, first - expected[:1]]))
    same = np.mean(found.argmax(axis=1) == expected.argmax(axis=1))
    return Difference(float(differences.max()), float(same))  # keeps NaN


@dataclass(frozen=True)
class _Task:
    """What is to be exported, and with what it is checked and calibrated."""

    graph: nn.Module
    inputs: Mapping[str, np.ndarray]
    expected: np.ndarray
    real: bool
    calibration: Mapping[str, np.ndarray] | None
    front_end: FrontEnd | None  # that is inside


def _task(
    network: nn.Module,
    shapes: Mapping[str, tuple[int, ...]],
    front_end: FrontEnd | None,
    form: OnnxForm,
    views: Mapping[str, np.ndarray] | None,
) -> _Task:
    """The graph with its inputs, and what PyTorch makes of the package's own views of them."""
    plain = Probabilities(network, tuple(shapes)).eval()
    given = form.calibration
    if not form.front_end:
        rows = {name: tensor.numpy() for name, tensor in samples_of(shapes, views).items()}
        calibration = given and {name: given[name].astype(np.float32) for name in shapes}
        return _Task(plain, rows, _of(plain, rows), views is not None, calibration, None)
    inside = front_end_for(front_end, tuple(shapes))
    assert front_end is not None
    segments, real = signals(front_end, views, N_CHECKED)
    calibration = None
    if given is not None:
        made, told = signals(front_end, given, len(next(iter(given.values()))))
        calibration = {SIGNAL: made} if told else None
    expected = _of(plain, inside.compute(segments))
    graph = FromSignal(network, inside).eval()
    return _Task(graph, {SIGNAL: segments}, expected, real, calibration, inside)


def _of(graph: nn.Module, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """What PyTorch makes of the inputs."""
    with torch.no_grad():
        found: np.ndarray = graph(*(torch.from_numpy(x) for x in inputs.values())).numpy()
    return found


def _finished(model: onnx.ModelProto, task: _Task) -> onnx.ModelProto:
    """A copy with the constants of the front end as formulas."""
    own = onnx.ModelProto()
    own.CopyFrom(model)
    return own if task.front_end is None else with_formulas(own, task.front_end)


def _check_form(weights: str, found: Difference, n_bytes: int, plain: int) -> None:
    """Refuse a form that changes too many decisions, or saves nothing."""
    least = WEIGHTS[weights].least_same
    if found.same < least:
        raise EmboscopeError(
            f"weights '{weights}': {100 * found.same:.1f} % of the decisions are those of PyTorch; "
            f"expected at least {100 * least:g} %. Choose float."
        )
    if weights != "float" and n_bytes >= plain:
        raise SettingsError(
            f"weights '{weights}': {n_bytes} bytes; expected fewer than the {plain} in float. "
            "Choose float."
        )


def samples_of(
    shapes: Mapping[str, tuple[int, ...]],
    views: Mapping[str, np.ndarray] | None,
    n_checked: int = N_CHECKED,
) -> dict[str, Tensor]:
    """Inputs for a check: real ones, repeated when there are fewer, or random ones."""
    if views is None:
        rng = np.random.default_rng(0)
        views = {name: rng.standard_normal((n_checked, *shape)) for name, shape in shapes.items()}
    missing = [name for name in shapes if name not in views or len(views[name]) == 0]
    if missing:
        raise DataError(
            f"views: {', '.join(missing)} missing; expected {', '.join(shapes)}. Give every view "
            "of the classifier, or none."
        )
    return {
        name: torch.from_numpy(np.resize(views[name], (n_checked, *shape)).astype(np.float32))
        for name, shape in shapes.items()
    }
