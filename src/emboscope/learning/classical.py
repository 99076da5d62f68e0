"""Classical models on features by hand: the baselines that a network must beat."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import RidgeClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import check_is_fitted

from emboscope.errors import DataError, SettingsError
from emboscope.evaluation.metrics import mcc
from emboscope.learning.rocket import MiniRocket
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.guepie_features import guepie_features
from emboscope.representations.handcrafted import handcrafted_features
from emboscope.representations.hits_features import hits_features
from emboscope.representations.hits_frames import LEAST_SAMPLES

CALIBRATION_FOLDS = 5  # of the support vector machine, within its training part
Features = Callable[[np.ndarray, float], np.ndarray]  # (signal, sfreq) -> (n, n_features)


@dataclass(frozen=True)
class ClassicalModel:
    """A model of scikit-learn and the features it reads.

    Attributes
    ----------
    build : callable (random_state) -> ClassifierMixin
        An unfitted model.
    doppler : callable
        Features of I and Q.
    other : callable, optional
        Features of anything else; without it the model is for I and Q alone.
    least_rows : int
        Of each class, to be fitted.
    """

    build: Callable[[int], ClassifierMixin]
    doppler: Features = hits_features
    other: Features | None = handcrafted_features
    least_rows: int = 1


CLASSICAL: Registry[ClassicalModel] = Registry("classical model")


def gradient_boosting(random_state: int) -> HistGradientBoostingClassifier:
    """Histogram gradient boosting with scikit-learn's defaults."""
    return HistGradientBoostingClassifier(random_state=random_state)


def svm(random_state: int) -> ClassifierMixin:
    """Support vectors with a Gaussian kernel, C 1, classes balanced, probabilities by sigmoids.

    The sigmoids are fitted to five folds within the training part, by rows: they know nothing of
    patients. Nothing here is random.
    """
    machine = make_pipeline(StandardScaler(), SVC(class_weight="balanced"))
    return CalibratedClassifierCV(machine, method="sigmoid", cv=CALIBRATION_FOLDS, ensemble=False)


def naive_bayes(random_state: int) -> ClassifierMixin:
    """Independent Gaussians; priors are the shares of the training part. Nothing is random."""
    return make_pipeline(StandardScaler(), GaussianNB())


def tree(random_state: int) -> DecisionTreeClassifier:
    """One tree with at least 10 rows a leaf, classes balanced."""
    return DecisionTreeClassifier(
        min_samples_leaf=10, class_weight="balanced", random_state=random_state
    )


def forest(random_state: int) -> RandomForestClassifier:
    """300 trees with at least 2 rows a leaf, classes balanced."""
    return RandomForestClassifier(
        n_estimators=300, min_samples_leaf=2, class_weight="balanced", random_state=random_state
    )


def minirocket(random_state: int) -> ClassifierMixin:
    """A ridge on features of `MiniRocket`, its strength by leave-one-out, sigmoids as in `svm`."""
    ridge = RidgeClassifierCV(alphas=np.logspace(-1, 4, 6))
    sure = CalibratedClassifierCV(ridge, method="sigmoid", cv=CALIBRATION_FOLDS, ensemble=False)
    return make_pipeline(MiniRocket(random_state=random_state), StandardScaler(), sure)


def signals(signal: np.ndarray, sfreq: float) -> np.ndarray:
    """The signals themselves, (n_samples, n_channels, n_times)."""
    return signal.astype(np.float32)


CLASSICAL["gradient_boosting"] = ClassicalModel(gradient_boosting)
CLASSICAL["svm"] = ClassicalModel(svm, least_rows=CALIBRATION_FOLDS)
CLASSICAL["naive_bayes"] = ClassicalModel(naive_bayes)
CLASSICAL["tree"] = ClassicalModel(tree)
CLASSICAL["forest"] = ClassicalModel(forest)
CLASSICAL["minirocket"] = ClassicalModel(
    minirocket, doppler=signals, other=signals, least_rows=CALIBRATION_FOLDS
)
CLASSICAL["guepie_chain"] = ClassicalModel(
    svm, doppler=guepie_features, other=None, least_rows=CALIBRATION_FOLDS
)


def model_features(
    model: str, front_end: FrontEnd | None, views: dict[str, np.ndarray]
) -> np.ndarray:
    """What a classical model reads, one row a sample.

    Features of the signals behind `waveform`: of I and Q (two channels, 256 samples or more) those
    of HITS, else band powers and shape. Pixels, where there is only an image.

    Raises
    ------
    SettingsError
        Without a front end, or for a model of I and Q where there are none.
    """
    if "waveform" not in views:
        return views["spectrogram"].reshape(len(views["spectrogram"]), -1)
    if front_end is None:
        raise SettingsError(
            f"{model}: no front_end; expected one, for sfreq and unit. Pass front_end=."
        )
    entry = CLASSICAL[model]
    is_doppler = front_end.n_channels == 2 and front_end.n_times >= LEAST_SAMPLES
    features = entry.doppler if is_doppler else entry.other
    if features is None:
        raise SettingsError(
            f"{model}: {front_end.n_channels} channel(s) of {front_end.n_times} samples; expected "
            f"I and Q of at least {LEAST_SAMPLES}. Choose another model."
        )
    return features(front_end.signal_of(views["waveform"]), front_end.sfreq)


class FeatureClassifier(ClassifierMixin, BaseEstimator):
    """A classical model on features by hand.

    Parameters
    ----------
    model : str
        A name in `CLASSICAL`.
    front_end : FrontEnd
        Brings the view `waveform` back to the unit of the recordings, and decides the features.
    random_state : int
        Of the model.

    Attributes
    ----------
    estimator_ : ClassifierMixin
        The fitted model.
    classes_ : ndarray of int
    history_ : list of dict
        MCC of the validation part, where there is one; it decides nothing.
    """

    def __init__(
        self,
        model: str = "gradient_boosting",
        front_end: FrontEnd | None = None,
        random_state: int = 0,
    ) -> None:
        self.model = model
        self.front_end = front_end
        self.random_state = random_state

    def fit(
        self,
        views: dict[str, np.ndarray],
        y: np.ndarray,
        groups: np.ndarray | None = None,
        validation: np.ndarray | None = None,
        checkpoint: Path | None = None,
        progress: Progress = silent,
    ) -> Self:
        """Fit on the labelled rows but those of `validation`; `checkpoint` is not needed.

        Raises
        ------
        DataError
            If there is not a label for each row, or a class has fewer rows than the model needs.
        """
        y = np.asarray(y)
        n_rows = len(next(iter(views.values())))
        if y.shape != (n_rows,):
            raise DataError(
                f"labels: of shape {y.shape} for {n_rows} rows; expected one class a row, -1 where "
                "unlabeled."
            )
        held = np.zeros(0, int) if validation is None else np.asarray(validation)
        train = np.setdiff1d(np.flatnonzero(y >= 0), held)
        held = held[y[held] >= 0]
        _check_rows(y[train], self.model)
        self.estimator_ = CLASSICAL[self.model].build(self.random_state)
        self.estimator_.fit(self._features(views, train), y[train])
        self.classes_ = self.estimator_.classes_
        self.history_ = []
        if held.size:
            guessed = self.estimator_.predict(self._features(views, held))
            self.history_.append({"validation_mcc": mcc(y[held], guessed)})
        progress("training", 1, 1)
        return self

    def refitted(
        self, views: dict[str, np.ndarray], y: np.ndarray, progress: Progress = silent
    ) -> Self:
        """A new one that learned from all labelled rows, those that validated this one included."""
        whole: Self = clone(self).fit(views, y, progress=progress)
        return whole

    def predict(self, views: dict[str, np.ndarray]) -> np.ndarray:
        """The likeliest class of each row."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict(self._features(views))

    def predict_proba(self, views: dict[str, np.ndarray]) -> np.ndarray:
        """Probability of each class of `classes_`, shape (n_samples, n_classes)."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict_proba(self._features(views))

    def _features(
        self, views: dict[str, np.ndarray], rows: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """Of some rows."""
        chosen = {name: view[rows] for name, view in views.items()}
        return model_features(self.model, self.front_end, chosen)


def _check_rows(y: np.ndarray, model: str) -> None:
    """Refuse a class with too few rows, or one class alone."""
    classes, counts = np.unique(y, return_counts=True)
    if classes.size < 2:
        raise DataError(
            f"labels: {classes.size} class in the training part; expected at least 2. Label more "
            "rows."
        )
    least = CLASSICAL[model].least_rows
    if counts.min() < least:
        raise DataError(
            f"labels: {counts.min()} rows of class {classes[counts.argmin()]} in the training "
            f"part; expected at least {least} for '{model}'. Label more, or choose another model."
        )
