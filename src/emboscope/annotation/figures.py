"""How good an annotation is: accuracy, coverage and net yield of the new labels."""

from dataclasses import dataclass

import numpy as np

from emboscope.errors import DataError


@dataclass(frozen=True)
class AnnotationFigures:
    """What propagation made of the samples that had no label. Shares are in [0, 1]."""

    n_given: int  # labels that were there before
    n_new: int
    n_correct: int
    n_unlabeled: int  # samples without a label before
    accuracy: float  # correct new labels / new labels; NaN without any
    coverage: float  # new labels / unlabeled samples; NaN without any
    net_yield: float  # accuracy x coverage: the unlabeled samples that are now right
    class_accuracy: np.ndarray  # shape (n_classes,), of the new labels by true class; NaN if none


def annotation_figures(
    truth: np.ndarray, given: np.ndarray, propagated: np.ndarray
) -> AnnotationFigures:
    """Compare propagated labels with the truth, on the samples that had no label.

    Parameters
    ----------
    truth : ndarray of int, shape (n_samples,)
        The true classes, 0 … n_classes - 1.
    given : ndarray of int, shape (n_samples,)
        Labels before propagation; -1 is unlabeled.
    propagated : ndarray of int, shape (n_samples,)
        Labels after it; -1 stays unlabeled.

    Raises
    ------
    DataError
        If the three differ in length.
    """
    truth, given, propagated = map(np.asarray, (truth, given, propagated))
    if not truth.shape == given.shape == propagated.shape:
        raise DataError(
            f"labels: shapes {truth.shape}, {given.shape} and {propagated.shape}; expected three "
            "equal ones. Give all labels of the same samples."
        )
    unlabeled = given < 0
    new = unlabeled & (propagated >= 0)
    correct = new & (propagated == truth)
    n_new, n_correct, n_unlabeled = int(new.sum()), int(correct.sum()), int(unlabeled.sum())
    n_classes = int(truth.max()) + 1
    by_class = np.bincount(truth[new], minlength=n_classes)
    right = np.bincount(truth[correct], minlength=n_classes)
    return AnnotationFigures(
        n_given=int((~unlabeled).sum()),
        n_new=n_new,
        n_correct=n_correct,
        n_unlabeled=n_unlabeled,
        accuracy=n_correct / n_new if n_new else float("nan"),
        coverage=n_new / n_unlabeled if n_unlabeled else float("nan"),
        net_yield=n_correct / n_unlabeled if n_unlabeled else float("nan"),
        class_accuracy=np.where(by_class > 0, right / np.maximum(by_class, 1), np.nan),
    )
