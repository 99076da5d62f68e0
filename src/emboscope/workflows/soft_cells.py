"""Cells of the studies of annotation: soft labels that spread, against what the raters said."""

import numpy as np

from emboscope.annotation.soft_labels import brier, expected_calibration_error, jensen_shannon
from emboscope.errors import DataError
from emboscope.progress import Progress, silent
from emboscope.workflows.annotation_cells import LabelSettings, label
from emboscope.workflows.cells import register


class SoftSettings(LabelSettings):
    """How labels spread, and whether their distribution or the label alone is judged."""

    hard: bool = False


def soft_labels(settings: SoftSettings, seed: int, progress: Progress = silent) -> dict:
    """Distance of spread labels from the shares of the raters, where nobody labeled by hand.

    Jensen-Shannon divergence and Brier score are means over the samples that got a label; the
    calibration error is that of the largest probability, in bins, against the true class.
    """
    labeled = label(settings, seed, progress)
    raters = labeled.source.soft
    if raters is None:
        raise DataError(
            f"soft_labels: '{settings.data}' has no raters; expected several. Use data = 'hits'."
        )
    new = (labeled.given < 0) & (labeled.labels >= 0)
    spread = np.zeros((int(new.sum()), raters.shape[1]))
    spread[:, : labeled.soft.shape[1]] = labeled.soft[new]
    if settings.hard:
        spread = np.eye(raters.shape[1])[labeled.labels[new]]
    return {
        "jensen_shannon": float(np.mean(jensen_shannon(spread, raters[new]))),
        "brier": brier(spread, raters[new]),
        "calibration_error": expected_calibration_error(spread, labeled.source.y[new]),
        "accuracy": float(np.mean(spread.argmax(axis=1) == labeled.source.y[new])),
        "coverage": float(new.sum() / (labeled.given < 0).sum()),
    }


register("soft_labels", SoftSettings, soft_labels)
