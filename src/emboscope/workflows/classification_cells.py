"""Cells of the studies of annotation: how good a classifier is that learns from spread labels."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from emboscope.evaluation.metrics import scores
from emboscope.learning.estimator import SignalClassifier
from emboscope.learning.settings import TrainSettings
from emboscope.progress import Progress, silent
from emboscope.registry import Registry
from emboscope.settings import Settings
from emboscope.workflows.annotation_cells import Labeled, LabelSettings, label
from emboscope.workflows.cells import register

_N_STEPS, _BATCH = 3000, 128  # of the fast budget


def fast(n_rows: int) -> TrainSettings:
    """3000 steps of 128 rows with a one-cycle rate, unmixed, whatever the number of rows."""
    epochs = max(1, math.ceil(_N_STEPS * _BATCH / n_rows))
    return TrainSettings(epochs=epochs, batch=_BATCH, mixup=0.0)


def published(n_rows: int) -> TrainSettings:
    """100 epochs of Adamax at a constant rate, without mixing; the last epoch counts [1]_.

    References
    ----------
    .. [1] Vindas, Y., Guépié, B. K., Almar, M., Roux, E., Delachartre, P. (2022). Semi-automatic
       data annotation based on feature-space projection and local quality metrics: An application
       to cerebral emboli characterization. Medical Image Analysis, 79.
    """
    return TrainSettings(
        epochs=100,
        batch=32,
        learning_rate=0.007,
        weight_decay=1e-7,
        optimizer="adamax",
        schedule="constant",
        mixup=0.0,
    )


BUDGETS: Registry[Callable[[int], TrainSettings]] = Registry("budget")
BUDGETS["fast"] = fast
BUDGETS["published"] = published


class LearningSettings(Settings):
    """How a classifier learns: a name in `MODELS`, a loss, a name in `BUDGETS`."""

    model: str = "cnn2d_small"
    loss: Literal["ce", "gce", "jsd"] = "gce"
    budget: str = "fast"


class ClassifySettings(LearningSettings, LabelSettings):
    """Which labels a classifier learns from (a name in `TARGETS`), and how."""

    targets: str = "propagated"


def soft_labels(labeled: Labeled) -> np.ndarray:
    """Distributions of the samples that propagation labeled; the given ones are certain."""
    soft = labeled.soft.copy()
    given = np.flatnonzero(labeled.given >= 0)
    soft[given] = np.eye(soft.shape[1])[labeled.given[given]]
    return soft


TARGETS: Registry[Callable[[Labeled], np.ndarray]] = Registry("targets")
TARGETS["given"] = lambda labeled: labeled.given  # no propagation
TARGETS["propagated"] = lambda labeled: labeled.labels
TARGETS["soft"] = soft_labels
TARGETS["true"] = lambda labeled: labeled.source.y  # the ceiling


def classification(
    settings: ClassifySettings, seed: int, progress: Progress = silent
) -> dict[str, float]:
    """Scores on the test part of a classifier that learned from the labels of one draw."""
    labeled = label(settings, seed, progress)
    source, targets = labeled.source, TARGETS[settings.targets](labeled)
    numbers = classify(
        source.images, targets, source.test_images, source.test_y, settings, seed, progress
    )
    return {**numbers, "labels_right": _share_right(targets, source.y)}


def classify(
    images: np.ndarray,
    targets: np.ndarray,
    test_images: np.ndarray,
    test_y: np.ndarray,
    settings: LearningSettings,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, float]:
    """Train on all labeled images and score on the test part, which is read once.

    No row is held out: budgets are fixed and the last epoch counts, as in the papers.

    Parameters
    ----------
    images, test_images : ndarray, shape (n_samples, n_channels, height, width)
    targets : ndarray, shape (n_samples,) or (n_samples, n_classes)
        Classes, -1 unlabeled; or distributions, NaN rows unlabeled.
    test_y : ndarray of int, shape (n_test,)
    settings : LearningSettings
    seed : int
        Of the initial weights and the order of the rows.
    progress : callable
        Told each epoch.

    Returns
    -------
    numbers : dict of str to float
        accuracy, mcc, f1_macro, balanced_accuracy; accuracy_0 … for each class of the test part;
        trained, the number of rows that were learned from.
    """
    known = np.asarray(targets) >= 0 if np.ndim(targets) == 1 else ~np.isnan(targets).any(axis=1)
    rows = np.flatnonzero(known)
    budget = BUDGETS[settings.budget](len(rows))
    classifier = SignalClassifier(
        settings.model,
        training=budget.model_copy(update={"loss": settings.loss}),
        random_state=seed,
        device="cpu",
    )
    none = np.empty(0, dtype=np.int64)
    classifier.fit({"spectrogram": images[rows]}, targets[rows], validation=none, progress=progress)
    predicted = classifier.predict({"spectrogram": test_images})
    by_class = {
        f"accuracy_{each}": float((predicted[test_y == each] == each).mean())
        for each in np.unique(test_y)
    }
    return {**scores(test_y, predicted), **by_class, "trained": float(len(rows))}


def _share_right(targets: np.ndarray, y: np.ndarray) -> float:
    """Share of the labels that are true; of a distribution its likeliest class."""
    if targets.ndim == 1:
        known, likeliest = targets >= 0, targets
    else:
        known = ~np.isnan(targets).any(axis=1)
        likeliest = np.where(known, np.nan_to_num(targets).argmax(axis=1), -1)
    return float((likeliest[known] == y[known]).mean())


register("classification", ClassifySettings, classification)
