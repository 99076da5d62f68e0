"""Classifiers of views with the interface of scikit-learn."""

import hashlib
import json
from pathlib import Path
from typing import Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.protocol import hold_out
from emboscope.learning.architecture import Network, NetworkSettings
from emboscope.learning.checkpoint import load_weights, weights_bytes, write_atomic
from emboscope.learning.front_end import TorchFrontEnd, twin_of
from emboscope.learning.fusion import LateFusion
from emboscope.learning.loop import Rows, Task, fit_network
from emboscope.learning.models import build_network, views_of
from emboscope.learning.reading import read, read_embeddings, read_members, read_projected
from emboscope.learning.settings import TrainSettings
from emboscope.learning.targets import Targets, read_targets
from emboscope.progress import Progress, silent
from emboscope.representations.front_end import FrontEnd

FORMAT_VERSION = 1
_WEIGHTS = "weights.safetensors"
_NETWORK = "network.json"


class SignalClassifier(ClassifierMixin, BaseEstimator):
    """A network on one or more views of a signal.

    Parameters
    ----------
    model : str
        A name in `emboscope.learning.models.MODELS`.
    front_end : FrontEnd, optional
        Makes the views that are missing of `waveform`, and lets the training part be augmented.
    network : NetworkSettings, optional
    training : TrainSettings, optional
    random_state : int
        Of the initial weights, the order of the rows and all that is random.
    device : str
        `auto`, `cpu`, `cuda` or `mps`.

    Attributes
    ----------
    network_ : nn.Module
        Takes the dict of view tensors, gives logits or log-probabilities (batch, class).
    classes_ : ndarray of int
        The classes of `y`, in order; of distributions, the columns that have some mass.
    shapes_ : dict
        Shape of one sample by view.
    history_ : list of dict
        One entry an epoch: losses, and the MCC of the validation part.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2022). An hybrid
       CNN-Transformer model based on multi-feature extraction and attention fusion mechanism for
       cerebral emboli classification. Machine Learning for Healthcare.
    """

    network_: Network
    classes_: np.ndarray
    shapes_: dict[str, tuple[int, ...]]
    history_: list[dict[str, float]]

    def __init__(
        self,
        model: str = "hybrid_late",
        front_end: FrontEnd | None = None,
        network: NetworkSettings | None = None,
        training: TrainSettings | None = None,
        random_state: int = 0,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.front_end = front_end
        self.network = network
        self.training = training
        self.random_state = random_state
        self.device = device

    def fit(
        self,
        views: dict[str, np.ndarray],
        y: np.ndarray,
        groups: np.ndarray | None = None,
        validation: np.ndarray | None = None,
        checkpoint: Path | None = None,
        progress: Progress = silent,
        *,
        sample_weight: np.ndarray | None = None,
    ) -> Self:
        """Train on the labelled rows.

        Parameters
        ----------
        views : dict of ndarray
            waveform (n_samples, n_channels, n_times), spectrogram (n_samples, n_channels, n_freqs,
            n_frames); those that the model reads.
        y : ndarray of int, shape (n_samples,), or of float, shape (n_samples, n_classes)
            Classes, −1 unlabelled; or distributions, rows of sum 1, a NaN row unlabelled.
            Unlabelled rows are left out; a validating row counts by its likeliest class.
        groups : ndarray, shape (n_samples,), optional
            Patients or recordings: 15 % of the rows, of whole groups, then validate.
        validation : ndarray of int, optional
            The rows that validate, where they are chosen already; empty: all rows train, nothing
            is measured meanwhile, and the weights of a late fusion stay equal.
        checkpoint : Path, optional
            Folder in which each epoch is kept, and from which training goes on.
        sample_weight : ndarray, shape (n_samples,), optional
            How much each training row counts, beside the others.

        Raises
        ------
        DataError
            If views, labels or weights cannot be used, or there is one class only.
        """
        views = self._views(views)
        targets = read_targets(y, sample_weight, len(next(iter(views.values()))))
        train, validating = _parts(targets.hard, groups, validation, self.random_state)
        self.classes_ = targets.classes_of(train)
        if len(self.classes_) < 2:
            raise DataError(
                f"labels: {len(self.classes_)} class in the training part; expected at least 2. "
                "Label more rows."
            )
        validating = validating[np.isin(targets.hard[validating], self.classes_)]
        self.shapes_ = {name: view.shape[1:] for name, view in views.items()}
        self._build()
        settings = self.training or TrainSettings()
        names = views_of(self.network_)
        twin = self._twin()
        judged = Targets(targets.hard, None, None)
        task = Task(
            self.network_,
            _rows(views, targets, train, self.classes_, names if twin is None else ("waveform",)),
            _rows(views, judged, validating, self.classes_, names),
            len(self.classes_),
            twin,
            self.random_state,
        )
        _standardize(self.network_, views, train)
        self.history_ = fit_network(task, settings, checkpoint, self.device, progress)
        return self

    def refitted(
        self,
        views: dict[str, np.ndarray],
        y: np.ndarray,
        progress: Progress = silent,
        *,
        sample_weight: np.ndarray | None = None,
    ) -> Self:
        """A new one that learned from all labelled rows, those that validated this one included.

        What only held-out rows can set stays that of this one: the weights of a late fusion and
        the temperature. So the rows that validated are of no use any more to choose with.

        Parameters
        ----------
        views, y, sample_weight
            As of `fit`.

        Raises
        ------
        DataError
            If the rows have other classes than those that this one learned from.
        SettingsError
            If the epoch is to be chosen by rows that validate (`keep = "best"` or `patience`).
        """
        check_is_fitted(self, "network_")
        check_refit(self.training or TrainSettings())
        y, none = np.asarray(y), np.empty(0, dtype=np.intp)
        if y.ndim == 1:  # a class that only validating rows had was not learned
            y = np.where(np.isin(y, self.classes_), y, -1)
        whole: Self = clone(self).fit(
            views, y, validation=none, progress=progress, sample_weight=sample_weight
        )
        if not np.array_equal(whole.classes_, self.classes_):
            raise DataError(
                f"labels: classes {whole.classes_.tolist()}; expected {self.classes_.tolist()}, as "
                "before. Give the same rows."
            )
        _settle_as(whole.network_, self.network_)
        return whole

    @property
    def leaves_out_augmentation(self) -> bool:
        """Whether rows trained as they are, because a view would not follow what was asked for."""
        check_is_fitted(self, "network_")
        return bool((self.training or TrainSettings()).augment) and self._twin() is None

    def predict_proba(self, views: dict[str, np.ndarray]) -> np.ndarray:
        """Probability of each class of `classes_`, shape (n_samples, n_classes)."""
        return np.exp(self.log_proba(views))

    def predict(self, views: dict[str, np.ndarray]) -> np.ndarray:
        """The likeliest class of each row."""
        return self.classes_[self.log_proba(views).argmax(axis=1)]

    def log_proba(self, views: dict[str, np.ndarray]) -> np.ndarray:
        """Log-probability of each class, shape (n_samples, n_classes)."""
        tensors = self.tensors(views)
        return read(self.network_, tensors, self.network_).log_softmax(dim=1).numpy()

    def tensors(self, views: dict[str, np.ndarray]) -> dict[str, Tensor]:
        """The views that the network reads; a fusion makes do with those that are there."""
        check_is_fitted(self, "network_")
        names = views_of(self.network_)
        views = self._views(views)
        there = tuple(name for name in names if name in views)
        return _tensors(views, there if there and len(self.network_.branches) > 1 else names)

    def embeddings(self, views: dict[str, np.ndarray]) -> np.ndarray:
        """What the last head reads, (n_samples, width); of a late fusion all features."""
        return read_embeddings(self.network_, self.tensors(views)).numpy()

    def member_proba(self, views: dict[str, np.ndarray]) -> np.ndarray:
        """Probabilities by each member of a fusion, shape (n_samples, n_members, n_classes).

        Those of a member whose view is missing are equal for all classes.
        """
        return read_members(self.network_, self.tensors(views)).softmax(dim=2).numpy()

    def member_embeddings(self, views: dict[str, np.ndarray]) -> list[np.ndarray]:
        """What each member gives to the fusion, (n_samples, width) each; of one encoder itself."""
        return [part.numpy() for part in read_projected(self.network_, self.tensors(views))]

    def fusion_weights(self, views: dict[str, np.ndarray]) -> np.ndarray | None:
        """Weight of each member for each class in each row, (n_samples, n_members, n_classes).

        Of a late fusion by class, of a gated one by row; None of a network that weighs nothing.
        """
        tensors = self.tensors(views)
        first = {name: view[:1] for name, view in tensors.items()}
        with torch.no_grad():
            if self.network_.shares(self.network_.outputs(first)) is None:
                return None
        return read(self.network_, tensors, self._shares).numpy()

    def _shares(self, views: dict[str, Tensor]) -> Tensor:
        shares = self.network_.shares(self.network_.outputs(views))
        return torch.empty(0) if shares is None else shares

    def save(self, folder: Path) -> None:
        """Write `weights.safetensors` and `network.json`, from which `load` builds it again."""
        check_is_fitted(self, "network_")
        folder.mkdir(parents=True, exist_ok=True)
        weights = weights_bytes(self.network_)
        summary = {
            "format_version": FORMAT_VERSION,
            "model": self.model,
            "classes": self.classes_.tolist(),
            "shapes": {name: list(shape) for name, shape in self.shapes_.items()},
            "network": (self.network or NetworkSettings()).model_dump(mode="json"),
            "training": (self.training or TrainSettings()).model_dump(mode="json"),
            "front_end": self.front_end and self.front_end.model_dump(mode="json"),
            "random_state": self.random_state,
            "history": self.history_,
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
        }
        write_atomic(folder / _NETWORK, json.dumps(summary).encode())
        write_atomic(folder / _WEIGHTS, weights)  # last: they tell that the model is whole

    @classmethod
    def load(cls, folder: Path) -> Self:
        """A classifier that was saved.

        Raises
        ------
        DataError
            If a file is missing, unreadable or of another version.
        """
        path = folder / _NETWORK
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"model '{path}': unreadable ({error}). Train it first.") from error
        if summary.get("format_version") != FORMAT_VERSION:
            raise DataError(
                f"model '{path}': format {summary.get('format_version')}; expected "
                f"{FORMAT_VERSION}. Train again with this version."
            )
        front_end = summary["front_end"]
        classifier = cls(
            summary["model"],
            front_end and FrontEnd.parse(front_end, "front_end"),
            NetworkSettings.parse(summary["network"], "network"),
            TrainSettings.parse(summary["training"], "training"),
            summary["random_state"],
        )
        classifier.classes_ = np.array(summary["classes"])
        classifier.shapes_ = {name: tuple(shape) for name, shape in summary["shapes"].items()}
        classifier.history_ = summary["history"]
        classifier._build()
        load_weights(folder / _WEIGHTS, classifier.network_, summary.get("weights_sha256"))
        classifier.network_.eval()
        return classifier

    def _twin(self) -> TorchFrontEnd | None:
        """What makes the views of a waveform while training."""
        augmented = bool((self.training or TrainSettings()).augment)
        return twin_of(self.front_end, augmented, views_of(self.network_))

    def _build(self) -> None:
        """The untrained network."""
        self.network_ = build_network(
            self.model, self.shapes_, len(self.classes_), self.network, self.random_state
        )

    def _views(self, views: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All views, as float32, finite, of one length."""
        if self.front_end is not None and "waveform" in views:
            views = self.front_end.complete(views)
        views = {name: np.ascontiguousarray(view, np.float32) for name, view in views.items()}
        lengths = {len(view) for view in views.values()}
        if len(lengths) != 1 or not min(lengths):
            raise DataError(
                f"views: {sorted(lengths)} rows; expected one number of rows, at least 1, in every "
                "view. Compute all views of the same segments."
            )
        for name, view in views.items():
            if not np.isfinite(view).all():
                raise DataError(
                    f"view '{name}': not finite; expected finite values. Mend the rows."
                )
        return views


def check_refit(settings: TrainSettings) -> None:
    """SettingsError if the epoch is to be chosen by rows that will train."""
    if settings.keep == "best" or settings.patience:
        raise SettingsError(
            "refit: the epoch is to be chosen by rows that validate (keep = 'best', patience); "
            "expected the last one, as all rows train. Use keep = 'last' without patience."
        )


@torch.no_grad()
def _settle_as(network: Network, settled: Network) -> None:
    """Take over what held-out rows have set: weights of a late fusion, temperature."""
    if isinstance(network, LateFusion) and isinstance(settled, LateFusion):
        network.scores.copy_(settled.scores)
    network.temperature.copy_(settled.temperature)


def _parts(
    y: np.ndarray, groups: np.ndarray | None, validation: np.ndarray | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labelled rows that train, and those that validate."""
    if validation is None:
        return hold_out(y, groups, seed)
    labelled = np.flatnonzero(y >= 0)
    validating = np.isin(labelled, validation)
    return labelled[~validating], labelled[validating]


def _tensors(views: dict[str, np.ndarray], names: tuple[str, ...]) -> dict[str, Tensor]:
    """Those views that the network reads."""
    missing = [name for name in names if name not in views]
    if missing:
        raise DataError(
            f"views: no '{missing[0]}'; expected {', '.join(names)}. Give it, or a front end that "
            "makes it."
        )
    return {name: torch.from_numpy(views[name]) for name in names}


def _rows(
    views: dict[str, np.ndarray],
    targets: Targets,
    rows: np.ndarray,
    classes: np.ndarray,
    names: tuple[str, ...],
) -> Rows:
    """Tensors of some rows."""
    tensors = _tensors({name: view[rows] for name, view in views.items()}, names)
    weight = targets.weights_of(rows)
    return Rows(
        tensors,
        torch.from_numpy(targets.of(rows, classes)),
        None if weight is None else torch.from_numpy(weight),
    )


def _standardize(network: Network, views: dict[str, np.ndarray], rows: np.ndarray) -> None:
    """Give each member the statistics of the training part of its view."""
    for branch in network.branches:
        branch.fit_to(torch.from_numpy(views[branch.view][rows]))
