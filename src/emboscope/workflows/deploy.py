"""Take a saved model out of Python, with its proof and its manifest."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from emboscope.export.c_code import export_c
from emboscope.export.manifest import Manifest
from emboscope.export.onnx import export_onnx
from emboscope.learning.estimator import SignalClassifier
from emboscope.registry import Registry
from emboscope.workflows.files import prepare_folder

TARGETS: Registry[Callable[..., Manifest]] = Registry("target")
TARGETS["onnx"] = export_onnx
TARGETS["c"] = export_c


def deploy_model(
    source: Path,
    out: Path,
    target: str = "onnx",
    views: dict[str, np.ndarray] | None = None,
    classes: Sequence[str] | None = None,
    metrics: Mapping[str, object] | None = None,
) -> Manifest:
    """Export a saved model.

    Parameters
    ----------
    source : Path
        Folder of a saved `SignalClassifier`, compressed or not.
    out : Path
        Folder of the export.
    target : str
        A name in `TARGETS`.
    views : dict of ndarray, optional
        Real inputs for the numeric check.
    classes : sequence of str, optional
        Names of the classes.
    metrics : dict, optional
        Scores of the model, for its manifest.
    """
    export = TARGETS[target]
    classifier = SignalClassifier.load(source)
    return export(classifier, prepare_folder(out), views, classes, metrics)
