"""Take a saved model out of Python, with its proof and its manifest."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from emboscope.export.c_code import export_c
from emboscope.export.manifest import Manifest, write_manifest
from emboscope.export.onnx import export_onnx
from emboscope.learning.estimator import SignalClassifier
from emboscope.registry import Registry
from emboscope.workflows.classes import SIMULATED
from emboscope.workflows.files import prepare_folder

SIMULATED_DATA = ("hits", "hits224", "hits_sada")
CARRIERS_HZ = (1.5e6, 2e6)  # of the simulated centers
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
    data: str = "",
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
    data : str
        Name of what it learned from, for its manifest.
    """
    export = TARGETS[target]
    classifier = SignalClassifier.load(source)
    manifest = export(classifier, prepare_folder(out), views, classes, metrics)
    return write_manifest(out, manifest.model_copy(update=origin_of(data)), tuple(manifest.files))


def origin_of(data: str) -> dict[str, object]:
    """What a manifest tells of the data that a model learned from."""
    if data in SIMULATED_DATA:
        return {"trained_on": SIMULATED, "carriers_hz": CARRIERS_HZ}
    return {"trained_on": f"the data set '{data}'"} if data else {}
