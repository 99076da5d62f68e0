"""Export of a classifier to ONNX, proved equal to the original on 64 inputs."""

import copy
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from emboscope.compression.quantizers import settle
from emboscope.errors import DataError
from emboscope.export.manifest import (
    NOTICE,
    Manifest,
    check_difference,
    export_of,
    package_versions,
)
from emboscope.learning.estimator import SignalClassifier

OPSET = 18  # the exporter's own, so that nothing is converted
N_CHECKED = 64
TOLERANCE = 1e-4  # of a probability


class Probabilities(nn.Module):
    """A network with its views as separate inputs and class probabilities as output."""

    def __init__(self, network: nn.Module, views: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.views = tuple(views)

    def forward(self, *tensors: Tensor) -> Tensor:
        """Probabilities, shape (batch, class), of the views in their order."""
        scores = self.network(dict(zip(self.views, tensors, strict=True)))
        return scores.softmax(dim=1)  # (batch, class), of logits and log-probabilities alike


def export_onnx(
    classifier: SignalClassifier,
    folder: Path,
    views: Mapping[str, np.ndarray] | None = None,
    classes: Sequence[str] | None = None,
    metrics: Mapping[str, object] | None = None,
    tolerance: float = TOLERANCE,
) -> Manifest:
    """Write `model.onnx`, `check.json` and `manifest.json`, and prove that the model is the same.

    The batch is dynamic, the inputs are named as the views, the output is `probabilities`.
    Quantized weights are written as the values that they show.

    Parameters
    ----------
    classifier : SignalClassifier
        Fitted. It is not changed.
    folder : Path
        Made when it is missing.
    views : dict of ndarray, optional
        Real inputs for the check, the first 64 of which are used; random ones without.
    classes : sequence of str, optional
        Names of the classes, in the order of `classifier.classes_`, which stands in without.
    metrics : dict, optional
        Scores of the classifier, copied to the manifest.
    tolerance : float
        Largest difference of a probability that is accepted.

    Returns
    -------
    manifest : Manifest

    Raises
    ------
    EmboscopeError
        If ONNX Runtime and PyTorch differ by more than `tolerance`; nothing is written then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    export = export_of(classifier, "onnx", classes, metrics)
    network = settle(copy.deepcopy(classifier.network_)).cpu().eval()
    graph = Probabilities(network, tuple(export.shapes)).eval()
    samples = samples_of(export.shapes, views)
    model = _described(_converted(graph, samples), export.classes)
    found = compare(model, graph, samples)
    check_difference("model.onnx", found, tolerance)
    (folder / "model.onnx").write_bytes(model)
    check = {
        "n_inputs": N_CHECKED,
        "inputs": "random" if views is None else "real",
        "largest_difference": found,
        "tolerance": tolerance,
    }
    return export.finish(folder, check, ("model.onnx",))


def compare(model: bytes, graph: nn.Module, samples: Mapping[str, Tensor]) -> float:
    """The largest difference of a probability between ONNX Runtime and PyTorch.

    All samples at once, and the first alone, so that the dynamic batch is tried too.
    """
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    largest = 0.0
    for part in (slice(None), slice(1)):
        inputs = {name: tensor[part] for name, tensor in samples.items()}
        with torch.no_grad():
            expected = graph(*inputs.values()).numpy()
        (found,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        largest = float(np.maximum(largest, np.abs(found - expected).max()))  # keeps NaN
    return largest


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


def _converted(graph: Probabilities, samples: Mapping[str, Tensor]) -> onnx.ModelProto:
    """The graph as ONNX, with a batch of any size."""
    batch = torch.export.Dim("batch")
    with _quiet():
        # Strict: else len() of a tensor fixes the batch, and the exporter does not say so.
        program = torch.export.export(
            graph,
            tuple(tensor[:2] for tensor in samples.values()),
            dynamic_shapes={"tensors": tuple({0: batch} for _ in samples)},
            strict=True,
        )
        converted = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(samples),
            output_names=["probabilities"],
            verbose=False,
        )
    assert converted is not None
    model = converted.model_proto
    symbol = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param == symbol:
                axis.dim_param = "batch"
    return model


def _described(model: onnx.ModelProto, classes: Sequence[str]) -> bytes:
    """The model with its classes, the notice and the versions in its metadata, as bytes."""
    model.producer_name = "emboscope"
    notes = {
        "classes": json.dumps(list(classes)),
        "notice": NOTICE,
        "versions": json.dumps(package_versions()),
    }
    onnx.helper.set_model_props(model, notes)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what PyTorch's exporter says about itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.filterwarnings("ignore", "# The axis name", UserWarning)
            yield
    finally:
        logger.setLevel(level)
