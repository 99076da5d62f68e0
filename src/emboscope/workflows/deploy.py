"""Take a saved model out of Python, with its proof and its manifest."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emboscope.errors import SettingsError
from emboscope.evaluation.metrics import mcc
from emboscope.export.c_code import export_c
from emboscope.export.manifest import Manifest, write_manifest
from emboscope.export.onnx import export_onnx
from emboscope.export.onnx_forms import WEIGHTS, OnnxForm
from emboscope.export.onnx_front_end import SIGNAL
from emboscope.export.onnx_runtime import OnnxRuntime
from emboscope.learning.estimator import SignalClassifier
from emboscope.registry import Registry
from emboscope.workflows.files import prepare_folder, read_json, write_json

TARGETS: Registry[Callable[..., Manifest]] = Registry("target")
TARGETS["onnx"] = export_onnx
TARGETS["c"] = export_c


@dataclass(frozen=True)
class Evidence:
    """What an export is checked with.

    Attributes
    ----------
    views : dict of ndarray
        Rows that were not trained on.
    y : ndarray of int, shape (n_samples,), optional
        Their classes: the MCC is then compared.
    training : dict of ndarray, optional
        Views of training rows, to calibrate with.
    """

    views: dict[str, np.ndarray]
    y: np.ndarray | None = None
    training: dict[str, np.ndarray] | None = None


def deploy_model(
    source: Path,
    out: Path,
    targets: str | Sequence[str] = "onnx",
    evidence: Evidence | None = None,
    classes: Sequence[str] | None = None,
    metrics: Mapping[str, object] | None = None,
    form: OnnxForm | None = None,
) -> Manifest:
    """Export a saved model, for one target or for several, in one folder with one manifest.

    Where one of the targets is refused, nothing is written.

    Parameters
    ----------
    source : Path
        Folder of a saved `SignalClassifier`, compressed or not.
    out : Path
        Folder of the export.
    targets : str or sequence of str
        Names in `TARGETS`.
    evidence : Evidence, optional
        Real inputs for the numeric check.
    classes : sequence of str, optional
        Names of the classes.
    metrics : dict, optional
        Scores of the model, for its manifest.
    form : OnnxForm, optional
        Of the ONNX file.
    """
    form = form or OnnxForm()
    names = check_targets(targets, form)
    if evidence is not None:
        form = replace(form, calibration=evidence.training)
    classifier = SignalClassifier.load(source)
    views = None if evidence is None else evidence.views
    prepare_folder(out)
    with tempfile.TemporaryDirectory(dir=out) as place:
        made = {}
        for name in names:
            more = {"form": form} if name == "onnx" else {}
            made[name] = TARGETS[name](
                classifier, Path(place) / name, views, classes, metrics, **more
            )
        if evidence is not None and "onnx" in made:
            _add_mcc(Path(place) / "onnx", classifier, evidence)
        return _gathered(Path(place), out, made)


def check_targets(targets: str | Sequence[str], form: OnnxForm) -> tuple[str, ...]:
    """The targets, each once; refused where one is unknown or the form does not suit them."""
    names = tuple(dict.fromkeys([targets] if isinstance(targets, str) else targets))
    for name in names:
        TARGETS[name]
    WEIGHTS[form.weights]
    if form.weights != "float" and "onnx" not in names:
        raise SettingsError(
            f"weights '{form.weights}': a form of ONNX; expected --target onnx. C holds every "
            "weight in its smallest form already."
        )
    if form.front_end and names != ("onnx",):
        raise SettingsError(
            f"front end: target {' and '.join(names)}; expected --target onnx alone. The C code "
            "takes the views."
        )
    return names


def _add_mcc(folder: Path, classifier: SignalClassifier, evidence: Evidence) -> None:
    """Write into `check.json` how PyTorch and the file score on the rows with a class."""
    views, y, front_end = evidence.views, evidence.y, classifier.front_end
    runtime = OnnxRuntime((folder / "model.onnx").read_bytes())
    if y is None or (y < 0).all():
        return
    inputs = views
    if SIGNAL in runtime.inputs:
        if front_end is None or not front_end.waveform_is_signal or "waveform" not in views:
            return
        inputs = {SIGNAL: front_end.signal_of(views["waveform"])}
    rows = y >= 0
    found = classifier.classes_[runtime.predict_proba(inputs).argmax(axis=1)]
    check = read_json(folder / "check.json")
    check["n_scored"] = int(rows.sum())
    check["mcc_in_pytorch"] = mcc(y[rows], classifier.predict(views)[rows])
    check["mcc"] = mcc(y[rows], found[rows])
    write_json(folder / "check.json", check)


def _gathered(place: Path, out: Path, made: Mapping[str, Manifest]) -> Manifest:
    """Move the files of each target to one folder, and write what they have in common once."""
    files, checks = [], {}
    for name, manifest in made.items():
        checks[name] = read_json(place / name / "check.json")
        for file in manifest.files:
            if file != "check.json":
                (place / name / file).replace(out / file)
                files.append(file)
    first, *others = made.values()
    check = checks[first.target]
    if others:
        common = {key: check.pop(key) for key in ("format_version", "notice")}
        for each in checks.values():
            for key in common:
                each.pop(key, None)
        check = {"format_version": common["format_version"], **checks, "notice": common["notice"]}
    write_json(out / "check.json", check)
    form = made.get("onnx", first)
    update = {
        "target": "+".join(made),
        "weights": form.weights,
        "front_end_inside": form.front_end_inside,
    }
    return write_manifest(out, first.model_copy(update=update), (*files, "check.json"))
