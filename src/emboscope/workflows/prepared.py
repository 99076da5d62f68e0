"""Images, features and maps on which a study of annotation stands; made once, then read."""

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import NonNegativeInt
from sklearn.datasets import load_digits

from emboscope.annotation.autoencoder import AutoEncoderSettings, encode, train_autoencoder
from emboscope.annotation.maps import MAP_GRIDS, PROJECTIONS
from emboscope.datasets import load_dataset
from emboscope.datasets.dataset import Dataset
from emboscope.datasets.fetch import cache_folder, keep_arrays
from emboscope.datasets.hits import HitsSettings, dataset_of, simulated_hits
from emboscope.errors import SettingsError
from emboscope.evaluation.protocol import folds
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.settings import Settings
from emboscope.workflows.hits_source import hits_from
from emboscope.workflows.measures import standard_measures

FORMAT_VERSION = 1
N_FOLDS = 5  # of patients


class PrepareSettings(Settings):
    """What features and maps are made from. Every default stands here and nowhere else."""

    data: str = "mnist"
    fold: NonNegativeInt = 0  # of the patients, where the data has patients
    features: str = "autoencoder"
    autoencoder: AutoEncoderSettings = AutoEncoderSettings()
    grid: str = "small"
    projection: str = "tsne"


@dataclass(frozen=True)
class Images:
    """A part to annotate and a part to test on.

    Attributes
    ----------
    images, test_images : ndarray of float32, shape (n_samples, n_channels, height, width)
    y, test_y : ndarray of int64, shape (n_samples,)
        True classes.
    groups : ndarray, shape (n_samples,), or None
        Patients.
    soft : ndarray, shape (n_samples, n_classes), or None
        Shares of the raters, where there are several.
    expert : ndarray of int64, shape (n_samples,)
        What an expert says when asked: the majority of the raters, else the truth.
    segments : ndarray, shape (n_samples, 2, n_times), or None
        I and Q, where the data is Doppler.
    rows, test_rows : ndarray of int, shape (n_samples,), or None
        Where both parts stand in the data set, if it has patients.
    """

    images: np.ndarray
    y: np.ndarray
    groups: np.ndarray | None
    soft: np.ndarray | None
    expert: np.ndarray
    test_images: np.ndarray
    test_y: np.ndarray
    segments: np.ndarray | None = None
    rows: np.ndarray | None = None
    test_rows: np.ndarray | None = None


@dataclass(frozen=True)
class Prepared:
    """Images with what annotation needs of them.

    Attributes
    ----------
    source : Images
    features : ndarray of float32, shape (n_samples, n_features)
    maps : tuple of ndarray, each of shape (n_samples, 2)
    """

    source: Images
    features: np.ndarray
    maps: tuple[np.ndarray, ...]


IMAGE_SETS: Registry[Callable[[int, Progress], Images]] = Registry("images to annotate")


def mnist_images(_fold: int, progress: Progress = silent) -> Images:
    """The published part of MNIST: the first 15,000 training digits, cropped to 20 × 20."""
    return _official_parts(load_dataset("mnist15k", progress=progress))


def organ_images(_fold: int, progress: Progress = silent) -> Images:
    """OrganCMNIST with the counts of the papers; it has to be fetched first."""
    return _official_parts(load_dataset("organc_v2", progress=progress))


def _official_parts(data: Dataset) -> Images:
    """The training part to annotate, the official test part to test on."""
    images, train = data.views["spectrogram"], ~data.is_test
    y = data.y[train]
    return Images(images[train], y, None, None, y, images[~train], data.y[~train])


def stream_images(_fold: int, progress: Progress = silent) -> Images:
    """Spectrograms of the realistic stream of simulated HITS; its fixed patients are to test on."""
    data = load_dataset("hits_sada", progress=progress)
    soft = data.soft_labels
    expert = data.y if soft is None else soft.argmax(axis=1)
    return _of_patients(data, expert, np.flatnonzero(~data.is_test), np.flatnonzero(data.is_test))


def digit_images(_fold: int, _progress: Progress = silent) -> Images:
    """The 1797 digits of 8 × 8 that scikit-learn ships; every fifth one is to test on."""
    X, y = load_digits(return_X_y=True)
    images = (X / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    test = np.arange(len(y)) % 5 == 4
    y = y.astype(np.int64)
    return Images(images[~test], y[~test], None, None, y[~test], images[test], y[test])


def hits_images(fold: int, progress: Progress = silent) -> Images:
    """Spectrograms of simulated HITS; the patients of one fold of five are to test on."""
    hits = simulated_hits(HitsSettings(), progress)
    data = dataset_of(hits)
    return _of_patients(data, hits.expert, *_fold_of_patients(data, fold))


def own_images(path: str, fold: int, progress: Progress = silent) -> Images:
    """The same of one's own HITS, a study or an HDF5; what an expert would say is its label.

    Its fixed test patients are to test on, where there are some, else those of one fold of five.
    Samples without a label are left out: nobody knows what is right.
    """
    data = hits_from(path, progress)
    if data.test_groups is None:
        return _of_patients(data, data.y, *_fold_of_patients(data, fold))
    known = data.y >= 0
    train, test = (np.flatnonzero(known & part) for part in (~data.is_test, data.is_test))
    return _of_patients(data, data.y, train, test)


def _fold_of_patients(data: Dataset, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Labeled rows outside one fold of five of the patients, and in it."""
    part = folds(data.y, data.groups, "patient", N_FOLDS, seed=0)[fold % N_FOLDS]
    return np.sort(np.concatenate([part.train, part.validation])), part.test


def _of_patients(data: Dataset, expert: np.ndarray, train: np.ndarray, test: np.ndarray) -> Images:
    """Spectrograms of the rows to annotate, with all that is known of them, and those to test."""
    images, soft = data.views["spectrogram"], data.soft_labels
    return Images(
        images[train],
        data.y[train],
        data.groups[train],
        None if soft is None else soft[train],
        expert[train],
        images[test],
        data.y[test],
        data.front_end.signal_of(data.views["waveform"][train]),
        train,
        test,
    )


IMAGE_SETS["mnist"] = mnist_images
IMAGE_SETS["organ"] = organ_images
IMAGE_SETS["digits"] = digit_images
IMAGE_SETS["hits"] = hits_images
IMAGE_SETS["hits_sada"] = stream_images


@functools.lru_cache(maxsize=1)
def load_images(data: str, fold: int, progress: Progress = silent) -> Images:
    """Images by name; the last ones are kept, because cells of a study ask again and again."""
    if data not in IMAGE_SETS and Path(data).exists():
        return own_images(data, fold, progress)
    return IMAGE_SETS[data](fold, progress)


def learned_codes(source: Images, settings: PrepareSettings, progress: Progress) -> np.ndarray:
    """Codes of the auto-encoder, (n_samples, latent)."""
    return encode(train_autoencoder(source.images, settings.autoencoder, progress), source.images)


def pixels(source: Images, _settings: PrepareSettings, _: Progress) -> np.ndarray:
    """The images themselves, one row each."""
    return source.images.reshape(len(source.images), -1)


def measures(source: Images, settings: PrepareSettings, _: Progress) -> np.ndarray:
    """Measures by hand, standardized."""
    if source.segments is None:
        raise SettingsError(
            f"features 'measures': '{settings.data}' has none; expected Doppler data. "
            "Leave features out."
        )
    return standard_measures(source.segments)


FEATURE_SETS: Registry[Callable[[Images, PrepareSettings, Progress], np.ndarray]] = Registry(
    "features"
)
FEATURE_SETS["autoencoder"] = learned_codes
FEATURE_SETS["pixels"] = pixels
FEATURE_SETS["measures"] = measures


def prepare(settings: PrepareSettings, progress: Progress = silent) -> Prepared:
    """Features and maps of the part to annotate; kept in the cache folder by content hash.

    Neither the auto-encoder nor a map sees the part to test on, nor any label.
    """
    source = load_images(settings.data, settings.fold, progress)
    path = cache_folder() / f"annotation-{_key(settings, source.images)}.npz"
    if path.is_file():
        return _read(path, source)
    features = FEATURE_SETS[settings.features](source, settings, progress).astype(np.float32)
    maps = PROJECTIONS[settings.projection](features, MAP_GRIDS[settings.grid], progress)
    keep_arrays(path, {"features": features, "maps": np.stack(maps)})
    return _read(path, source)


def _key(settings: PrepareSettings, images: np.ndarray) -> str:
    """Hash of all that the content depends on."""
    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    grid = [each.model_dump(mode="json") for each in MAP_GRIDS[settings.grid]]
    content = [FORMAT_VERSION, settings.model_dump(mode="json", exclude={"data", "fold"}), grid]
    digest.update(json.dumps(content, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _read(path: Path, source: Images) -> Prepared:
    with np.load(path, allow_pickle=False) as content:
        return Prepared(source, content["features"], tuple(content["maps"]))
