"""Classical models on features by hand: the baseline that a network must beat."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils.validation import check_is_fitted

from emboscope.errors import SettingsError
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.representations.front_end import FrontEnd
from emboscope.representations.handcrafted import handcrafted_features

CLASSICAL: Registry[Callable[[int], ClassifierMixin]] = Registry("classical model")


def gradient_boosting(random_state: int) -> HistGradientBoostingClassifier:
    """Histogram gradient boosting with scikit-learn's defaults."""
    return HistGradientBoostingClassifier(random_state=random_state)


CLASSICAL["gradient_boosting"] = gradient_boosting


class FeatureClassifier(ClassifierMixin, BaseEstimator):
    """A classical model on `handcrafted_features` of the waveform.

    Parameters
    ----------
    model : str
        A name in `CLASSICAL`.
    front_end : FrontEnd
        Brings the view `waveform` back to the unit of the recordings, and knows sfreq.
    random_state : int
        Of the model.

    Attributes
    ----------
    estimator_ : ClassifierMixin
        The fitted model.
    classes_ : ndarray of int
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
        """Fit on the labelled rows but those of `validation`; `checkpoint` is not needed."""
        y = np.asarray(y)
        train = np.flatnonzero(y >= 0)
        if validation is not None:
            train = np.setdiff1d(train, validation)
        self.estimator_ = CLASSICAL[self.model](self.random_state)
        self.estimator_.fit(self._features({"waveform": views["waveform"][train]}), y[train])
        self.classes_ = self.estimator_.classes_
        progress("training", 1, 1)
        return self

    def predict(self, views: dict[str, np.ndarray]) -> np.ndarray:
        """The likeliest class of each row."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict(self._features(views))

    def predict_proba(self, views: dict[str, np.ndarray]) -> np.ndarray:
        """Probability of each class of `classes_`, shape (n_samples, n_classes)."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict_proba(self._features(views))

    def _features(self, views: dict[str, np.ndarray]) -> np.ndarray:
        """Features of the signals behind the waveforms."""
        if self.front_end is None:
            raise SettingsError(
                f"{self.model}: no front_end; expected one, for sfreq and unit. Pass front_end=."
            )
        return handcrafted_features(
            self.front_end.signal_of(views["waveform"]), self.front_end.sfreq
        )
