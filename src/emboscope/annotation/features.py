"""Features of images without labels: encoders by name, kept on disk, closed to test patients."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from emboscope.annotation.autoencoder.clustering import CLUSTERING
from emboscope.annotation.autoencoder.contrastive import CONTRASTIVE
from emboscope.annotation.autoencoder.conv import AUTOENCODER
from emboscope.annotation.autoencoder.network import ImageEncoder
from emboscope.annotation.autoencoder.settings import FeatureSettings
from emboscope.annotation.autoencoder.training import FeatureMethod, encode, learn
from emboscope.annotation.autoencoder.variational import VARIATIONAL
from emboscope.errors import DataError
from emboscope.learning.checkpoint import load_weights, write_atomic
from emboscope.progress import Progress, silent
from emboscope.registry import Registry

FORMAT_VERSION = 1
_SHOWN = 5  # patients named in a message

FEATURES: Registry[FeatureMethod] = Registry("features")
FEATURES["autoencoder"] = AUTOENCODER
FEATURES["clustering"] = CLUSTERING
FEATURES["variational"] = VARIATIONAL
FEATURES["contrastive"] = CONTRASTIVE


@dataclass(frozen=True)
class Features:
    """A trained encoder and what it makes of the images it was trained on.

    Attributes
    ----------
    model : ImageEncoder
    codes : ndarray of float32, shape (n_samples, latent)
        In the order of the images.
    """

    model: ImageEncoder
    codes: np.ndarray


def train_features(
    images: np.ndarray,
    name: str = "autoencoder",
    settings: FeatureSettings | None = None,
    progress: Progress = silent,
) -> ImageEncoder:
    """Train an encoder of `FEATURES` on images without labels.

    Parameters
    ----------
    images : ndarray, shape (n_samples, n_channels, height, width)
        In any unit. Only of those patients whose data may be learned from.
    name : str
        Key of `FEATURES`.
    settings : FeatureSettings, optional
        `FEATURES[name].settings`; its defaults without it.
    progress : callable
        Told each epoch.

    Returns
    -------
    model : ImageEncoder
        In evaluation mode, for `encode`. The same input, settings and thread count give the same
        weights.

    Raises
    ------
    DataError
        If the images are not a finite batch of four dimensions with some contrast.
    SettingsError
        If there is no such encoder, or the settings are those of another.
    """
    method = FEATURES[name]
    return learn(method, images, settings or method.settings(), progress)


def fit_features(
    images: np.ndarray,
    name: str = "autoencoder",
    settings: FeatureSettings | None = None,
    progress: Progress = silent,
    groups: np.ndarray | None = None,
    test_groups: Collection = (),
) -> Features:
    """Train an encoder and encode the same images, none of which may be of a test patient.

    Parameters
    ----------
    images, name, settings, progress
        As in `train_features`.
    groups : ndarray, shape (n_samples,), optional
        Patient of each image.
    test_groups : collection, optional
        Patients of the test part.

    Raises
    ------
    DataError
        If an image is of a test patient, or test patients are named without the patients of the
        images; and as in `train_features`.
    """
    _refuse_test_patients(len(images), groups, test_groups)
    model = train_features(images, name, settings, progress)
    return Features(model, encode(model, images))


def save_features(path: Path, model: ImageEncoder) -> None:
    """Write a trained encoder.

    Everything needed to read it back is in the one safetensors file, which is written aside and
    renamed; `.json` beside it repeats name, settings and shape for people.

    Parameters
    ----------
    path : Path
        Ends in `.safetensors`.
    model : ImageEncoder
        From `train_features`.
    """
    name = next(name for name, each in FEATURES.items() if each.settings is type(model.settings))
    summary = json.dumps(
        {
            "format_version": FORMAT_VERSION,
            "name": name,
            "shape": model.shape,
            "settings": model.settings.model_dump(mode="json"),
        },
        indent=2,
    )
    weights = {key: value.contiguous() for key, value in model.state_dict().items()}
    write_atomic(path, save(weights, {"features": summary}))
    write_atomic(path.with_suffix(".json"), summary.encode())


def load_features(path: Path) -> ImageEncoder:
    """Read what `save_features` wrote, in evaluation mode.

    Raises
    ------
    DataError
        If the file is missing, unreadable, of another format, or holds no encoder.
    """
    summary = _summary(path)
    if summary.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"features '{path}': format version {summary.get('format_version')}; expected "
            f"{FORMAT_VERSION}. Train the features again."
        )
    method = FEATURES[summary["name"]]
    settings = method.settings.parse(summary["settings"], f"features '{path}'")
    model = method.network(tuple(summary["shape"]), settings)
    load_weights(path, model)
    return model.eval()


def _summary(path: Path) -> dict:
    """What stands in the header of the file; empty where it is of something else."""
    try:
        with safe_open(path, framework="numpy") as file:
            return json.loads((file.metadata() or {}).get("features", "{}"))
    except (OSError, SafetensorError) as error:
        raise DataError(f"features '{path}': unreadable ({error}). Train them again.") from error


def _refuse_test_patients(
    n_samples: int, groups: np.ndarray | None, test_groups: Collection
) -> None:
    """No encoder learns from a patient it is judged on."""
    if groups is None:
        if len(test_groups):
            raise DataError(
                f"features: {len(test_groups)} test patients, and no patient for the images; "
                "expected one each. Give groups."
            )
        return
    groups = np.asarray(groups)
    if groups.shape != (n_samples,):
        raise DataError(
            f"groups: shape {groups.shape}; expected one for each of the {n_samples} images. "
            "Give the patient of each image."
        )
    known = sorted(map(str, set(groups.tolist()) & set(test_groups)))
    if known:
        raise DataError(
            f"features: {len(known)} test patients among the training images "
            f"({', '.join(known[:_SHOWN])}); expected none. Train without them, then encode them."
        )
