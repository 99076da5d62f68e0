"""Cell of the study of propagated labels: a network of all views that learns from them."""

import numpy as np

from emboscope.errors import DataError
from emboscope.learning.architecture import NetworkSettings
from emboscope.learning.settings import TrainSettings
from emboscope.progress import Progress, silent
from emboscope.workflows.annotation_cells import LabelSettings, label
from emboscope.workflows.cells import register
from emboscope.workflows.classification_cells import TARGETS
from emboscope.workflows.evaluate import probabilities
from emboscope.workflows.model_cells import check_learns_soft, judged, size_of, source, unfitted


class PropagatedSettings(LabelSettings):
    """How labels spread over the training patients, and the model that learns from them."""

    data: str = "hits_sada"
    features: str = "measures"
    targets: str = "propagated"  # a name in TARGETS
    model: str = "hybrid_late"
    network: NetworkSettings = NetworkSettings()
    training: TrainSettings = TrainSettings()


def propagated_model(
    settings: PropagatedSettings, seed: int, progress: Progress = silent
) -> dict[str, float]:
    """Scores on the patients to test on of a model that learned from given and spread labels.

    Of a network, 15 % of the labeled training rows, of whole patients, validate, by the labels that
    they got.
    """
    if settings.targets == "soft":
        check_learns_soft(settings.model, "targets", "propagated")
    labeled = label(settings, seed, progress)
    rows, test = labeled.source.rows, labeled.source.test_rows
    if rows is None or test is None:
        raise DataError(
            f"propagated_model: '{settings.data}' has no patients; expected HITS. Use hits_sada."
        )
    data = source(settings.data)
    targets = TARGETS[settings.targets](labeled)
    classifier = unfitted(settings.model, data, settings.network, settings.training, seed)
    classifier.fit(data.rows(rows), targets, groups=data.groups[rows], progress=progress)
    known = targets >= 0 if targets.ndim == 1 else ~np.isnan(targets).any(axis=1)
    return {
        **judged(probabilities(classifier, data, test), data, test),
        **size_of(classifier, data),
        "learned_from": float(known.sum()),
        "coverage": float(known.mean()),
    }


register("propagated_model", PropagatedSettings, propagated_model, version=2)
