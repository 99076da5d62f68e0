"""Scores of predictions, in [−1, 1] or [0, 1]; the mean over classes is never weighted."""

from collections.abc import Callable

import numpy as np

from emboscope.errors import DataError
from emboscope.registry import Registry

Metric = Callable[[np.ndarray, np.ndarray], float]


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts, shape (n_classes, n_classes): row = truth, column = prediction."""
    truth, predicted = _checked(truth, predicted)
    counts = np.zeros((n_classes, n_classes), dtype=int)
    np.add.at(counts, (truth, predicted), 1)
    return counts


def mcc(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Matthews' correlation coefficient for any number of classes [1]_.

    A prediction that never varies scores 0, chance. Where the truth has one class only the
    coefficient is undefined: NaN.

    References
    ----------
    .. [1] Gorodkin, J. (2004). Comparing two K-category assignments by a K-category correlation
       coefficient. Computational Biology and Chemistry, 28. Equation 8.
    """
    counts = _square(truth, predicted)
    n, correct = counts.sum(), np.trace(counts)
    true, guessed = counts.sum(axis=1), counts.sum(axis=0)
    spread_true, spread_guessed = n**2 - true @ true, n**2 - guessed @ guessed
    if spread_true == 0:
        return float("nan")
    if spread_guessed == 0:
        return 0.0
    return float((correct * n - true @ guessed) / np.sqrt(spread_true * spread_guessed))


def f1_macro(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over the classes of truth or prediction of F1 = 2TP/(2TP + FP + FN)."""
    counts = _square(truth, predicted)
    sizes = counts.sum(axis=0) + counts.sum(axis=1)
    present = sizes > 0
    return float(np.mean(2 * np.diag(counts)[present] / sizes[present]))


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean recall over the classes that the truth has."""
    counts = _square(truth, predicted)
    sizes = counts.sum(axis=1)
    return float(np.mean(np.diag(counts)[sizes > 0] / sizes[sizes > 0]))


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of right predictions."""
    truth, predicted = _checked(truth, predicted)
    return float(np.mean(truth == predicted))


METRICS: Registry[Metric] = Registry("metric")
METRICS["mcc"] = mcc
METRICS["f1_macro"] = f1_macro
METRICS["balanced_accuracy"] = balanced_accuracy
METRICS["accuracy"] = accuracy


def scores(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Every registered metric."""
    return {name: metric(truth, predicted) for name, metric in METRICS.items()}


def _square(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Confusion matrix as float, over as many classes as occur."""
    truth, predicted = _checked(truth, predicted)
    n_classes = int(max(truth.max(), predicted.max())) + 1
    return confusion_matrix(truth, predicted, n_classes).astype(float)


def _checked(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two vectors of classes of one length, or a refusal."""
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    if truth.shape != predicted.shape or truth.ndim != 1 or truth.size == 0:
        raise DataError(
            f"predictions: shapes {truth.shape} and {predicted.shape}; expected two vectors of one "
            "length, at least 1. Predict every row."
        )
    if truth.min() < 0 or predicted.min() < 0:
        raise DataError("labels: a row is −1, unlabelled; expected classes. Leave that row out.")
    return truth, predicted
