"""The manifest of an exported model: what it is, what it needs, and the sum of each file."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pydantic import Field, PositiveFloat
from torch import nn

from emboscope.errors import DataError, EmboscopeError, SettingsError
from emboscope.learning.checkpoint import weights_bytes
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import views_of
from emboscope.settings import Settings

FORMAT_VERSION = 1
SIGNAL = "signal"  # the name of the input that stands for all views
NOTICE = (
    "Research use only. Not a medical device. Not for diagnosis, monitoring or treatment "
    "decisions. Not evaluated by FDA or under MDR."
)
_PACKAGES = ("emboscope", "numpy", "onnx", "onnxruntime", "torch")


class Input(Settings):
    """One input of an exported model: a view, without the batch axis."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


class Manifest(Settings):
    """What stands in `manifest.json`."""

    format_version: int = FORMAT_VERSION
    classes: tuple[str, ...]
    front_end: dict[str, object] | None = None  # settings that make the views from a waveform
    inputs: tuple[Input, ...]
    target: str
    files: dict[str, str]  # name: sha256
    sizes: dict[str, int] = Field(default_factory=dict)  # name: bytes
    weights: str | None = None  # of the ONNX file, a name in `onnx_forms.WEIGHTS`
    front_end_inside: bool = False  # the input is then the segment of signal
    integer: bool = False  # whether C computes activations in whole numbers
    calibration: str | None = None  # what set the ranges of whole numbers: training, simulated
    source_weights_sha256: str
    metrics: dict[str, object] = Field(default_factory=dict)
    trained_on: str = ""  # in words, where it is known: what every output must say
    carriers_hz: tuple[PositiveFloat, ...] = ()  # of the recordings that it learned from
    least_probability: float | None = Field(default=None, ge=0)  # of an answer: else "unknown"
    versions: dict[str, str] = Field(default_factory=dict)
    notice: str = NOTICE


def weights_sha256(network: nn.Module) -> str:
    """The sum of a network's state dict, as safetensors writes it."""
    return hashlib.sha256(weights_bytes(network)).hexdigest()


def package_versions() -> dict[str, str]:
    """Versions of what made the file."""
    return {name: version(name) for name in _PACKAGES}


@dataclass(frozen=True)
class Export:
    """What every target says of the classifier that it writes.

    Attributes
    ----------
    classifier : SignalClassifier
    shapes : dict of tuple
        Of the views that it reads.
    classes : tuple of str
    target : str
    metrics : dict
    """

    classifier: SignalClassifier
    shapes: Mapping[str, tuple[int, ...]]
    classes: tuple[str, ...]
    target: str
    metrics: Mapping[str, object]

    def finish(
        self,
        folder: Path,
        check: Mapping[str, object],
        files: Sequence[str],
        more: Mapping[str, object] | None = None,
    ) -> Manifest:
        """Write `check.json`, and the manifest of it, of the files, and of what more there is."""
        write_json(folder / "check.json", {"format_version": 1, **check, "notice": NOTICE})
        front_end = self.classifier.front_end
        manifest = Manifest(
            classes=self.classes,
            front_end=None if front_end is None else front_end.model_dump(mode="json"),
            inputs=tuple(Input(name=name, shape=shape) for name, shape in self.shapes.items()),
            target=self.target,
            files={},
            source_weights_sha256=weights_sha256(self.classifier.network_),
            metrics=dict(self.metrics),
        ).model_copy(update=dict(more or {}))
        return write_manifest(folder, manifest, (*files, "check.json"))


def export_of(
    classifier: SignalClassifier,
    target: str,
    classes: Sequence[str] | None,
    metrics: Mapping[str, object] | None,
) -> Export:
    """The views, the names of the classes and the scores of a classifier."""
    shapes = {name: classifier.shapes_[name] for name in views_of(classifier.network_)}
    names = tuple(classes or map(str, classifier.classes_))
    if len(names) != len(classifier.classes_):
        raise SettingsError(
            f"classes: {len(names)} names; expected {len(classifier.classes_)}, one for each class "
            "of the model."
        )
    return Export(classifier, shapes, names, target, metrics or {})


def check_difference(file: str, found: float, tolerance: float) -> None:
    """Refuse a file whose probabilities differ by more than the tolerance, or by NaN."""
    if not found <= tolerance:
        raise EmboscopeError(
            f"{file}: a probability differs by {found:.2g} from PyTorch; expected at most "
            f"{tolerance:.2g}. Report this model, or raise the tolerance."
        )


def write_manifest(folder: Path, manifest: Manifest, files: Sequence[str]) -> Manifest:
    """Write `manifest.json` beside the named files, with their sums and our versions."""
    sums = {name: _sha256(folder / name) for name in files}
    sizes = {name: (folder / name).stat().st_size for name in files}
    update = {"files": sums, "sizes": sizes, "versions": package_versions()}
    whole = manifest.model_copy(update=update)
    write_json(folder / "manifest.json", whole.model_dump(mode="json"))
    return whole


def read_manifest(folder: Path) -> Manifest:
    """Read `manifest.json` and check the sum of every file that it names.

    Raises
    ------
    DataError
        If it is missing, of an unknown format version, or a file is not what was exported.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise DataError(
            f"model '{folder}': no manifest.json; expected the folder of an export. Make one of a "
            f"finished run: emboscope export {folder} --out exported."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"manifest '{path}': not readable ({error}). Export again.") from error
    found = values.get("format_version") if isinstance(values, dict) else None
    if found != FORMAT_VERSION:
        raise DataError(
            f"manifest '{path}': format_version is {found}; expected {FORMAT_VERSION}. Export "
            "again with this version."
        )
    manifest = Manifest.parse(values, where="manifest")
    for name, expected in manifest.files.items():
        file = folder / name
        if not file.is_file() or _sha256(file) != expected:
            raise DataError(
                f"'{file}': missing or changed; expected the sum that stands in the manifest. "
                "Export again."
            )
    return manifest


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write a JSON file that a person can read."""
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    """Sum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
