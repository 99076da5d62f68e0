"""Take a saved model out of Python, with its proof and its manifest."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emboscope.compression.noise_views import simulated_rows
from emboscope.errors import SettingsError
from emboscope.evaluation.metrics import mcc
from emboscope.export.c_code import CodeForm, export_c
from emboscope.export.manifest import SIGNAL, Manifest, write_manifest
from emboscope.export.onnx import export_onnx
from emboscope.export.onnx_forms import WEIGHTS, OnnxForm
from emboscope.export.onnx_runtime import OnnxRuntime
from emboscope.export.runtime import Runtime, compiler
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.uncertainty import threshold_for
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.workflows.cells import SIMULATED
from emboscope.workflows.classes import LEAST
from emboscope.workflows.classes import SIMULATED as FROM_SIMULATED
from emboscope.workflows.evaluate import WANTED_RIGHT
from emboscope.workflows.files import prepare_folder, read_json, write_json

CARRIERS_HZ = (1.5e6, 2e6)  # of the simulated centers
TARGETS: Registry[Callable[..., Manifest]] = Registry("target")
TARGETS["onnx"] = export_onnx
TARGETS["c"] = export_c

N_CALIBRATING = 512  # rows
_TRAINING = "training"
_FILES = {"model.c", "model.h", "model.emb", "model.onnx"}


@dataclass(frozen=True)
class About:
    """What a manifest tells of a model that its weights do not.

    Attributes
    ----------
    classes : sequence of str, optional
        Their names.
    metrics : dict, optional
        Scores.
    """

    classes: Sequence[str] | None = None
    metrics: Mapping[str, object] | None = None


@dataclass(frozen=True)
class Evidence:
    """What an export is checked with.

    Attributes
    ----------
    views : dict of ndarray
        Rows that were not trained on.
    y : ndarray of int, shape (n_samples,), optional
        Their classes: the MCC is then compared, and they set the least probability of an answer.
    training : dict of ndarray, optional
        Views of training rows, to calibrate with.
    """

    views: dict[str, np.ndarray]
    y: np.ndarray | None = None
    training: dict[str, np.ndarray] | None = None


@dataclass(frozen=True)
class Form:
    """How the files are to be.

    Attributes
    ----------
    weights : str
        Of ONNX: a name in `WEIGHTS`.
    front_end : bool
        Whether the views are made inside, of the signal.
    integer : bool
        Of C: whether activations are whole numbers of eight bits.
    calibration : str
        What sets the ranges of whole numbers: a name in `CALIBRATIONS`.
    """

    weights: str = "float"
    front_end: bool = False
    integer: bool = False
    calibration: str = _TRAINING

    @property
    def is_calibrated(self) -> bool:
        """Whether there are ranges to set."""
        return self.weights == "int8" or self.integer

    @property
    def needs_data(self) -> bool:
        """Whether rows of the training part are needed."""
        return self.is_calibrated and CALIBRATIONS[self.calibration].needs_data

    def of(self, target: str, calibration: dict[str, np.ndarray] | None) -> OnnxForm | CodeForm:
        """What the export of a target takes."""
        if target == "onnx":
            return OnnxForm(self.weights, self.front_end, calibration)
        return CodeForm(front_end=self.front_end, integer=self.integer, calibration=calibration)


def deploy_model(
    source: Path,
    out: Path,
    targets: str | Sequence[str] = "onnx",
    evidence: Evidence | None = None,
    about: About | None = None,
    form: Form | None = None,
    progress: Progress = silent,
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
    about : About, optional
    form : Form, optional
    progress : callable
        Told each target before it is made, and the end.
    """
    form, about = form or Form(), about or About()
    names = check_targets(targets, form)
    classifier = SignalClassifier.load(source)
    views = None if evidence is None else evidence.views
    calibration = CALIBRATIONS[form.calibration].rows(classifier, evidence, form)
    prepare_folder(out)
    with tempfile.TemporaryDirectory(dir=out) as place:
        made, least = {}, []
        ours = _labeled(classifier, evidence)
        for done, name in enumerate(names):
            progress("exporting and checking", done, len(names))
            folder = Path(place) / name
            made[name] = TARGETS[name](
                classifier, folder, views, about.classes, about.metrics,
                form=form.of(name, calibration),
            )  # fmt: skip
            if evidence is not None and ours is not None:
                least.append(_score(folder, classifier, evidence, ours))
        progress("exporting and checking", len(names), len(names))
        return _gathered(Path(place), out, made, form, max(*least, LEAST) if least else None)


def check_targets(targets: str | Sequence[str], form: Form) -> tuple[str, ...]:
    """The targets, each once; refused where one is unknown or the form does not suit them."""
    names = tuple(dict.fromkeys([targets] if isinstance(targets, str) else targets))
    if not names:
        raise SettingsError(f"target: none; expected one of {', '.join(TARGETS)}.")
    for name in names:
        TARGETS[name]
    WEIGHTS[form.weights]
    CALIBRATIONS[form.calibration]
    if form.calibration != _TRAINING and not form.is_calibrated:
        raise SettingsError(
            f"calibration '{form.calibration}': nothing to calibrate; expected whole numbers. Ask "
            "--integer or --weights int8, or leave it out."
        )
    if form.weights != "float" and "onnx" not in names:
        raise SettingsError(
            f"weights '{form.weights}': a form of ONNX; expected --target onnx. C holds every "
            "weight in its smallest form already."
        )
    if form.integer and "c" not in names:
        raise SettingsError(
            "integer: a form of C; expected --target c. Of ONNX ask --weights int8."
        )
    return names


@dataclass(frozen=True)
class Calibration:
    """What sets the ranges of whole numbers.

    Attributes
    ----------
    rows : callable
        `rows(classifier, evidence, form)`: views, or None.
    needs_data : bool
    """

    rows: Callable[[SignalClassifier, Evidence | None, Form], dict[str, np.ndarray] | None]
    needs_data: bool = False


CALIBRATIONS: Registry[Calibration] = Registry("calibration")
CALIBRATIONS[_TRAINING] = Calibration(
    lambda classifier, evidence, form: None if evidence is None else evidence.training, True
)
CALIBRATIONS["simulated"] = Calibration(
    lambda classifier, evidence, form: simulated_rows(classifier, N_CALIBRATING, form.front_end)
)


def origin_of(data: str) -> dict[str, object]:
    """What a manifest tells of the data that a model learned from."""
    if data in SIMULATED:
        return {"trained_on": FROM_SIMULATED, "carriers_hz": CARRIERS_HZ}
    return {"trained_on": f"the data set '{data}'"} if data else {}


def tell_origin(out: Path, manifest: Manifest, data: str) -> Manifest:
    """Write the manifest of an export anew, with the name of the data set of its training."""
    return write_manifest(out, manifest.model_copy(update=origin_of(data)), tuple(manifest.files))


@dataclass(frozen=True)
class _Labeled:
    """Rows of the check that have a class, and what PyTorch says of all rows."""

    rows: np.ndarray
    columns: np.ndarray
    probabilities: np.ndarray


def _labeled(classifier: SignalClassifier, evidence: Evidence | None) -> _Labeled | None:
    """None without classes."""
    if evidence is None or evidence.y is None:
        return None
    rows = np.isin(evidence.y, classifier.classes_)
    if not rows.any():
        return None
    columns = np.searchsorted(classifier.classes_, evidence.y[rows])
    return _Labeled(rows, columns, classifier.predict_proba(evidence.views))


def _score(folder: Path, classifier: SignalClassifier, evidence: Evidence, ours: _Labeled) -> float:
    """How PyTorch and the file score on the rows with a class, into `check.json`.

    Returns
    -------
    least : float
        The least probability of an answer with which 95 % of the answers are right; of the file,
        or of PyTorch where nothing runs it. Above 1 where none has.
    """
    runtime = _runtime_of(folder)
    inputs = None if runtime is None else _inputs_of(runtime, classifier, evidence.views)
    rows, columns = ours.rows, ours.columns
    if runtime is None or inputs is None:
        return threshold_for(ours.probabilities[rows], columns, WANTED_RIGHT)
    theirs = runtime.predict_proba(inputs)
    check = read_json(folder / "check.json")
    check["n_scored"] = int(rows.sum())
    for name, p in (("mcc_in_pytorch", ours.probabilities), ("mcc", theirs)):
        check[name] = mcc(columns, p[rows].argmax(axis=1))
    least = threshold_for(theirs[rows], columns, WANTED_RIGHT)
    check["answered"] = float((theirs[rows].max(axis=1) >= max(least, LEAST)).mean())
    write_json(folder / "check.json", check)
    return least


def _runtime_of(folder: Path) -> Runtime | OnnxRuntime | None:
    """What runs an export here; None where nothing does."""
    if (folder / "model.onnx").is_file():
        return OnnxRuntime((folder / "model.onnx").read_bytes())
    return None if compiler() is None else Runtime((folder / "model.emb").read_bytes())


def _inputs_of(
    runtime: Runtime | OnnxRuntime, classifier: SignalClassifier, views: dict[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """The views, or the signal that they were made of; None where they do not tell it."""
    front_end = classifier.front_end
    if SIGNAL not in runtime.inputs:
        return views
    if front_end is None or not front_end.waveform_is_signal or "waveform" not in views:
        return None
    return {SIGNAL: front_end.signal_of(views["waveform"])}


def _gathered(
    place: Path, out: Path, made: Mapping[str, Manifest], form: Form, least: float | None
) -> Manifest:
    """Move the files of each target to one folder, and write what they have in common once."""
    files, checks = [], {}
    for name, manifest in made.items():
        checks[name] = read_json(place / name / "check.json")
        for file in manifest.files:
            if file != "check.json":
                (place / name / file).replace(out / file)
                files.append(file)
    if (out / "manifest.json").is_file():  # of an earlier export, whose files are no longer true
        for name in _FILES - set(files):
            (out / name).unlink(missing_ok=True)
    first, *others = made.values()
    check = checks[first.target]
    if others:
        common = {key: check.pop(key) for key in ("format_version", "notice")}
        for each in checks.values():
            for key in common:
                each.pop(key, None)
        check = {"format_version": common["format_version"], **checks, "notice": common["notice"]}
    write_json(out / "check.json", check)
    shown = made.get("onnx", first)
    update = {
        "target": "+".join(made),
        "weights": shown.weights,
        "front_end_inside": shown.front_end_inside,
        "integer": any(manifest.integer for manifest in made.values()),
        "calibration": form.calibration if form.is_calibrated else None,
        "least_probability": least,
    }
    return write_manifest(out, first.model_copy(update=update), (*files, "check.json"))
