"""The model of one fold: fitted, kept in its folder, and brought back, whatever its kind."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from emboscope.datasets.dataset import Dataset
from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.protocol import Fold
from emboscope.learning.classical import CLASSICAL, FeatureClassifier
from emboscope.learning.encoders import ENCODERS
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.models import MODELS
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.workflows.files import FORMAT_VERSION, read_json, write_json
from emboscope.workflows.run_settings import RunSettings

NETWORK_FILE, CLASSICAL_FILE = "weights.safetensors", "classical.json"


class Fitted(Protocol):
    """What evaluation needs of a model."""

    classes_: np.ndarray

    def predict(self, views: dict[str, np.ndarray]) -> np.ndarray:
        """The class of each row."""

    def predict_proba(self, views: dict[str, np.ndarray]) -> np.ndarray:
        """The probability of each of `classes_`."""


@dataclass(frozen=True)
class FoldJob:
    """A fold of a run: its data, its rows, its folder."""

    data: Dataset
    fold: Fold
    folder: Path
    settings: RunSettings

    def fit(self, classifier: SignalClassifier | FeatureClassifier, progress: Progress) -> None:
        """Fit on the training part; nothing of the test part is handed over."""
        rows = np.concatenate([self.fold.train, self.fold.validation])
        classifier.fit(
            self.data.rows(rows),
            self.data.y[rows],
            validation=np.arange(len(self.fold.train), len(rows)),
            checkpoint=self.folder,
            progress=progress,
        )


@dataclass(frozen=True)
class FoldKind:
    """How the models of one kind are fitted and kept.

    Attributes
    ----------
    file : str
        What stands in the folder of a fold when it is done.
    fit : callable (job, progress)
        Fits and writes.
    load : callable (job) -> Fitted
        Brings it back.
    history : callable (folder) -> list of dict
        One entry an epoch, or one in all.
    left_out : callable (folder) -> bool
        Whether augmentation that was asked for was left out, because a view would not follow.
    """

    file: str
    fit: Callable[[FoldJob, Progress], None]
    load: Callable[[FoldJob], Fitted]
    history: Callable[[Path], list[dict[str, float]]]
    left_out: Callable[[Path], bool] = lambda _: False


def _fit_network(job: FoldJob, progress: Progress) -> None:
    classifier = SignalClassifier(
        job.settings.model,
        front_end=job.data.front_end,
        network=job.settings.network,
        training=job.settings.training,
        random_state=job.settings.seed,
        device=job.settings.device,
    )
    job.fit(classifier, progress)
    classifier.save(job.folder)
    for name in ("checkpoint.safetensors", "checkpoint.json"):
        (job.folder / name).unlink(missing_ok=True)


def _feature_classifier(job: FoldJob) -> FeatureClassifier:
    settings = job.settings
    return FeatureClassifier(settings.model, job.data.front_end, settings.seed)


def _fit_classical(job: FoldJob, progress: Progress) -> None:
    """Keep the score of the validation part alone: a later fit on the same rows gives the same."""
    classifier = _feature_classifier(job)
    job.fit(classifier, progress)
    content = {
        "format_version": FORMAT_VERSION,
        "model": job.settings.model,
        "random_state": job.settings.seed,
        "n_train": len(job.fold.train),
        "validation_mcc": classifier.history_[0]["validation_mcc"],
    }
    write_json(job.folder / CLASSICAL_FILE, content)


def _refit_classical(job: FoldJob) -> FeatureClassifier:
    """Fit again on the same rows, and check that the score is the same."""
    stored = _classical_history(job.folder)[0]["validation_mcc"]
    classifier = _feature_classifier(job)
    job.fit(classifier, silent)
    found = classifier.history_[0]["validation_mcc"]
    if not np.array_equal(found, stored, equal_nan=True):
        raise DataError(
            f"model '{job.folder}': validation MCC {found:.4f} when fitted again; expected "
            f"{stored:.4f}. Use the versions in 'run.json', or train again."
        )
    return classifier


def _classical_history(folder: Path) -> list[dict[str, float]]:
    """One entry; an undefined score, null in JSON, is NaN."""
    stored = read_json(folder / CLASSICAL_FILE)["validation_mcc"]
    return [{"validation_mcc": float("nan") if stored is None else float(stored)}]


NETWORK = FoldKind(
    NETWORK_FILE,
    _fit_network,
    lambda job: SignalClassifier.load(job.folder),
    lambda folder: SignalClassifier.load(folder).history_,
    lambda folder: SignalClassifier.load(folder).leaves_out_augmentation,
)
FITTED_AGAIN = FoldKind(
    CLASSICAL_FILE,
    _fit_classical,
    _refit_classical,
    _classical_history,
)

FOLD_KINDS: Registry[FoldKind] = Registry("model")
FOLD_KINDS.update(dict.fromkeys(MODELS, NETWORK))
FOLD_KINDS.update(dict.fromkeys(CLASSICAL, FITTED_AGAIN))


def kind_of(model: str) -> FoldKind:
    """The kind of a model by its name; `ENCODER:VIEW` is an encoder of another view."""
    encoder, colon, _ = model.partition(":")
    if colon:
        ENCODERS[encoder]  # refused where there is none
        return NETWORK
    return FOLD_KINDS[model]


def check_network(run: Path, model: str) -> None:
    """Refuse a run of classical models where weights are needed.

    Raises
    ------
    SettingsError
        With what a network would be.
    """
    if kind_of(model) is not NETWORK:
        raise SettingsError(
            f"run '{run}': {model}, which has no weights; expected a network, for example "
            "hybrid_late. Train one."
        )
