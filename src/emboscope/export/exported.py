"""A model that was exported, as this machine can run it."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.errors import DataError, SettingsError
from emboscope.export.interpreter import run_packed
from emboscope.export.manifest import SIGNAL, Manifest, read_manifest
from emboscope.export.onnx_runtime import OnnxRuntime
from emboscope.export.packed import load_packed
from emboscope.export.runtime import Runtime, compiler
from emboscope.representations.front_end import FrontEnd

PACKED, GRAPH = "model.emb", "model.onnx"
Predict = Callable[[Mapping[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class ExportedModel:
    """A model with all that it needs to judge a segment.

    Attributes
    ----------
    manifest : Manifest
    front_end : FrontEnd
        Makes its views.
    runtime : str
        What runs it: `c`, `onnx` or `numpy`.
    predict_proba : callable
        Probabilities (n, class) of views (n, …).
    """

    manifest: Manifest
    front_end: FrontEnd
    runtime: str
    predict_proba: Predict

    def judge(self, segments: np.ndarray) -> np.ndarray:
        """Probabilities (n, class) of segments (n, n_channels, n_times) that the front end has cut.

        The class axis is that of `manifest.classes`.
        """
        wanted = {each.name for each in self.manifest.inputs}
        if wanted == {SIGNAL}:
            return self.predict_proba({SIGNAL: segments})
        views = {name: view for name, view in self.front_end.views.items() if name in wanted}
        return self.predict_proba(
            self.front_end.model_copy(update={"views": views}).compute(segments)
        )


def load_exported(folder: Path) -> ExportedModel:
    """The model in a folder that `export_c` or `export_onnx` wrote.

    A packed model runs in C; without a compiler as ONNX, where `model.onnx` lies beside it, else in
    NumPy, which is slow.

    Raises
    ------
    DataError
        If there is none, a file is missing or damaged, or its manifest does not tell how its views
        are made.
    """
    if not folder.is_dir():
        raise DataError(
            f"model '{folder}': no such folder; expected an export. "
            "Make one: emboscope export RUN --target c --out DIR"
        )
    try:
        manifest = read_manifest(folder)
        front_end = _front_end(folder, manifest)
    except SettingsError as error:  # of a file that was made, not of what a user typed
        raise DataError(f"model '{folder}': {error} Export again.") from error
    there = {name for name in (PACKED, GRAPH) if name in manifest.files}
    if not there:
        raise DataError(
            f"model '{folder}': neither {PACKED} nor {GRAPH} in its manifest; expected one. "
            "Export again."
        )
    runtime, predict = _runner(folder, there)
    return ExportedModel(manifest, front_end, runtime, predict)


def _front_end(folder: Path, manifest: Manifest) -> FrontEnd:
    """The front end of the manifest, if it makes what the model reads."""
    if manifest.front_end is None:
        raise DataError(
            f"model '{folder}': its manifest tells no front end; expected the settings that make "
            "its views. Train with a front end and export again."
        )
    front_end = FrontEnd.parse(manifest.front_end, "manifest.front_end")
    shapes = {**front_end.shapes, SIGNAL: (front_end.n_channels, front_end.n_times)}
    for each in manifest.inputs:
        made = shapes.get(each.name)
        if made != each.shape:
            again = "again with the front end of the training"
            remedy = again if made else "a model that reads views of its front end alone"
            raise DataError(
                f"model '{folder}': view '{each.name}' of shape {each.shape}; its front end makes "
                f"{made or 'none'}. Export {remedy}."
            )
    return front_end


def _runner(folder: Path, there: Container[str]) -> tuple[str, Predict]:
    """What runs the model here, and how, of the files that the manifest names."""
    if PACKED in there and compiler() is not None:
        return "c", Runtime((folder / PACKED).read_bytes()).predict_proba
    if GRAPH in there:
        return "onnx", OnnxRuntime((folder / GRAPH).read_bytes()).predict_proba
    model = load_packed(folder / PACKED)
    return "numpy", lambda views: run_packed(model, views)
