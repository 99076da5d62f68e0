"""Splits without leakage, scores, and how sure they are."""

from emboscope.evaluation.metrics import (
    METRICS,
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    f1_macro,
    mcc,
    scores,
)
from emboscope.evaluation.protocol import Fold, check_disjoint, folds, hold_out
from emboscope.evaluation.statistics import (
    Estimate,
    bootstrap_groups,
    corrected_t,
    paired_difference,
)

__all__ = [
    "METRICS",
    "Estimate",
    "Fold",
    "accuracy",
    "balanced_accuracy",
    "bootstrap_groups",
    "check_disjoint",
    "confusion_matrix",
    "corrected_t",
    "f1_macro",
    "folds",
    "hold_out",
    "mcc",
    "paired_difference",
    "scores",
]
